"""Answers with a plain function, which may block: it runs in a thread.

OPENAI_API_KEY=... TGBOT_AGENT=examples.plain_function:agent tgbot run
"""

import asyncio
import os
from collections.abc import AsyncGenerator

from openai import OpenAI

from tgbot.turns.agent import AgentTurn, Event, Progress

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


def answer(question: str) -> str:
    """Ask the model, and wait for all of its answer."""
    with OpenAI() as client:
        asked = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])
    return asked.choices[0].message.content or ""


async def agent(turn: AgentTurn) -> AsyncGenerator[Event, None]:
    """Answer one message."""
    yield Progress("thinking")
    yield await asyncio.to_thread(answer, turn.prompt)
