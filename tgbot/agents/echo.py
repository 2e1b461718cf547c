"""The default agent: repeats each message word by word; `sleep 30 ...` waits 30 seconds first."""

import asyncio
import re
from collections.abc import AsyncGenerator

from tgbot.turns.agent import AgentTurn
from tgbot.turns.context import Attachment, size_words

WORD_SECONDS = 0.03
_SLEEP = re.compile(r"sleep (\d{1,6}(?:\.\d+)?)\b\s*", re.IGNORECASE)


async def agent(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Stream the text back, so that queueing, /stop and a kill can be tried without a model."""
    text = turn.text
    sleep = _SLEEP.match(text)
    if sleep:
        await asyncio.sleep(float(sleep[1]))
    answer = "\n\n".join(filter(None, [text, "\n".join(map(_received, turn.context.files))]))
    for word in re.findall(r"\S+\s*|^\s+", answer):
        await asyncio.sleep(WORD_SECONDS)
        yield word


def _received(file: Attachment) -> str:
    """Say what a file is: its kind, name, width and height, length and size, as far as they are known."""
    return "Received: " + ", ".join(
        [
            f"{file.kind.replace('_', ' ')} {file.name}".strip(),
            *([f"{file.width} x {file.height}"] if file.width and file.height else []),
            *([f"{file.duration_seconds} s"] if file.duration_seconds else []),
            *([size_words(file.size_bytes)] if file.size_bytes else []),
        ]
    )
