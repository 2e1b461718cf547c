"""Tools of a process that is killed at any moment: each appends a line to a file in the working folder."""

import asyncio
import random
import time
from pathlib import Path

from tgbot.agents.llm.tools import tool

LINES = Path("lines")
PAUSE_SECONDS = 0.2  # at most, before the line is written and after that, so that kills come in between


async def append(line: str) -> str:
    """Append a line."""
    await asyncio.sleep(_pause_seconds())
    done = _write(line)
    await asyncio.sleep(_pause_seconds())
    return done


def append_in_thread(line: str) -> str:
    """Append a line, in a thread."""
    time.sleep(_pause_seconds())
    done = _write(line)
    time.sleep(_pause_seconds())
    return done


@tool(ask=True)
async def pay(line: str) -> str:
    """Append a line, if the chat allows it."""
    return await append(line)


@tool(idempotent=True)
async def note(line: str) -> str:
    """Append a line, which may be there twice."""
    return await append(line)


def _pause_seconds() -> float:
    return random.random() * PAUSE_SECONDS


def _write(line: str) -> str:
    with LINES.open("a") as file:
        file.write(f"{line}\n")
    return f"wrote {line}"
