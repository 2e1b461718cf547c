"""What the writer costs, and what group commit gives: beside hand-written sqlite3 on the same tables."""

import asyncio
import contextlib
import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Engine, event

from bench import scene
from bench.figures import Figure, at_least, speed_ratio
from tgbot.intake.batch import receive
from tgbot.model import Message, Owner, Raw
from tgbot.render import Text
from tgbot.store import turns
from tgbot.store.engine.writer import Database

ROWS = 100  # a batch
BATCH_PAIRS = 101
COMMIT_DELAY_SECONDS = 0.001  # an fsync of a common SSD
LIFE_PAIRS = 9
ENDING = turns.Ending("done", [Text("ok")])

_INSERT = """
    INSERT INTO pending
        (bot_id, update_id, kind, state, session_key, chat_id, topic_id, user_id, message_id,
         received_at, ended_at, raw)
    VALUES (?, ?, 'message', 'queued', ?, ?, ?, ?, ?, ?, NULL, ?)
"""
_OF_UPDATE = "WHERE bot_id = ? AND update_id = ?"
_CLAIM = f"UPDATE pending SET state = 'claimed', attempt = 1 {_OF_UPDATE}"
_FINISH = f"UPDATE pending SET state = 'done', ended_at = 1 {_OF_UPDATE}"


class Sample(NamedTuple):
    """The same updates in every shape that a measurement starts from."""

    raws: list[Raw]
    messages: list[Message]
    rows: list[tuple[object, ...]]


def figures() -> Iterator[Figure]:
    for name, parse in (("parsed before", False), ("parsing included", True)):
        ratio = asyncio.run(_batch_ratio(parse=parse))
        yield at_least(f"batches of {ROWS}, {name} / sqlite3 executemany", ratio, 0.4)
    for name, chats, rounds, least in (("100 chats", 100, 3, 10.0), ("1 chat", 1, 50, 0.9)):
        ratio = asyncio.run(_life_ratio(chats, rounds))
        yield at_least(f"receive, claim, finish in {name} / 3 commits of 1 ms each", ratio, least)


async def _batch_ratio(*, parse: bool) -> float:
    """Compare storing alone: while every slot is taken, receiving claims nothing."""
    async with _files() as (db, raw):
        owner = await scene.begin_instance(db, max_turns=0)

        async def ours(sample: Sample) -> None:
            arrivals = scene.messages(sample.raws) if parse else sample.messages
            received = await db.write(receive, owner, scene.RULES, arrivals)
            assert len(received.waiting) == ROWS

        async def reference(sample: Sample) -> None:
            raw.execute("BEGIN IMMEDIATE")
            raw.executemany(_INSERT, sample.rows)
            raw.execute("COMMIT")

        chats = itertools.count(1)
        samples = (_sample(itertools.islice(chats, ROWS)) for _ in range(BATCH_PAIRS))
        return await speed_ratio(ours, reference, samples)


async def _life_ratio(chats: int, rounds: int) -> float:
    """Compare the life of a message, in `chats` chats at once, each of which sends `rounds` in a row."""
    async with _files() as (db, raw):
        owner = await scene.begin_instance(db, max_turns=chats)

        async def ours(sample: Sample) -> None:
            await asyncio.gather(*(_live(db, owner, sample.messages[chat::chats]) for chat in range(chats)))

        async def reference(sample: Sample) -> None:
            for row in sample.rows:
                _commit_three(raw, row)

        samples = (_sample(list(range(1, chats + 1)) * rounds) for _ in range(LIFE_PAIRS))
        with _commit_delay():
            return await speed_ratio(ours, reference, samples)


async def _live(db: Database, owner: Owner, messages: Sequence[Message]) -> None:
    for message in messages:
        received = await db.write(receive, owner, scene.RULES, [message])
        await db.write(turns.end, owner, received.claimed[0], ENDING)


def _commit_three(raw: sqlite3.Connection, row: tuple[object, ...]) -> None:
    """Write the least that a durable queue can: one statement an arrow, each with its commit."""
    for statement, values in ((_INSERT, row), (_CLAIM, row[:2]), (_FINISH, row[:2])):
        raw.execute("BEGIN IMMEDIATE")
        raw.execute(statement, values)
        _delay()
        raw.execute("COMMIT")


@contextlib.contextmanager
def _commit_delay() -> Iterator[None]:
    """Let every commit of the writer wait, at the place where the reference waits too."""
    event.listen(Engine, "commit", _delay)
    try:
        yield
    finally:
        event.remove(Engine, "commit", _delay)


def _delay(*_: object) -> None:
    time.sleep(COMMIT_DELAY_SECONDS)


@contextlib.asynccontextmanager
async def _files() -> AsyncIterator[tuple[Database, sqlite3.Connection]]:
    """Open two migrated files: ours, and one for the reference."""
    with scene.folder() as folder, scene.raw_connection(scene.migrated(folder / "raw.db")) as raw:
        async with Database(scene.migrated(folder / "ours.db")) as db:
            yield db, raw


def _sample(chats: Iterable[int]) -> Sample:
    raws = [scene.update(chat_id) for chat_id in chats]
    messages = scene.messages(raws)
    return Sample(raws, messages, [_row(message) for message in messages])


def _row(message: Message) -> tuple[object, ...]:
    update, home = message.update, message.address
    return (
        *(update.bot_id, update.update_id, home.session_key, home.chat_id, home.topic_id),
        *(home.user_id, home.message_id, time.time(), update.raw),
    )
