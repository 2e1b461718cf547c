"""Waits on progress, never on time: for a condition, with a deadline that only a broken bot misses."""

import asyncio
import time
from collections.abc import Awaitable, Callable

DEADLINE_SECONDS = 120.0  # long, because some machines are slow
STEP_SECONDS = 0.005


async def eventually(condition: Callable[[], bool], what: str) -> None:
    async def check() -> bool:
        return condition()

    await eventually_async(check, what)


async def eventually_async(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        await asyncio.sleep(STEP_SECONDS)
