"""The bot's process with the judges at its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from tests.judges import judge_journal
from tests.whole_bot.process import TOKEN, BotProcess
from tgbot.playground.server import PlaygroundServer
from tgbot.store.outbox import SURPLUS_TEXT


@asynccontextmanager
async def judged_bot(wire: PlaygroundServer, folder: Path, **settings: object) -> AsyncIterator[BotProcess]:
    """Give a bot that is not started yet.

    Afterwards its token is in no log, no judge objects to a request, and without trouble nobody saw a "…".
    """
    process = BotProcess(folder, wire.url, **settings)
    try:
        yield process
    finally:
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
