"""The default agent: repeats each message word by word; `sleep 30 ...` waits 30 seconds first."""

import asyncio
import re
from collections.abc import AsyncGenerator

from tgbot.turns.agent import AgentTurn

WORD_SECONDS = 0.03
_SLEEP = re.compile(r"sleep (\d{1,6}(?:\.\d+)?)\b\s*", re.IGNORECASE)


async def agent(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Stream the text back, so that queueing, /stop and a kill can be tried without a model."""
    text = turn.text
    sleep = _SLEEP.match(text)
    if sleep:
        await asyncio.sleep(float(sleep[1]))
    for word in re.findall(r"\S+\s*|^\s+", text):
        await asyncio.sleep(WORD_SECONDS)
        yield word
