"""Agents that workers import by name. They note when a turn begins and ends, and have a short lease."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from tests.whole_bot.agents import patient
from tgbot import lease
from tgbot.store import workers
from tgbot.turns.agent import AgentTurn

NOTES = Path("..") / "turns"  # of all workers: each runs in a folder of its own

# A worker imports its agent before it begins: nobody here waits for twenty seconds.
workers.LEASE_SECONDS, workers.RENEW_SECONDS, lease.MARGIN_SECONDS = 4.0, 1.0, 1.5


async def noted(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Answers as `patient` does."""
    note(f"begins {turn.text} {os.getpid()}")
    try:
        async for piece in patient(turn):
            yield piece
    finally:
        note(f"ends {turn.text} {os.getpid()}")


async def quick(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Answers at once."""
    note(f"begins {turn.text} {os.getpid()}")
    yield f"re: {turn.text}"
    note(f"ends {turn.text} {os.getpid()}")


async def slow(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Says a word, and then nothing until the file that the message names is there."""
    note(f"begins {turn.text} {os.getpid()}")
    yield f"re: {turn.text}"
    while not (Path("..") / turn.text).exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)
    note(f"ends {turn.text} {os.getpid()}")


def note(line: str) -> None:
    """Append a line; one write of so few bytes is never torn."""
    fd = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)
