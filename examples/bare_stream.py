"""Streams from any OpenAI-compatible server, without a framework, and remembers the chat.

    OPENAI_API_KEY=... TGBOT_AGENT=examples.bare_stream:agent tgbot run

OPENAI_BASE_URL names another server than OpenAI's, OPENAI_MODEL another model.
"""

import json
import os
from collections.abc import AsyncGenerator

from openai import APIConnectionError, AsyncOpenAI

from tgbot.turns.agent import AgentTurn, UserFacingError

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")


async def agent(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Answer one message; the model sees the last twenty exchanges, too."""
    messages = [message for exchange in await turn.recall(20) for message in json.loads(exchange)]
    messages.append({"role": "user", "content": turn.prompt})
    answer = ""
    try:
        async with AsyncOpenAI() as client:
            stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
            async for chunk in stream:
                if chunk.choices and (words := chunk.choices[0].delta.content):
                    answer += words
                    yield words
    except APIConnectionError as error:
        raise UserFacingError("The model cannot be reached. Try again in a minute.") from error
    await turn.remember(json.dumps([messages[-1], {"role": "assistant", "content": answer}]))
