"""The whole bot in the test's own process, where a test can change what it works with."""

import asyncio
import contextlib
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
    given: dict[str, Any] = {
        "token": TOKEN,
        "api_url": wire.url,
        "database_url": f"sqlite:///{database_path}",
        "allowed_users": frozenset({UserId(7)}),
        "receipts": False,
        **dict.fromkeys(("rate_overall_per_second", "rate_chat_per_second", "rate_group_per_minute"), 0),
    }
    bot = asyncio.create_task(app.run(config.Settings(**given | settings), agent))
    try:
        yield Person(wire)
    finally:
        bot.cancel()
        await asyncio.wait({bot})
