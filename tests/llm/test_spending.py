"""A budget around the requests of a real run of pydantic-ai."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic_ai import Agent, AgentRunResultEvent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.settings import ModelSettings

from tests.llm.test_budget import turn_of, unknown
from tests.store.instance import Instance
from tgbot.agents.llm.budget import OUTPUT_TOKENS_MAX, Budget
from tgbot.agents.llm.spending import Spending
from tgbot.store.usage import Limit, Limits
from tgbot.turns.agent import AgentTurn, UserFacingError

LIMITED: Limits = {"user": Limit(tokens=100_000)}

Piece = str | DeltaToolCalls
Stream = Callable[[list[ModelMessage], AgentInfo], AsyncIterator[Piece]]


async def run(
    stream: Stream, budget: Budget, *others: AbstractCapability[Any], settings: ModelSettings | None = None
) -> int:
    """Run an agent with one tool to its end; returns the tokens that pydantic-ai counts."""
    agent = Agent(FunctionModel(stream_function=stream), model_settings=settings)

    @agent.tool_plain
    def look() -> str:
        return "found"

    async with agent.run_stream_events("hello", capabilities=[*others, Spending(budget)]) as events:
        async for event in events:
            if isinstance(event, AgentRunResultEvent):
                return event.result.usage.total_tokens
    raise AssertionError("no result")


async def one_call_and_an_answer(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[Piece]:
    if len(messages) == 1:
        yield {0: DeltaToolCall("look", "{}")}
    else:
        yield "It is "
        yield "there."


def raising(error: Exception) -> Stream:
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        raise error
        yield ""

    return stream


@pytest.fixture
def agent_turn(instance: Instance) -> AgentTurn:
    return turn_of(instance, instance.start("a"))


async def test_each_request_of_a_run_is_reserved_and_settled_with_what_it_took(agent_turn: AgentTurn) -> None:
    budget = Budget(agent_turn, LIMITED, unknown)
    tokens = await run(one_call_and_an_answer, budget)
    total = await budget.total()
    assert (total.requests, total.tokens, total.open) == (2, tokens, 0)


async def test_a_limit_ends_the_run_before_the_request_in_words_for_the_user(agent_turn: AgentTurn) -> None:
    asked = 0

    async def counting(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        nonlocal asked
        asked += 1
        async for piece in one_call_and_an_answer(messages, info):
            yield piece

    budget = Budget(agent_turn, {"turn": Limit(steps=1)}, unknown)
    with pytest.raises(UserFacingError, match="The budget of 1 step for one message is used up"):
        await run(counting, budget)
    assert asked == 1


@pytest.mark.parametrize(
    ("error", "open_requests"),
    [
        (ModelHTTPError(429, "m"), 0),
        (ModelHTTPError(500, "m"), 0),
        (ModelHTTPError(502, "m"), 1),
        (ModelHTTPError(504, "m"), 1),
        (ModelHTTPError(500, "m", in_stream=True), 1),
        (ModelConnectionError("m", "refused", phase="connect"), 0),
        (ModelConnectionError("m", "cut", phase="read"), 1),
    ],
)
async def test_what_a_model_refused_took_nothing_and_what_may_have_reached_it_counts(
    agent_turn: AgentTurn, error: Exception, open_requests: int
) -> None:
    budget = Budget(agent_turn, {}, unknown)
    with pytest.raises(type(error)):
        await run(raising(error), budget)
    total = await budget.total()
    assert total.requests == total.open == open_requests


async def test_a_stream_that_is_cut_counts_as_it_was_reserved(agent_turn: AgentTurn) -> None:
    async def cut(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        yield "It is "
        raise ModelConnectionError("m", "cut", phase="read")

    budget = Budget(agent_turn, {}, unknown)
    with pytest.raises(ModelConnectionError):
        await run(cut, budget)
    assert (await budget.total()).tokens > OUTPUT_TOKENS_MAX


async def test_a_run_that_is_stopped_counts_as_it_was_reserved(agent_turn: AgentTurn) -> None:
    speaking = asyncio.Event()

    async def endless(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        yield "It is "
        speaking.set()
        await asyncio.Event().wait()

    budget = Budget(agent_turn, {}, unknown)
    running = asyncio.create_task(run(endless, budget))
    await speaking.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await budget.total()).open == 1


class Rejecting(AbstractCapability[Any]):
    async def after_model_request(self, *_: Any, **__: Any) -> ModelResponse:  # noqa: ANN401 - any hook's
        raise UnexpectedModelBehavior("not good enough")


async def test_a_response_that_is_rejected_was_paid_for_all_the_same(agent_turn: AgentTurn) -> None:
    budget = Budget(agent_turn, {}, unknown)
    with pytest.raises(UnexpectedModelBehavior):
        await run(one_call_and_an_answer, budget, Rejecting())
    total = await budget.total()
    assert (total.requests, total.open) == (1, 0)


@pytest.mark.parametrize(
    ("limits", "settings", "sent"),
    [
        ({}, None, None),
        ({"turn": Limit(steps=9)}, None, None),
        (LIMITED, None, OUTPUT_TOKENS_MAX),
        (LIMITED, ModelSettings(max_tokens=77), 77),
    ],
)
async def test_a_response_may_have_no_more_than_was_reserved(
    agent_turn: AgentTurn, limits: Limits, settings: ModelSettings | None, sent: int | None
) -> None:
    seen: list[int | None] = []

    async def look(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        seen.append((info.model_settings or {}).get("max_tokens"))
        seen.append((await budget.total()).tokens)
        yield "done"

    budget = Budget(agent_turn, limits, unknown)
    await run(look, budget, settings=settings)
    assert seen[0] == sent
    assert seen[1] is not None
    assert 0 < seen[1] - (sent or OUTPUT_TOKENS_MAX) < 100
