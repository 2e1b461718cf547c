"""Exact counts, the same on any machine: what one message costs in commits, statements and thread hops.

A hop is what a thread hands back to the bot's own loop: one way there and back.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Context
from typing import TypeVarTuple

from sqlalchemy import Pool, event

from bench import scene
from bench.figures import Figure, at_most
from tgbot.delivery.delivery import Delivery
from tgbot.playground.boxes import SHARED_BOX
from tgbot.playground.server import PlaygroundServer
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.agent_loop import Agents

MESSAGES = 50
Ts = TypeVarTuple("Ts")
TOKEN = f"{scene.BOT_ID}:playground"
CHAT_ID = 5
NEWEST_ID = 1_000_000  # what the server has given so far: more than the made-up updates have

# What it takes today; more of anything is a regression to look at, not a matter of taste.
HOPS = {"writer": "writer's hops", "agents": "agents' hops"}
OTHER_HOPS = "other threads' hops"
ANSWERING = {"commits": 2, "SQL statements": 19, HOPS["writer"]: 2, HOPS["agents"]: 1, OTHER_HOPS: 0}
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
    """Counts what a block costs; `statements` are those of every connection."""

    def __init__(self, loop: CountingLoop, statements: list[str]) -> None:
        self._loop = loop
        self._statements = statements
        self.total: Counter[str] = Counter()

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        """Add what the block costs to the total."""
        statements, hops = len(self._statements), self._loop.hops.copy()
        yield
        new = self._statements[statements:]
        self.total += Counter({"commits": new.count("COMMIT"), "SQL statements": len(new)})
        self.total += self._loop.hops - hops


def figures() -> Iterator[Figure]:
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        answering, showing, left = runner.run(_converse())
    for phase, tally, most in (("store its answer", answering, ANSWERING), ("show it", showing, SHOWING)):
        for what in most:
            yield at_most(f"{what} to {phase}, per message", tally.total[what] / MESSAGES, most[what])
    for what, number in left.items():
        yield at_most(f"{what} left when idle", number, 0)


async def _converse() -> tuple[Tally, Tally, dict[str, int]]:
    """Send messages one at a time, each answered and shown before the next."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, CountingLoop)
    with traced() as statements:
        answering, showing = Tally(loop, statements), Tally(loop, statements)
        async with _bot() as (line, delivery):
            await _answer_and_show(line, delivery, Tally(loop, statements), Tally(loop, statements))
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
async def _bot() -> AsyncIterator[tuple[scene.Line, Delivery]]:
    async with PlaygroundServer() as server, BotApi(TOKEN, server.url) as api:
        server.world.make_chat(CHAT_ID, "Ada")
        server.world.boxes.last_ids[SHARED_BOX] = NEWEST_ID
        with scene.folder() as folder:
            async with (
                SqliteDatabase(scene.migrated(folder / "counts.db")) as db,
                Agents(
                    scene.say_nothing, scene.no_download, db.write, db.read, scene.AGENT_THREADS
                ) as agents,
            ):
                line = scene.Line(db, api, await scene.begin_instance(db), agents)
                yield (
                    line,
                    Delivery(
                        db,
                        api,
                        line.dispatcher.owner,
                        receipts=False,
                        rate_limiter=RateLimiter(0, 0, 0),
                        send_within_seconds=86_400.0,
                    ),
                )


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
