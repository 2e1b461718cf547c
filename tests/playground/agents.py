"""The agent of the tests: the bot's process imports it by name."""

import asyncio
from collections.abc import AsyncGenerator

from tgbot.agents import echo
from tgbot.turns.agent import AgentTurn


async def sleeper(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Does what echo does, but its first sleep lasts until a kill or a stop: none comes too late."""
    if turn.attempt == 1 and turn.text.startswith("sleep"):
        await asyncio.Event().wait()
    async for words in echo.agent(turn):
        yield words
