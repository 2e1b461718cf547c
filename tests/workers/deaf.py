"""The agents of `agents`, for workers that hear no hint of another one."""

import asyncio

from tests.workers.agents import slow
from tgbot.neighbours import Neighbours

__all__ = ["slow"]


async def hear_nothing(_: Neighbours) -> None:
    """Let every notification be lost."""
    await asyncio.Event().wait()


Neighbours.serve = hear_nothing  # type: ignore[method-assign,assignment]  # in the worker that imports this
