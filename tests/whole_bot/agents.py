"""Agents that the real process imports by name."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from tgbot.model import Turn


async def moody(turn: Turn) -> AsyncGenerator[str, None]:
    """Does as it is told: `die`, `raise`, `wait for FILE`; answers anything else with its attempt."""
    if turn.text == "die":
        os.kill(os.getpid(), 9)
    if turn.text == "raise":
        raise RuntimeError("the agent's own secret, 42:playground-secret")
    if turn.text.startswith("wait for "):
        await _exists(Path(turn.text.split()[2]))
    yield f"{turn.text} (attempt {turn.attempt})"


async def _exists(gate: Path) -> None:
    while not gate.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it; nothing to await
        await asyncio.sleep(0.01)


async def quick(turn: Turn) -> AsyncGenerator[str, None]:
    """Answers `re: <text>` after a very short while."""
    await asyncio.sleep(0.02)
    yield f"re: {turn.text}"


async def talkative(_: Turn) -> AsyncGenerator[str, None]:
    """Says 2,000 words."""
    yield " ".join(f"word{n}" for n in range(2000))


async def stubborn(turn: Turn) -> AsyncGenerator[str, None]:
    """Does not obey its cancellation."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    yield turn.text
