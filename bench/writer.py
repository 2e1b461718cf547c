"""What the writer costs, and what group commit gives: beside hand-written sqlite3 on the same tables."""

import asyncio
import contextlib
import itertools
import sqlite3
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import NamedTuple

from bench import scene
from bench.figures import Figure, Times, at_least, at_most, speed_ratio
from bench.replay import COMMIT, Call, recording, replay
from tgbot.intake.batch import receive
from tgbot.model import Message, Owner, Raw
from tgbot.render import Text
from tgbot.store import turns
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.writer import Database

ROWS = 100  # a batch
BATCH_PAIRS = 101
TURN_PAIRS = 21
CHATS, ROUNDS = 100, 3  # at once; messages of each, one after the other
ALONE_ROUNDS = 50
ENDING = turns.Ending("done", [Text("ok")])

_INSERT = """
    INSERT INTO pending
        (bot_id, update_id, kind, state, session_key, chat_id, topic_id, user_id, message_id,
         received_at, ended_at, raw)
    VALUES (?, ?, 'message', 'queued', ?, ?, ?, ?, ?, ?, NULL, ?)
"""


class Sample(NamedTuple):
    """The same updates in every shape that a measurement starts from."""

    raws: list[Raw]
    messages: list[Message]
    rows: list[tuple[object, ...]]


class Turns(NamedTuple):
    """The limit's time as a share of ours, and in how many commits a sample went."""

    share: Times
    commits: float


def figures() -> Iterator[Figure]:
    for name, parse in (("parsed before", False), ("parsing included", True)):
        ratio = asyncio.run(_batch_ratio(parse=parse))
        yield at_least(f"batches of {ROWS}, {name} / sqlite3 executemany, CPU", ratio, 0.4)
    many, alone = asyncio.run(_turns(CHATS, ROUNDS)), asyncio.run(_turns(1, ALONE_ROUNDS))
    for chats, share in (("100 chats", many.share), ("1 chat", alone.share)):
        name = f"receive, claim, end in {chats} / the same statements by hand"
        yield at_least(name, share.wall, 0.5)
        yield at_least(f"{name}, CPU", share.cpu, 0.45)
    yield at_most("commits for 600 operations of 100 chats at once", many.commits, 30)


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
        return (await speed_ratio(ours, reference, samples)).cpu


async def _turns(chats: int, rounds: int) -> Turns:
    """Take messages from arrival to ending in `chats` chats at once, each of which sends `rounds` in a row.

    The limit is what the writer executed for it, call by call with the commits between, on a file of its
    own: it gets the calls of the sample before, because those of this one are known only afterwards.
    """
    with recording() as calls:
        async with _files() as (db, raw):
            calls.clear()  # the migration's
            owner = await scene.begin_instance(db, max_turns=chats)
            done: deque[list[Call]] = deque()
            commits = []

            async def ours(messages: list[Message]) -> None:
                async with asyncio.TaskGroup() as all_chats:
                    for chat in range(chats):
                        all_chats.create_task(_turn_after_turn(db, owner, messages[chat::chats]))
                done.append(_taken(calls))
                commits.append(sum(sql == COMMIT for sql, _, _ in done[-1]))

            async def limit(_: object) -> None:
                replay(raw, done.popleft())

            replay(raw, _taken(calls))
            samples = (_messages(list(range(1, chats + 1)) * rounds) for _ in range(TURN_PAIRS + 1))
            await ours(next(samples))
            ratio = await speed_ratio(ours, limit, samples)
            return Turns(ratio, statistics.median(commits))


def _taken(calls: list[Call]) -> list[Call]:
    taken = calls.copy()
    calls.clear()
    return taken


async def _turn_after_turn(db: Database, owner: Owner, messages: Sequence[Message]) -> None:
    for message in messages:
        received = await db.write(receive, owner, scene.RULES, [message])
        await db.write(turns.end, owner, received.claimed[0], ENDING)


@contextlib.asynccontextmanager
async def _files() -> AsyncIterator[tuple[Database, sqlite3.Connection]]:
    """Open two migrated files: ours, and one for the reference."""
    with scene.folder() as folder, scene.raw_connection(scene.migrated(folder / "raw.db")) as raw:
        async with SqliteDatabase(scene.migrated(folder / "ours.db")) as db:
            yield db, raw


def _messages(chats: Iterable[int]) -> list[Message]:
    return scene.messages([scene.update(chat_id) for chat_id in chats])


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
