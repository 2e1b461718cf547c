"""Tools that the whole bot is given in these tests. Some wait for a file that the test makes."""

import asyncio
from pathlib import Path

from tgbot.agents.llm.tools import tool

POLL_SECONDS = 0.01


@tool(idempotent=True, progress="Looking at the sky of {city}")
def weather(city: str) -> str:
    """Say what the weather is."""
    return f"sunny in {city}"


def note(path: str, line: str) -> str:
    """Append a line to a file."""
    with Path(path).open("a") as file:
        file.write(f"{line}\n")
    return f"noted {line}"


@tool(ask=True)
def pay(path: str, line: str) -> str:
    """Append a line to a file, if the chat allows it."""
    return note(path, line)


async def wait_for(path: str) -> str:
    """Begin, and end when there is a file."""
    return await _wait_for(path)


@tool(ask=True)
async def pay_slowly(path: str) -> str:
    """Begin, and end when there is a file, if the chat allows it."""
    return await _wait_for(path)


async def _wait_for(path: str) -> str:
    """Write into files beside it that it has begun, and that it was ended."""
    note(f"{path}.begun", "begun")
    try:
        while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - the test makes it
            await asyncio.sleep(POLL_SECONDS)
    except asyncio.CancelledError:
        note(f"{path}.ended", "ended")
        raise
    return f"saw {Path(path).name}"
