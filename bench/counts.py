"""Exact counts, the same on any machine: what one message costs in commits, statements and thread hops.

A hop is what a thread hands back to the bot's own loop: one way there and back.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextvars import Context
from typing import TypeVarTuple

from sqlalchemy import Pool, event

from bench import scene
from bench.figures import Figure, at_most
from tgbot.delivery.delivery import Delivery
from tgbot.lease import Lease
from tgbot.playground.boxes import SHARED_BOX
from tgbot.playground.server import PlaygroundServer
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.agent_loop import Agents

WARM_UP = 3  # messages: PostgreSQL's driver prepares a statement when it comes again
MESSAGES = 50
Ts = TypeVarTuple("Ts")
TOKEN = f"{scene.BOT_ID}:playground"
CHAT_ID = 5
NEWEST_ID = 1_000_000  # what the server has given so far: more than the made-up updates have

# What it takes today; more of anything is a regression to look at, not a matter of taste.
HOPS = {"writer": "writer's hops", "agents": "agents' hops"}
OTHER_HOPS = "other threads' hops"
ANSWERING = {"commits": 2, "SQL statements": 16, HOPS["writer"]: 2, HOPS["agents"]: 1, OTHER_HOPS: 0}
SHOWING = {"commits": 1, "SQL statements": 4, HOPS["writer"]: 1, HOPS["agents"]: 0, OTHER_HOPS: 0}


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often each other thread hands something back to the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.hops: Counter[str] = Counter()

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Count, and do it."""
        self.hops[HOPS.get(threading.current_thread().name, OTHER_HOPS)] += 1
        return super().call_soon_threadsafe(callback, *args, context=context)


class Tally:
    """Counts what a block costs; `sent` counts what every connection has sent to the database so far."""

    def __init__(self, loop: CountingLoop, sent: Callable[[], Counter[str]]) -> None:
        self._loop = loop
        self._sent = sent
        self.total: Counter[str] = Counter()

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Add what the block costs to the total."""
        sent, hops = self._sent(), self._loop.hops.copy()
        yield
        self.total += self._sent() - sent
        self.total += self._loop.hops - hops


def figures() -> Iterator[Figure]:
    with traced() as statements, scene.folder() as folder:
        db = SqliteDatabase(scene.migrated(folder / "counts.db"))
        answering, showing, left = converse(db, lambda: _sent(statements))
    yield from costs(answering, ANSWERING, "store its answer")
    yield from costs(showing, SHOWING, "show it")
    for what, number in left.items():
        yield at_most(f"{what} left when idle", number, 0)


def _sent(statements: Sequence[str]) -> Counter[str]:
    return Counter({"commits": statements.count("COMMIT"), "SQL statements": len(statements)})


def costs(tally: Tally, most: Mapping[str, int], phase: str) -> Iterator[Figure]:
    for what in most:
        yield at_most(f"{what} to {phase}, per message", tally.total[what] / MESSAGES, most[what])


def converse(db: Database, sent: Callable[[], Counter[str]]) -> tuple[Tally, Tally, dict[str, int]]:
    """Send messages one at a time, each answered and shown before the next.

    Give what it costs to store the answers and to show them, and how many things are left at the end.
    """
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(_converse(db, sent))


async def _converse(db: Database, sent: Callable[[], Counter[str]]) -> tuple[Tally, Tally, dict[str, int]]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    answering, showing = Tally(loop, sent), Tally(loop, sent)
    async with _bot(db) as (line, delivery):
        for _ in range(WARM_UP):
            await _answer_and_show(line, delivery, Tally(loop, sent), Tally(loop, sent))
        tasks = len(asyncio.all_tasks())
        for _ in range(MESSAGES):
            await _answer_and_show(line, delivery, answering, showing)
        services = (line.acceptor, line.dispatcher, line.agents, line.delivery.answers, delivery)
        left = {
            "tasks": len(asyncio.all_tasks()) - tasks,
            "dict, set and list entries": sum(_entries(service) for service in services),
        }
    return answering, showing, left


async def _answer_and_show(line: scene.Line, delivery: Delivery, answering: Tally, showing: Tally) -> None:
    with answering.counting():
        await line.run([scene.update(CHAT_ID)])
    with showing.counting():
        delivery.turn_ended(*line.delivery.ended)
        await scene.idle()
    assert showing.total["commits"], "nothing was shown: has a chat's task another name by now?"


@contextlib.asynccontextmanager
async def _bot(db: Database) -> AsyncIterator[tuple[scene.Line, Delivery]]:
    async with PlaygroundServer() as server, BotApi(TOKEN, server.url) as api, db:
        server.world.make_chat(CHAT_ID, "Ada")
        server.world.boxes.last_ids[SHARED_BOX] = NEWEST_ID
        owner = await scene.begin_instance(db)
        Lease(db, owner.instance_id)  # each transaction looks at it, where others may work on the database
        async with Agents(
            scene.say_nothing, scene.no_download, db.write, db.read, scene.AGENT_THREADS
        ) as agents:
            delivery = Delivery(
                db,
                api,
                owner,
                receipts=False,
                rate_limiter=RateLimiter(0, 0, 0),
                send_within_seconds=86_400.0,
            )
            yield scene.Line(db, api, owner, agents), delivery


@contextlib.contextmanager
def traced() -> Iterator[list[str]]:
    """List every statement that SQLite runs on a connection opened meanwhile."""
    statements: list[str] = []

    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(statements.append)

    event.listen(Pool, "connect", connected)
    try:
        yield statements
    finally:
        event.remove(Pool, "connect", connected)


def _entries(service: object) -> int:
    containers = [value for value in vars(service).values() if isinstance(value, (dict, set, list))]
    return sum(len(container) for container in containers)
