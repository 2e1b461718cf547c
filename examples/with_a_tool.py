"""Lets a model read the text files that people send, with pydantic-ai.

OPENAI_API_KEY=... TGBOT_AGENT=examples.with_a_tool:agent tgbot run  # or MODEL=anthropic:... and its key
"""

import os
from collections.abc import AsyncGenerator

import pydantic_ai as ai

from tgbot.turns.agent import AgentTurn, Event, Progress

MODEL = os.environ.get("MODEL", "openai-chat:gpt-5-mini")
assistant = ai.Agent(deps_type=AgentTurn, instructions="You answer in a Telegram chat, in short paragraphs.")


@assistant.tool
async def read_files(context: ai.RunContext[AgentTurn]) -> list[str]:
    """Read the text files that came with the message."""
    turn = context.deps
    return [(await turn.download(file)).decode(errors="replace") for file in turn.context.files]


async def agent(turn: AgentTurn) -> AsyncGenerator[Event, None]:
    """Answer one message. The model is made here, because its connections belong to one event loop."""
    past = [one for text in await turn.recall() for one in ai.ModelMessagesTypeAdapter.validate_json(text)]
    model = ai.models.infer_model(MODEL)
    run = assistant.run_stream_events(turn.prompt, model=model, deps=turn, message_history=past)
    async with model, run as events:
        async for event in events:
            match event:
                case ai.PartStartEvent(part=ai.TextPart(words)):
                    yield words
                case ai.PartDeltaEvent(delta=ai.TextPartDelta(words)):
                    yield words
                case ai.FunctionToolCallEvent():
                    yield Progress(event.part.tool_name)
                case ai.AgentRunResultEvent():
                    await turn.remember(event.result.new_messages_json().decode())
