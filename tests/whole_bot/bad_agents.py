"""Agents that do what agents should not."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncGenerator

from tgbot.turns.agent import AgentTurn, Event, File, Progress

MEETING = threading.Barrier(34)  # more than Python's own number of threads is on any machine


async def bad(turn: AgentTurn) -> AsyncGenerator[Event, None]:  # noqa: C901 - a list of misdeeds
    """Misbehaves as the message says, and answers anything else."""
    if turn.text == "never wait":
        while True:
            yield ""
            yield Progress("busy")
    if turn.text == "exit":
        sys.exit(3)
    if turn.text == "block a thread":
        await asyncio.to_thread(time.sleep, 120)
    if turn.text == "block the loop" and turn.attempt == 1:
        yield "half of it"
        time.sleep(1e6)  # noqa: ASYNC251 - that is what is bad about it
    if turn.text == "spin":
        while True:
            time.perf_counter()
    if turn.text == "meet":
        await asyncio.to_thread(MEETING.wait)
    if turn.text == "send an odd file":
        yield File("\ud800.txt", b"content", caption="\udfff")
    if turn.text == "yield a number":
        yield 5  # type: ignore[misc]  # that is what is bad about it
    yield f"re: {turn.text}"
