"""Nothing slows down because much happened before: a claim, and a start, beside a million old rows."""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from sqlalchemy import Engine

from bench import history, scene
from bench.figures import Figure, at_most, speed_ratio
from tgbot.model import ChatId, Owner, session_key
from tgbot.store import claims, recovery, report
from tgbot.store.engine.sqlite.opening import read_once, writing_engine
from tgbot.turns.agent import AgentTurn

CLAIMS = 50  # a sample
CLAIM_PAIRS = 21
STARTS = 5


def figures() -> Iterator[Figure]:
    with scene.folder() as folder:
        large = _with_history(folder / "large.db", old=1_000_000, queued=100_000, chats=10_000)
        small = _with_history(folder / "small.db", old=1_000, queued=640, chats=64)
        yield at_most(
            "a claim beside 1e6 old rows / beside 1e3, CPU", asyncio.run(_claims(large, small)), 1.5, "x"
        )
        yield from _starts(large, small)


def _with_history(path: Path, *, old: int, queued: int, chats: int) -> Path:
    history.add_old(scene.migrated(path), old)
    history.add_queued(path, queued, chats)
    assert read_once(path, report.everything).queued == queued
    return path


async def _claims(large: Path, small: Path) -> float:
    """Compare claims, all rolled back, of the same sessions."""
    engines = writing_engine(large), writing_engine(small)

    async def beside_large(_: int) -> None:
        _claim(engines[0])

    async def beside_small(_: int) -> None:
        _claim(engines[1])

    ratio = await speed_ratio(beside_large, beside_small, range(CLAIM_PAIRS))
    for engine in engines:
        engine.dispose()
    return 1 / ratio.cpu


def _claim(engine: Engine) -> None:
    with engine.connect() as conn:
        owner = Owner(scene.BOT_ID, recovery.begin_instance(conn, 1), scene.MAX_TURNS, scene.CRASHES_MAX)
        for chat_id in range(1, CLAIMS + 1):
            assert claims.claim(conn, session_key(scene.BOT_ID, ChatId(chat_id)), owner)
        conn.rollback()


def _starts(large: Path, small: Path) -> Iterator[Figure]:
    seconds = [(_first_turn_seconds(large), _first_turn_seconds(small)) for _ in range(STARTS)]
    ratio = statistics.median(large / small for large, small in seconds)
    yield at_most("first turn, 100k queued in 10k chats beside 1e6 old / 640 in 64, CPU", ratio, 1.5, "x")


def _first_turn_seconds(path: Path) -> float:
    """Give the CPU time of a start on the file, as of a new process; the turns it claimed are undone."""
    seconds = asyncio.run(_start(path))
    history.forget_turns(path)
    return seconds


async def _start(path: Path) -> float:
    async def agent(_: AgentTurn) -> AsyncGenerator[str, None]:
        await asyncio.sleep(scene.DEADLINE_SECONDS)
        yield "too late"

    async with scene.line(path, agent) as line:
        opened = time.process_time()
        serving = asyncio.create_task(line.dispatcher.serve())
        began = await asyncio.wait_for(line.delivery.first_turn_cpu_seconds, scene.DEADLINE_SECONDS)
        serving.cancel()
        await line.dispatcher.drain(grace_seconds=0)
    return began - opened
