"""Fixtures: a Bot API server, the bot's process, a person; and the judges at the end of every test."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.judges import judge_journal
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tgbot.playground.server import PlaygroundServer
from tgbot.store.outbox import SURPLUS_TEXT


@pytest.fixture
async def bot(wire: PlaygroundServer, tmp_path: Path) -> AsyncIterator[BotProcess]:
    """A bot that is not started yet.

    Afterwards its token is in no log, no judge objects to a request, and without trouble nobody saw a "…".
    """
    process = BotProcess(tmp_path, wire.url, agent="tests.whole_bot.agents:moody")
    yield process
    if not process.ended:
        await process.kill()
    assert TOKEN not in process.log
    assert TOKEN.partition(":")[2] not in process.log
    assert not any("drop_pending_updates" in call["params"] for call in wire.world.journal)
    if process.had_no_trouble:
        assert not [call for call in wire.world.journal if call["params"].get("text") == SURPLUS_TEXT]
    judge_journal(
        call
        for call in wire.world.journal
        if call["status"] == HTTPStatus.OK and (process.gets_sane_updates or call["method"] != "getUpdates")
    )


@pytest.fixture
def ann(wire: PlaygroundServer) -> Person:
    return Person(wire)
