"""Agents that the workers of the bench import by name."""

import asyncio
from collections.abc import AsyncGenerator

from tgbot.turns.agent import AgentTurn


async def waits(_: AgentTurn) -> AsyncGenerator[str, None]:
    """Answer after a second, as one that waits for a model."""
    await asyncio.sleep(1)
    yield "Done."


async def lasts(_: AgentTurn) -> AsyncGenerator[str, None]:
    """Be at work until somebody ends the process."""
    await asyncio.Event().wait()
    yield "too late"
