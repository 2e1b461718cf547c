"""Turns without the bot around them: a model that follows a script, and processes that die at a commit."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from tests.house import no_download
from tests.store.instance import Instance
from tgbot.model import Turn
from tgbot.render import Text
from tgbot.store import turns
from tgbot.store.engine.connection import Connection
from tgbot.store.turns import Ending
from tgbot.turns.agent import Agent, AgentTurn, Event, Question
from tgbot.turns.formatting import asked

P = ParamSpec("P")
T = TypeVar("T")


class Call(NamedTuple):
    """A call of a tool by the model."""

    name: str
    arguments: dict[str, Any]
    call_id: str


class Step(NamedTuple):
    """What the model answers at one step of a turn."""

    text: str
    calls: Sequence[Call] = ()


def scripted(*steps: Step) -> FunctionModel:
    """Make a model that gives these answers, by how often it has spoken in what it is sent."""

    async def respond(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        step = steps[sum(isinstance(message, ModelResponse) for message in messages)]
        if step.text:
            yield step.text
        if step.calls:
            yield {
                n: DeltaToolCall(call.name, json.dumps(call.arguments), tool_call_id=call.call_id)
                for n, call in enumerate(step.calls)
            }

    return FunctionModel(stream_function=respond)


class Writer:
    """The writer of a process that dies right before one commit."""

    def __init__(self, instance: Instance, dies_at: int | None) -> None:
        self.dead = asyncio.Event()
        self._instance = instance
        self.left = dies_at

    async def __call__(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self.left is not None:
            self.left -= 1
        dies = self.left == -1
        if dies or self.dead.is_set():
            self.dead.set()
            raise asyncio.CancelledError
        await asyncio.sleep(0)
        return self._instance.do(operation, *args, **kwargs)


async def speak(agent: Agent, turn: Turn, writer: Writer) -> list[Event] | None:
    """Run the agent to its end, or until the process dies."""
    try:
        return [event async for event in agent(AgentTurn(turn, no_download, writer, writer))]
    except asyncio.CancelledError:
        assert writer.dead.is_set()
        return None


def end(instance: Instance, turn: Turn, events: list[Event]) -> None:
    """End the turn as the runner does."""
    words = "".join(event for event in events if isinstance(event, str))
    asks = [asked(event) for event in events if isinstance(event, Question)]
    said = [Text(words)] if words else []
    outcome = "asking" if asks else "done"
    ending = Ending(outcome, said, first=turn.first_part, asks=asks)  # type: ignore[arg-type]
    instance.do(turns.end, instance.owner, turn, ending)


def press_all(instance: Instance, choice: int) -> list[Turn]:
    """Answer what is asked: yes to what may be done; `choice` to what may have been done."""
    claimed: list[Turn] = []
    for row, question, key in instance.rows("SELECT pending_id, id, key FROM question WHERE answer IS NULL"):
        number = choice if key.startswith("again-") else 0
        claimed += instance.press(f"answer:{row}:{question}:{number}").claimed
    return claimed
