"""A message that was given up, and tried again when others had been answered, or the memory was cleared."""

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from pydantic_ai.messages import ModelMessage, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from tests.llm.dying import Writer, end, speak
from tests.store.instance import Instance, StartInstance
from tgbot.agents.llm import models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.config import Settings
from tgbot.model import Turn
from tgbot.store import ledger
from tgbot.store.engine.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")

done: list[str] = []
numbers = itertools.count()


async def pay(to: str) -> str:
    """Pay."""
    done.append(to)
    return f"paid {to}"


class Model:
    """Pays Ann once for each message that says so, and otherwise answers; `sent` is the last request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[ModelMessage] = []
        monkeypatch.setattr(models, "make", lambda *_: FunctionModel(stream_function=self._respond))

    async def _respond(
        self, messages: list[ModelMessage], _: AgentInfo
    ) -> AsyncIterator[str | DeltaToolCalls]:
        self.sent = messages
        [last] = messages[-1].parts
        if isinstance(last, UserPromptPart) and last.content == "pay":
            yield {0: DeltaToolCall("pay", '{"to": "Ann"}', tool_call_id=f"call_{next(numbers)}")}
        else:
            yield f"re: {last.content}"  # type: ignore[union-attr]

    def parts(self) -> list[Any]:
        """What the model was sent: words, calls, and the results of calls."""
        parts = [part for message in self.sent for part in message.parts]
        return [part.tool_name if isinstance(part, ToolCallPart) else part.content for part in parts]  # type: ignore[union-attr]


class DiesBehindATool(Writer):
    """The writer of a process that dies when it has noted the result of a tool."""

    async def __call__(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        result = await super().__call__(operation, *args, **kwargs)
        if operation == ledger.finish:
            self.left = 0
        return result


async def answer(instance: Instance, turn: Turn) -> None:
    agent = LlmAgent(Settings(token="42:a", model="demo"))
    agent._functions = {"pay": pay}
    end(instance, turn, await speak(agent.run, turn, Writer(instance, None)) or [])
    instance.send_all()


@pytest.fixture
async def given_up(
    instance: Instance, start_instance: StartInstance, monkeypatch: pytest.MonkeyPatch
) -> tuple[Instance, Turn]:
    """Pay, die, and give the message up."""
    done.clear()
    Model(monkeypatch)
    turn = instance.start("pay")
    agent = LlmAgent(Settings(token="42:a", model="demo"))
    agent._functions = {"pay": pay}
    assert await speak(agent.run, turn, DiesBehindATool(instance, None)) is None
    another = start_instance(crashes_max=1)
    assert another.recover() == ["dead"]
    another.send_all()
    return another, turn


async def try_again(instance: Instance, turn: Turn) -> None:
    [again] = instance.press(f"retry:{turn.row_id}").claimed
    await answer(instance, again)


async def test_the_next_turn_knows_what_was_done(
    given_up: tuple[Instance, Turn], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, _ = given_up
    model = Model(monkeypatch)
    await answer(instance, instance.start("well?"))
    assert "paid Ann" in model.parts()


async def test_what_was_said_meanwhile_does_not_part_its_calls_from_their_results(
    given_up: tuple[Instance, Turn], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, turn = given_up
    model = Model(monkeypatch)
    await answer(instance, instance.start("b"))
    await try_again(instance, turn)
    await answer(instance, instance.start("c"))
    assert done == ["Ann"]
    assert model.parts() == ["b", "re: b", "pay", "pay", "paid Ann", "re: paid Ann", "c"]


@pytest.mark.parametrize("command", ["/new", "/compact"])
async def test_its_tools_do_not_run_again_though_the_memory_was_cleared(
    given_up: tuple[Instance, Turn], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    instance, turn = given_up
    model = Model(monkeypatch)
    await answer(instance, instance.start("b"))
    await answer(instance, instance.start(command))
    await try_again(instance, turn)
    await answer(instance, instance.start("c"))
    assert done == ["Ann"]
    assert model.parts()[-5:] == ["pay", "pay", "paid Ann", "re: paid Ann", "c"]
    assert not any(isinstance(part, ToolReturnPart) for part in model.sent[0].parts)
