"""A turn that tools run in, and a model that calls them as the test says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset

from tests.store.instance import Instance
from tgbot.agents.llm.deps import Deps
from tgbot.config import Settings
from tgbot.model import ChatId, Ownership, SessionKey, Turn, UserId
from tgbot.turns.agent import AgentTurn, Event

Toolsets = Sequence[AbstractToolset[Deps]]


@dataclass
class StandIn:
    """What tools use of an AgentTurn: a turn of the test's database, written to without the bot around it."""

    instance: Instance
    turn: Turn
    said: list[Event] = field(default_factory=list)

    @property
    def ownership(self) -> Ownership:
        return self.turn

    @property
    def user_id(self) -> UserId:
        return self.turn.user_id

    @property
    def chat_id(self) -> ChatId:
        return self.turn.chat_id

    @property
    def session_key(self) -> SessionKey:
        return self.turn.session_key

    async def write(self, operation: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 - any function's
        return self.instance.do(operation, *args)

    @property
    def deps(self) -> Deps:
        return Deps(cast("AgentTurn", self), self.said.append, Settings(token="42:made-up"))


class Call(NamedTuple):
    name: str
    arguments: dict[str, Any]


def call(name: str, /, **arguments: Any) -> Call:  # noqa: ANN401 - any tool's
    return Call(name, arguments)


@dataclass
class Run:
    """What one run showed the model: the tools and instructions of each request, and the results of calls."""

    offered: list[dict[str, ToolDefinition]] = field(default_factory=list)
    instructions: list[str | None] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)


async def run(toolsets: Toolsets, deps: Deps, *steps: Call | Sequence[Call]) -> Run:
    """Let a model call these tools, step by step, those of a list in one response."""
    seen = Run()
    waiting = [[step] if isinstance(step, Call) else list(step) for step in steps]

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.offered.append({one.name: one for one in info.function_tools})
        seen.instructions.append(info.instructions)
        seen.results += [
            _content(part)
            for part in messages[-1].parts
            if isinstance(part, ToolReturnPart | RetryPromptPart)
        ]
        calls = waiting.pop(0) if waiting else []
        return ModelResponse([ToolCallPart(*one) for one in calls] or [TextPart("done")])

    agent = Agent(FunctionModel(respond), deps_type=Deps, toolsets=toolsets)
    await agent.run("go", deps=deps)
    return seen


def _content(part: ToolReturnPart | RetryPromptPart) -> Any:  # noqa: ANN401 - any tool's
    return part.content if isinstance(part, ToolReturnPart) else part
