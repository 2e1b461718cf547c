"""A turn that tools run in, and a model that calls them as the test says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

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

from tests.house import no_download
from tests.store.instance import Instance
from tgbot.agents.llm.deps import Deps
from tgbot.config import Settings
from tgbot.model import Turn
from tgbot.store.engine.connection import Connection
from tgbot.turns.agent import AgentTurn, Event

P = ParamSpec("P")
T = TypeVar("T")
Toolsets = Sequence[AbstractToolset[Deps]]


@dataclass
class Place:
    """A turn for tools to run in, on the test's database without a bot; `said` is what they show."""

    instance: Instance
    turn: Turn
    said: list[Event] = field(default_factory=list)

    @property
    def agent_turn(self) -> AgentTurn:
        return AgentTurn(self.turn, no_download, self._run, self._run)

    @property
    def deps(self) -> Deps:
        return Deps(self.agent_turn, self.said.append, Settings(token="42:made-up"))

    async def _run(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self.instance.do(operation, *args, **kwargs)


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
