"""How models speak and fail through pydantic-ai: what tgbot's handling of their errors is written from."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic_ai import Agent, AgentRunResultEvent, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.run import AgentRunResult
from pydantic_ai.settings import ModelSettings

from tests.llm.answers import (
    Fixture,
    after_tool,
    calls,
    counted,
    cut,
    drops,
    fails,
    finished,
    in_order,
    says,
    slow,
    tool,
)
from tests.llm.model_server import ModelServer, model_server

STORY = "Once upon a time there was a bot that never lost a message. The end."
APIS = ("openai-chat", "openai", "anthropic")
STRICT = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)


def model_of(server: ModelServer, api: str) -> Model:
    if api == "anthropic":
        return AnthropicModel("claude", provider=AnthropicProvider(base_url=server.url, api_key="key"))
    if api == "ollama":
        return OllamaModel("qwen3", provider=OllamaProvider(base_url=server.openai_url))
    provider = OpenAIProvider(base_url=server.openai_url, api_key="key")
    if api == "openai":
        return OpenAIResponsesModel("gpt", provider=provider)
    return OpenAIChatModel("gpt", provider=provider, profile=STRICT if api == "strict" else None)


@dataclass
class Heard:
    """What came out of a run: pieces of text, then a result or an error."""

    pieces: list[str] = field(default_factory=list)
    result: AgentRunResult[str] | None = None
    error: Exception | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def see(self, event: object) -> None:
        match event:
            case PartStartEvent(part=TextPart(content=text)):
                self.pieces.append(text)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                self.pieces.append(text)
            case AgentRunResultEvent(result=result):
                self.result = result


def get_weather(city: str) -> str:
    return f"sunny in {city}"


@dataclass
class Line:
    """A model, and the server that it talks to."""

    model: Model
    server: ModelServer

    async def ask(self, prompt: str, **settings: Any) -> Heard:  # noqa: ANN401 - as ModelSettings has them
        heard = Heard()
        chosen = ModelSettings(**{"max_retries": 0, **settings})  # type: ignore[typeddict-item]  # any of its keys
        agent = Agent(self.model, tools=[get_weather])
        try:
            async with agent.run_stream_events(prompt, model_settings=chosen) as events:
                async for event in events:
                    heard.see(event)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            heard.error = error
        return heard

    async def error_of(self, prompt: str, **settings: Any) -> Exception | None:  # noqa: ANN401 - same
        return (await self.ask(prompt, **settings)).error


@asynccontextmanager
async def line(api: str, *fixtures: Fixture) -> AsyncGenerator[Line]:
    async with model_server(*fixtures) as server, model_of(server, api) as model:
        yield Line(model, server)


@pytest.mark.parametrize("api", [*APIS, "ollama"])
async def test_a_text_comes_in_pieces_with_its_usage(api: str) -> None:
    async with line(api, counted(says("story", STORY), input_tokens=11, output_tokens=7)) as open_line:
        heard = await open_line.ask("A story!")
        [request] = open_line.server.journal()
    assert heard.text == STORY
    assert len(heard.pieces) > 2
    assert heard.result
    assert heard.result.output == STORY
    assert (heard.result.usage.input_tokens, heard.result.usage.output_tokens) == (11, 7)
    assert request.messages == [{"role": "user", "text": "A story!"}]


@pytest.mark.parametrize("api", [*APIS, "ollama"])
async def test_a_tool_is_called_and_its_result_sent_back(api: str) -> None:
    call = tool("get_weather", {"city": "Rome"})
    fixtures = calls("weather", call, text="Looking."), after_tool("Nice.", result="sunny")
    async with line(api, *fixtures) as open_line:
        heard = await open_line.ask("The weather?")
        [_, second] = open_line.server.journal()
    assert heard.text == "Looking.Nice."
    assert second.messages == [
        {"role": "user", "text": "The weather?"},
        {"role": "assistant", "text": "Looking.", "calls": [call]},
        {"role": "tool", "text": "sunny in Rome"},
    ]


REFUSALS = [
    (fails("wrong key", 401, code="invalid_api_key"), ModelAuthenticationError),
    (fails("no right", 403), ModelAuthenticationError),
    (fails("no such model", 404, code="model_not_found"), ModelNotFoundError),
    (fails("bad", 400), ModelRequestRejectedError),
    (fails("too large", 413), ModelHTTPError),  # of no kind
    (fails("limit", 429), ModelRateLimitError),
    (fails("broken", 500), ModelServerError),
    (fails("overloaded", 529, kind="overloaded_error"), ModelOverloadedError),
]
OF_OPENAI = [
    (fails("context", 400, code="context_length_exceeded"), ModelContextWindowExceededError),
    (fails("quota", 429, code="insufficient_quota"), ModelQuotaExceededError),
]
OF_ANTHROPIC = [
    (
        fails("context", 400, "prompt is too long", kind="invalid_request_error"),
        ModelContextWindowExceededError,
    ),
    (fails("quota", 400, "credit balance is too low", kind="invalid_request_error"), ModelQuotaExceededError),
]


@pytest.mark.parametrize("api", APIS)
async def test_a_refusal_is_an_exception_of_its_kind_after_one_request_if_max_retries_is_0(api: str) -> None:
    refusals = [*REFUSALS, *(OF_ANTHROPIC if api == "anthropic" else OF_OPENAI)]
    async with line(api, *(fixture for fixture, _ in refusals)) as open_line:
        for fixture, kind in refusals:
            error = await open_line.error_of(fixture["match"]["userMessage"])
            assert isinstance(error, kind)
            assert getattr(error, "status_code", 0) == fixture["response"]["status"]
        assert len(open_line.server.journal()) == len(refusals)


@pytest.mark.parametrize("api", APIS)
async def test_an_exception_has_retry_after_if_the_answer_had_it(api: str) -> None:
    async with line(api, fails("soon", 429, retry_after_seconds=7), fails("later", 429)) as open_line:
        soon, later = await open_line.error_of("soon"), await open_line.error_of("later")
    assert isinstance(soon, ModelRateLimitError)
    assert isinstance(later, ModelRateLimitError)
    assert (soon.retry_after, later.retry_after) == (7, None)


@pytest.mark.parametrize("api", APIS)
async def test_the_client_retries_after_the_time_it_is_given(api: str) -> None:
    limit = fails("hello", 429, retry_after_seconds=0.01)
    async with line(api, *in_order(limit, limit, says("hello", "Hi"))) as open_line:
        heard = await open_line.ask("hello", max_retries=2)
        assert len(open_line.server.journal()) == 3
    assert heard.text == "Hi"


@pytest.mark.parametrize("api", APIS)
async def test_a_cut_stream_is_a_connection_error_after_its_text_and_never_retried(api: str) -> None:
    async with line(api, cut(says("story", STORY))) as open_line:
        heard = await open_line.ask("story", max_retries=2)
        assert len(open_line.server.journal()) == 1
    assert heard.text
    assert STORY.startswith(heard.text)
    assert isinstance(heard.error, ModelConnectionError)
    assert (heard.error.phase, heard.error.in_stream) == ("read", False)


@pytest.mark.parametrize("api", APIS)
async def test_a_dropped_connection_and_a_refused_one_differ_by_phase(api: str) -> None:
    async with model_server(drops("hello")) as server:
        gone = model_of(server, api)
        async with gone:
            dropped = await Line(gone, server).error_of("hello")
    async with gone:
        refused = await Line(gone, server).error_of("hello")
    assert isinstance(dropped, ModelConnectionError)
    assert isinstance(refused, ModelConnectionError)
    assert (dropped.phase, refused.phase) == ("read", "connect")


@pytest.mark.parametrize("api", APIS)
async def test_each_timeout_has_its_exception(api: str) -> None:
    late = slow(says("late", STORY), first_seconds=60)
    steady = slow(says("steady", STORY), pieces_per_second=10)
    async with line(api, late, steady) as open_line:
        silent = await open_line.error_of("late", timeout=0.2)
        unbegun = await open_line.error_of("late", first_event_timeout=0.2)
        endless = await open_line.error_of("steady", request_timeout=0.2)
    assert isinstance(silent, ModelTimeoutError)
    assert isinstance(unbegun, ModelRequestTimeout)
    assert isinstance(endless, ModelRequestTimeout)
    assert (unbegun.setting, endless.setting) == ("first_event_timeout", "request_timeout")


@pytest.mark.parametrize("api", APIS)
async def test_an_empty_answer_is_asked_for_once_more_and_then_an_error(api: str) -> None:
    async with line(api, says("", "")) as open_line:
        error = await open_line.error_of("hello")
        assert len(open_line.server.journal()) == 2
    assert isinstance(error, UnexpectedModelBehavior)


async def test_a_stream_without_a_finish_reason_passes_for_complete() -> None:
    async with line("openai-chat", finished(says("hello", "Hi"), "")) as open_line:
        heard = await open_line.ask("hello")
    assert heard.result
    assert heard.result.response.finish_reason == "stop"


async def test_a_stream_without_a_finish_reason_fails_where_the_profile_requires_one() -> None:
    async with line("strict", finished(says("hello", "Hi"), "")) as open_line:
        heard = await open_line.ask("hello")
    assert (heard.text, type(heard.error)) == ("Hi", ModelAPIError)


@pytest.mark.parametrize("api", ["openai-chat", "anthropic"])
async def test_an_answer_that_reached_its_limit_says_so(api: str) -> None:
    async with line(api, finished(says("hello", "Once upon"), "length")) as open_line:
        heard = await open_line.ask("hello")
    assert heard.result
    assert (heard.result.output, heard.result.response.finish_reason) == ("Once upon", "length")


@pytest.mark.parametrize("name", ["openai:gpt", "openai-chat:gpt", "anthropic:claude", "ollama:qwen3", "gpt"])
def test_a_model_without_a_key_an_address_or_an_api_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "OLLAMA_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError):
        infer_model(name)
