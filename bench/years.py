"""The soak of `python -m bench.years`: two months of messages in minutes, with the pruner at work.

The clock of the process is ahead by what the messages took; the writer, the line and the pruner are real.
"""

import asyncio
import contextlib
import os
import re
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from unittest import mock

from bench import scene
from tgbot import pruner
from tgbot.model import ChatId, MessageId, Owner, session_key
from tgbot.store import claims, recovery, sending
from tgbot.store.engine.connection import Connection
from tgbot.turns.agent import AgentTurn

MESSAGES, SLICES = 200_000, 10
DAYS, KEEP_DAYS = 60, 20
CHATS, BATCH = 100, 100
ANSWER = "An answer of a few lines, as a model gives it. " * 8
PASS_SECONDS = 1.0  # instead of an hour: a real second is hours here
CLAIMS = 200


class Clock:
    """What `time.time` says: the real time, and what has been skipped."""

    def __init__(self) -> None:
        self._real = time.time
        self.skipped_seconds = 0.0

    def __call__(self) -> float:
        """Give Unix time in seconds."""
        return self._real() + self.skipped_seconds


class Soak:
    """The line on a file, with whoever talks, and what Telegram would say to an answer."""

    def __init__(self, line: scene.Line, clock: Clock, messages: int) -> None:
        self._line = line
        self._clock = clock
        self._batch_seconds = DAYS * pruner.DAY_SECONDS * BATCH / messages
        self._message_ids = iter(range(10_000_000, 1_000_000_000))

    async def slice(self, messages: int) -> list[float]:
        """Let people write so many messages; returns how long each write of an answer's sending took."""
        seconds: list[float] = []
        for _ in range(messages // BATCH):
            await self._line.run([scene.update(chat_id) for chat_id in range(1, BATCH + 1)])
            for chat_id in range(1, BATCH + 1):
                began = time.perf_counter()
                await self._line.db.write(self._send, ChatId(chat_id % CHATS + 1))
                seconds.append(time.perf_counter() - began)
            self._clock.skipped_seconds += self._batch_seconds
        return seconds

    def _send(self, conn: Connection, chat_id: ChatId) -> None:
        while part := sending.next_part(conn, scene.BOT_ID, chat_id, scene.OWNER.instance_id):
            sending.sent(conn, part, MessageId(next(self._message_ids)))


async def answer(_: AgentTurn) -> AsyncGenerator[str, None]:
    """Answer, as an agent."""
    yield ANSWER


async def soak(path: Path, messages: int) -> None:
    """Print a line for each slice."""
    print("messages  file MB  log MB  write p50 ms  p99 ms  claim ms CPU  memory MB")
    with _skipping() as clock:
        async with scene.line(path, answer) as line:
            pruning = asyncio.create_task(pruner.Pruner(line.db, KEEP_DAYS).serve())
            talk = Soak(line, clock, messages)
            for number in range(1, SLICES + 1):
                seconds = await talk.slice(messages // SLICES)
                claim_seconds = await line.db.write(_claim_cpu_seconds)
                print(_row(number * messages // SLICES, path, seconds, claim_seconds), flush=True)
            pruning.cancel()
            await asyncio.wait({pruning})


@contextlib.contextmanager
def _skipping() -> Iterator[Clock]:
    clock = Clock()
    with mock.patch("time.time", clock), mock.patch.object(pruner, "PASS_SECONDS", PASS_SECONDS):
        yield clock


def _claim_cpu_seconds(conn: Connection) -> float:
    """Measure one claim, the mean of many; nobody waits, so each looks for a row in vain."""
    owner = Owner(scene.BOT_ID, recovery.begin_instance(conn, os.getpid()), 10_000, 3)
    began = time.thread_time()
    for number in range(CLAIMS):
        claims.claim(conn, session_key(scene.BOT_ID, ChatId(number % CHATS + 1)), owner)
    return (time.thread_time() - began) / CLAIMS


def _row(messages: int, path: Path, seconds: list[float], claim_seconds: float) -> str:
    percentiles = statistics.quantiles(seconds, n=100)
    log = path.with_name(f"{path.name}-wal")
    memory_kilobytes = re.findall(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())[0]
    return (
        f"{messages:8} {_megabytes(path):8.1f} {_megabytes(log):7.1f} {percentiles[49] * 1000:13.2f}"
        f" {percentiles[98] * 1000:7.2f} {claim_seconds * 1000:13.3f} {int(memory_kilobytes) / 1000:10.1f}"
    )


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


if __name__ == "__main__":
    with scene.folder() as folder:
        asyncio.run(soak(folder / "years.db", int(sys.argv[1]) if sys.argv[1:] else MESSAGES))
