"""How long it takes until others go on with what a worker did that was killed, with the lease as it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import scene
from bench.figures import Figure, at_most
from bench.postgres import rows
from tests.postgres import Server
from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tests.workers.crew import Crew
from tgbot.playground.server import PlaygroundServer
from tgbot.store.workers import LEASE_SECONDS

MOST_SECONDS = LEASE_SECONDS + 1
POLLER = """
    SELECT pid FROM role JOIN instance ON instance.id = instance_id
    WHERE name = 'poller' AND lease_until > extract(epoch FROM clock_timestamp())
"""
OWNERS = "SELECT instance.pid FROM turn JOIN instance ON instance.id = turn.instance_id ORDER BY turn.id"


def figures(server: Server) -> Iterator[Figure]:
    with server.empty_database() as url, scene.folder() as folder:
        turn_seconds, poller_seconds = asyncio.run(_takeovers(url, folder))
    yield at_most("from kill -9 of a turn's owner until another runs it", turn_seconds, MOST_SECONDS, "s")
    yield at_most("from kill -9 of the poller until another polls", poller_seconds, MOST_SECONDS, "s")


async def _takeovers(url: str, folder: Path) -> tuple[float, float]:
    """Let the poller and another worker run a turn each, and kill that one, then the poller."""
    async with _crew(url, folder) as (crew, wire):
        with rows.connect(url) as conn:

            def pids(sql: str) -> list[int]:
                return [pid for (pid,) in conn.execute(sql)]

            Person(wire, 1).says("work")
            await eventually(lambda: len(pids(OWNERS)) == 1, "the poller's turn begins")
            Person(wire, 2).says("work")
            await eventually(lambda: len(pids(OWNERS)) == 2, "the other one's turn begins")
            [poller], [first, owner] = pids(POLLER), pids(OWNERS)
            assert first == poller, "who polls runs what it has a slot for"
            turn_seconds = await _takeover(crew, owner, lambda: len(pids(OWNERS)) == 3)
            poller_seconds = await _takeover(crew, poller, lambda: pids(POLLER) not in ([], [poller]))
    return turn_seconds, poller_seconds


@asynccontextmanager
async def _crew(url: str, folder: Path) -> AsyncIterator[tuple[Crew, PlaygroundServer]]:
    async with PlaygroundServer() as wire:
        crew = Crew(wire, folder, url, 3, agent="bench.postgres.agents:lasts", max_turns=1)
        try:
            await crew.start()
            yield crew, wire
        finally:
            for worker in crew.workers:
                if not worker.ended:
                    await worker.kill()


async def _takeover(crew: Crew, pid: int, is_over: Callable[[], bool]) -> float:
    """Kill a worker, and give the seconds until others have taken over."""
    worker: BotProcess = next(one for one in crew.workers if one.pid == pid)
    began_at = time.monotonic()
    await worker.kill()
    await eventually(is_over, "another takes over")
    return time.monotonic() - began_at
