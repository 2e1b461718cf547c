"""The whole bot with a model that answers "re: …", and remembers what it was asked."""

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCalls, FunctionModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from tests.running import running_with, settings_for
from tests.whole_bot.process import Person
from tgbot.agents.llm import models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.compaction import TASK
from tgbot.playground.server import PlaygroundServer


@dataclass
class Model:
    """Answers each prompt with "re: " and its words, or as `answers` say; raises what `errors` have in turn.

    `requests` has what was said in each request, from the first message to the last, and `names` by which
    models. `summaries` has the conversations that it was to sum up.
    """

    requests: list[list[str]] = field(default_factory=list)
    instructions: list[str | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    summary: str | Exception = "SUMMARY"

    def make(self, name: str, _: object = None) -> "_Measured":
        async def respond(
            messages: list[ModelMessage], info: AgentInfo
        ) -> AsyncIterator[str | DeltaToolCalls]:
            said = [words for message in messages if (words := words_of(message))]
            if TASK in said[-1]:
                yield self._sum_up(said[-1])
                return
            self.requests.append(said)
            self.instructions.append(info.instructions)
            self.names.append(name)
            if self.errors:
                raise self.errors.pop(0)
            yield self.answers.get(said[-1], f"re: {said[-1]}")

        return _Measured(stream_function=respond, model_name=name)

    def _sum_up(self, said: str) -> str:
        self.summaries.append(said)
        if isinstance(self.summary, Exception):
            raise self.summary
        return self.summary


class _Measured(FunctionModel):
    """Measures the context as providers do, a token for three characters."""

    @contextlib.asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        given = messages, model_settings, model_request_parameters, run_context
        async with super().request_stream(*given) as stream:
            stream._usage = RequestUsage(input_tokens=sum(len(words_of(one)) for one in messages) // 3)
            yield stream


def words_of(message: ModelMessage) -> str:
    """Give what a user or the model said in one message."""
    parts = [
        part.content if isinstance(part.content, str) else "".join(map(str, part.content))
        for part in message.parts
        if isinstance(part, UserPromptPart | TextPart)
    ]
    return "".join(parts)


def prompts(said: list[ModelMessage]) -> list[str]:
    return [words_of(one) for one in said if isinstance(one, ModelRequest)]


def answers(said: list[ModelMessage]) -> list[str]:
    return [words_of(one) for one in said if isinstance(one, ModelResponse)]


@contextlib.asynccontextmanager
async def talking(
    wire: PlaygroundServer,
    database_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: Model,
    **more: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Person]:
    """Run the bot with this model, and give the person who may talk to it."""
    monkeypatch.setattr(models, "make", model.make)
    settings = dataclasses.replace(settings_for(wire, database_path), agent="llm", model="demo", **more)
    async with running_with(settings, wire, LlmAgent(settings).run) as person:
        yield person
