"""Fixtures: the bot's process, judged at the end of every test, and a person."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer


@pytest.fixture
async def bot(wire: PlaygroundServer, tmp_path: Path) -> AsyncIterator[BotProcess]:
    """A bot that is not started yet."""
    async with judged_bot(wire, tmp_path, agent="tests.whole_bot.agents:moody") as process:
        yield process


@pytest.fixture
def ann(wire: PlaygroundServer) -> Person:
    return Person(wire)
