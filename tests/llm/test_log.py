"""What a model is sent of earlier turns, and what joins a turn that runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic_ai.exceptions import ModelServerError, UserError
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from tests.house import no_download
from tests.store.instance import Instance, StartInstance
from tests.waiting import eventually
from tgbot.agents.llm import failures, models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.log import UNANSWERED
from tgbot.config import Settings
from tgbot.model import Turn
from tgbot.store import modes
from tgbot.turns.agent import AgentTurn, Run, UserFacingError

Words = str | DeltaToolCalls
Respond = Callable[[list[ModelMessage]], AsyncIterator[Words]]


class Model:
    """Answers as the test says, and remembers what it was sent: each request in the words of people."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, respond: Respond) -> None:
        self.sent: list[list[str]] = []
        self._respond = respond
        monkeypatch.setattr(models, "make", lambda *_: FunctionModel(stream_function=self._stream))

    async def _stream(self, messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[Words]:
        self.sent.append([words for message in messages for words in spoken(message)])
        async for words in self._respond(messages):
            yield words


def spoken(message: ModelMessage) -> list[str]:
    if isinstance(message, ModelResponse):
        return [message.text or "…"]
    parts = [part for part in message.parts if isinstance(part, UserPromptPart)]
    return [part.content if isinstance(part.content, str) else str(part.content[0]) for part in parts]


def writer(instance: Instance) -> Run:
    async def write(operation, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202
        await asyncio.sleep(0)
        return instance.do(operation, *args, **kwargs)

    return write


async def run(instance: Instance, turn: Turn) -> str:
    agent = LlmAgent(Settings(token="42:a", model="demo"))
    stream = agent.run(AgentTurn(turn, no_download, writer(instance), writer(instance)))
    return "".join([event async for event in stream if isinstance(event, str)])


async def echo(messages: list[ModelMessage]) -> AsyncIterator[Words]:
    yield f"re: {spoken(messages[-1])[-1]}"


async def test_a_model_is_sent_what_was_said_before_in_its_session(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(monkeypatch, echo)
    for said in ("a", "b"):
        turn = instance.start(said)
        instance.finish(turn, await run(instance, turn))
    assert model.sent == [["a"], ["a", "re: a", "b"]]


async def test_what_was_stopped_before_the_first_word_is_in_the_log_once(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Providers get adjacent requests merged; the log of the second one must not have the first."""

    async def hang(_: list[ModelMessage]) -> AsyncIterator[Words]:
        await asyncio.Event().wait()
        yield ""

    model = Model(monkeypatch, hang)
    turn = instance.start("stopped")
    running = asyncio.create_task(run(instance, turn))
    await eventually(lambda: bool(model.sent), "the model is asked")
    instance.say("/stop")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    instance.release(turn)
    model = Model(monkeypatch, echo)
    for said in ("a", "b"):
        turn = instance.start(said)
        instance.finish(turn, await run(instance, turn))
    before = ["stopped", UNANSWERED]
    assert model.sent == [[*before, "a"], [*before, "a", "re: a", "b"]]


async def test_half_an_answer_that_was_stopped_is_what_the_next_turn_sees(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def half(_: list[ModelMessage]) -> AsyncIterator[Words]:
        yield "half an"
        await asyncio.Event().wait()

    Model(monkeypatch, half)
    turn = instance.start("long")
    agent = LlmAgent(Settings(token="42:a", model="demo"))
    stream = agent.run(AgentTurn(turn, no_download, writer(instance), writer(instance)))
    assert await anext(stream) == "half an"
    instance.say("/stop")
    await stream.aclose()
    instance.release(turn)
    model = Model(monkeypatch, echo)
    await run(instance, instance.start("next"))
    assert model.sent == [["long", "half an", "next"]]


async def test_a_follow_up_joins_at_the_next_step_of_a_session_that_steers(
    instance: Instance, start_instance: StartInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_then_answer(messages: list[ModelMessage]) -> AsyncIterator[Words]:
        if len(messages) == 1:
            instance.say("in red, please")
            yield {0: DeltaToolCall("current_time", "{}", tool_call_id="c")}
        else:
            yield "red"

    model = Model(monkeypatch, look_then_answer)
    turn = instance.start("paint it")
    instance.do(modes.choose, turn.session_key, "steer")
    assert await run(instance, turn) == "red"
    assert model.sent == [["paint it"], ["paint it", "…", "in red, please"]]
    assert instance.states() == {"paint it": "claimed", "in red, please": "joined"}
    # It dies before its ending: what joined is in the log, and joins no second time.
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    assert await run(another, again) == "red"
    another.finish(again)
    model = Model(monkeypatch, echo)
    await run(another, another.start("next"))
    assert model.sent == [["paint it", "…", "in red, please", "red", "next"]]


async def test_a_follow_up_that_joined_a_failed_request_goes_with_the_next_try(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", (0.0,))
    asked: list[list[ModelMessage]] = []

    async def look_then_fail_once(messages: list[ModelMessage]) -> AsyncIterator[Words]:
        asked.append(messages)
        if len(asked) == 1:
            instance.say("in red, please")
            yield {0: DeltaToolCall("current_time", "{}", tool_call_id="c")}
        elif len(asked) == 2:
            raise ModelServerError("demo", "unwell")
        else:
            yield "red"

    model = Model(monkeypatch, look_then_fail_once)
    turn = instance.start("paint it")
    instance.do(modes.choose, turn.session_key, "steer")
    assert await run(instance, turn) == "red"
    assert model.sent[-1] == ["paint it", "…", "in red, please"]


async def test_a_message_that_no_model_was_asked_about_is_the_one_that_is_tried_again(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    Model(monkeypatch, echo)
    turn = instance.start("a")
    instance.finish(turn, await run(instance, turn))

    def fail(*_: object) -> None:
        raise UserError("Unknown model")

    monkeypatch.setattr(models, "make", fail)
    turn = instance.start("b")
    with pytest.raises(UserFacingError):
        await run(instance, turn)
    instance.fail(turn)
    model = Model(monkeypatch, echo)
    turn = instance.start("/retry")
    assert await run(instance, turn) == "re: b"
    assert model.sent == [["a", "re: a", "b"]]


def test_the_requests_of_a_log_are_lean() -> None:
    from tgbot.agents.llm import log  # noqa: PLC0415 - the only test of it

    request = ModelRequest([UserPromptPart("a")], instructions="be good")
    assert "be good" not in log.dump([request])
    assert log.load(log.dump([request]))[0].parts == request.parts


async def test_what_joined_a_message_is_answered_again_with_it(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_then_answer(messages: list[ModelMessage]) -> AsyncIterator[Words]:
        if len(messages) == 1:
            instance.say("in red, please")
            yield {0: DeltaToolCall("current_time", "{}", tool_call_id="c")}
        else:
            yield "red"

    Model(monkeypatch, look_then_answer)
    turn = instance.start("paint it")
    instance.do(modes.choose, turn.session_key, "steer")
    instance.finish(turn, await run(instance, turn))
    sent: list[object] = []

    async def note(messages: list[ModelMessage]) -> AsyncIterator[Words]:
        sent.extend(part.content for part in messages[-1].parts if isinstance(part, UserPromptPart))
        yield "red again"

    Model(monkeypatch, note)
    await run(instance, instance.start("/retry"))
    assert sent == [["paint it", "in red, please"]]
