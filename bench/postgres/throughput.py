"""Turns a second of one, two and four workers, whose agents wait a second and whose slots are all taken."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import scene
from bench.figures import Figure, at_least
from bench.postgres import rows
from tests.postgres import Server
from tests.waiting import eventually
from tests.workers.crew import Crew
from tgbot.playground.server import PlaygroundServer

WORKERS = (1, 2, 4)
SLOTS_FEW, SLOTS = 8, 64
WINDOW_SECONDS = 15.0
CHATS_A_SLOT, ROWS_A_CHAT = 4, 20  # that wait at the start: more than can be done
BOT_ID = 42  # of the crew
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"


class Pace(NamedTuple):
    """Turns a second, and the CPU time of each in milliseconds."""

    turns: float
    workers_ms: float
    server_ms: float
    telegram_ms: float

    def __str__(self) -> str:
        return f"{self.workers_ms:.1f} + {self.server_ms:.1f} + {self.telegram_ms:.1f} ms"


def figures(server: Server) -> Iterator[Figure]:
    for slots in (SLOTS_FEW, SLOTS):
        paces = {}
        for number in WORKERS:
            with server.empty_database() as url, scene.folder() as folder:
                paces[number] = asyncio.run(_pace(url, folder, number, slots))
            of = f"{number} x {slots} slots"
            yield Figure(f"turns a second, {of}", f"{paces[number].turns:.1f}", f"of {number * slots}", None)
            yield Figure(
                f"CPU a turn: workers + PostgreSQL + Bot API server, {of}", str(paces[number]), "", None
            )
        ratio, name = paces[4].turns / paces[1].turns, f"turns a second, 4 workers / 1, {slots} slots each"
        # With more slots than two cores can serve, it says how fast the machine is.
        yield at_least(name, ratio, 3.5) if slots == SLOTS_FEW else Figure(name, f"{ratio:.2f} x", "", None)


async def _pace(url: str, folder: Path, number: int, slots: int) -> Pace:
    total = number * slots
    rows.migrated(url)
    async with PlaygroundServer() as wire:
        for chat_id in range(1, total * CHATS_A_SLOT + 1):
            wire.world.make_chat(chat_id, "Ada")
        settings = {"agent": "bench.postgres.agents:waits", "max_turns": slots}
        # Reactions to each message are two more requests, and two cores are to be enough for 4 x 64 turns.
        crew = Crew(wire, folder, url, number, **settings, receipts="false")
        try:
            await crew.start()
            # Not before: at a start, each chat in which something waits is also shown what.
            rows.add_queued(url, total * CHATS_A_SLOT * ROWS_A_CHAT, total * CHATS_A_SLOT, BOT_ID)
            return await _measured(url, crew, total)
        finally:
            for worker in crew.workers:
                await worker.kill()


async def _measured(url: str, crew: Crew, total: int) -> Pace:
    pids = [worker.pid for worker in crew.workers]
    with rows.connect(url) as conn:

        def count(sql: str) -> int:
            [[number]] = conn.execute(sql).fetchall()
            return int(number)

        def state() -> tuple[float, ...]:
            done = count("SELECT count(*) FROM pending WHERE state = 'done'")
            backends = [pid for (pid,) in conn.execute(BACKENDS)]
            return time.monotonic(), done, _cpu(pids), _cpu(backends), time.process_time()

        await eventually(lambda: count("SELECT count(*) FROM guard") == total, "all slots are taken")
        before = state()
        await asyncio.sleep(WINDOW_SECONDS)
        after = state()
        assert count("SELECT count(*) FROM pending WHERE state = 'queued'"), "there was not enough to do"
    seconds, turns, *cpu = (now - then for then, now in zip(before, after, strict=True))
    return Pace(turns / seconds, *(1000 * spent / turns for spent in cpu))


def _cpu(pids: list[int]) -> float:
    """Add up the seconds of CPU time that processes have taken so far."""
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICKS_A_SECOND
