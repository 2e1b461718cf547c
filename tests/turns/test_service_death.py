"""A service that dies ends the process loudly; what runs is given back, not failed."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest

from tests.scripted import Gate
from tests.whole_bot.process import TOKEN, Person
from tgbot import app, config
from tgbot.intake.poller import Poller
from tgbot.playground.server import PlaygroundServer
from tgbot.turns.agent import AgentTurn


async def test_a_service_that_dies_costs_no_running_turn(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, real = Gate(), Poller.serve

    async def agent(_: AgentTurn) -> AsyncGenerator[str, None]:
        begun.set()
        await asyncio.sleep(1e6)
        yield "never"

    async def serve(self: Poller) -> None:
        polling = asyncio.create_task(real(self))
        await begun.wait()
        polling.cancel()
        await asyncio.wait({polling})
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(Poller, "serve", serve)
    Person(wire).says("hello", "second")
    settings = config.Settings(
        token=TOKEN, api_url=wire.url, database_url=f"sqlite:///{database_path}", allowed_users=None
    )
    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        await app.run(settings, agent)
    with closing(sqlite3.connect(database_path)) as raw:
        assert raw.execute("SELECT state, crashes FROM pending").fetchall() == [("queued", 0)] * 2
        assert raw.execute("SELECT count(*) FROM guard").fetchone() == (0,)
