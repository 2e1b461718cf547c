"""The whole bot in the test's own process, where a test can change what it works with."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.whole_bot.process import TOKEN, Person
from tgbot import app, config
from tgbot.model import UserId
from tgbot.playground.server import PlaygroundServer
from tgbot.turns.agent import Agent


@contextlib.asynccontextmanager
async def running(
    wire: PlaygroundServer,
    database_path: Path,
    agent: Agent,
    **settings: Any,  # noqa: ANN401 - as Settings has them
) -> AsyncIterator[Person]:
    """Run the bot, and give the person who may talk to it."""
    chosen = dataclasses.replace(settings_for(wire, database_path), **settings)
    async with running_with(chosen, wire, agent) as person:
        yield person


def settings_for(wire: PlaygroundServer, database_path: Path) -> config.Settings:
    return config.Settings(
        token=TOKEN,
        api_url=wire.url,
        database_url=f"sqlite:///{database_path}",
        allowed_users=(UserId(7),),
        group_activation="always",
        receipts=False,
        rate_overall_per_second=0,
        rate_chat_per_second=0,
        rate_group_per_minute=0,
    )


@contextlib.asynccontextmanager
async def running_with(
    settings: config.Settings, wire: PlaygroundServer, agent: Agent
) -> AsyncIterator[Person]:
    """Do the same with other settings."""
    bot = asyncio.create_task(app.run(settings, agent))
    try:
        yield Person(wire)
    finally:
        bot.cancel()
        await asyncio.wait({bot})
