"""A conversation that grows beyond what the model reads: it is summed up before it is too long."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic_ai.exceptions import ModelContextWindowExceededError, ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.usage import RequestUsage

from tests.llm.calling import Place
from tests.llm.dying import Writer, speak
from tests.llm.talking import Model, talking, words_of
from tests.store.instance import Instance, StartInstance
from tests.waiting import eventually
from tests.whole_bot.process import Person
from tgbot.agents.llm import log as log_of
from tgbot.agents.llm import models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.budget import Budget
from tgbot.agents.llm.compaction import GO_ON, HEADING, TASK, Compaction
from tgbot.config import Settings
from tgbot.playground.server import PlaygroundServer
from tgbot.store import history
from tgbot.store.history import Entry
from tgbot.store.usage import Limit, Limits

SUMMARY = f"{HEADING}\n\nSUMMARY"
TOO_LONG = "This conversation is too long for the model. Shorten it with /compact, or start afresh with /new."


def said(number: int) -> str:
    """Say something that makes, with its answer, an exchange of about 80 tokens."""
    return f"{number} ".ljust(120, "x")


def exchange(number: int) -> list[str]:
    return [said(number), f"re: {said(number)}"]


async def say(person: Person, *numbers: int) -> None:
    person.says(*map(said, numbers))
    await eventually(lambda: person.sees[-1:] == [f"re: {said(numbers[-1])}"], "all is answered")


async def test_before_it_is_too_long_all_but_the_last_exchanges_are_summed_up(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    async with talking(wire, database_path, monkeypatch, model, context_tokens=1000) as person:
        await say(person, *range(13))
    shortened = [n for n, request in enumerate(model.requests) if request[0] == SUMMARY]
    first = shortened[0]
    assert 7 <= first <= 10
    kept = [*exchange(first - 2), *exchange(first - 1)]
    assert model.requests[first] == [SUMMARY, GO_ON, *kept, said(first)]
    assert model.requests[first + 1] == [SUMMARY, GO_ON, *kept, *exchange(first), said(first + 1)]
    assert shortened == list(range(first, 13))
    [transcript] = model.summaries
    assert all(words in transcript for number in range(first - 2) for words in exchange(number))
    assert said(first - 2) not in transcript


async def test_a_summary_is_summed_up_again_with_what_came_after_it(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    async with talking(wire, database_path, monkeypatch, model, context_tokens=1000) as person:
        await say(person, *range(20))
    assert len(model.summaries) == 2
    assert model.summaries[1].startswith(f"<conversation>\nUser: {SUMMARY}\nYou: {GO_ON}\n")


async def test_without_a_summary_the_oldest_are_left_out_for_this_time(
    wire: PlaygroundServer,
    database_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = Model(summary=ModelHTTPError(400, "demo"))
    async with talking(wire, database_path, monkeypatch, model, context_tokens=1000) as person:
        await say(person, *range(14))
        assert not any("refused" in words for words in person.sees)
    first = next(n for n, request in enumerate(model.requests) if request[0] != said(0))
    assert model.requests[first] == [words for n in range(first - 5, first) for words in exchange(n)] + [
        said(first)
    ]
    assert f"llm.left_out exchanges={first - 5}" in caplog.text
    assert all(len("".join(request)) // 3 < 1000 for request in model.requests)
    assert len(model.summaries) > 1, "it is tried again in later turns"


async def test_a_model_that_says_that_it_is_too_long_is_asked_again_with_a_summary(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    async with talking(wire, database_path, monkeypatch, model) as person:
        await say(person, 0, 1, 2)
        model.errors.append(ModelContextWindowExceededError("demo", "too long"))
        await say(person, 3)
        await say(person, 4)
    begun = [SUMMARY, GO_ON, *exchange(1), *exchange(2)]
    assert model.requests[4:] == [[*begun, said(3)], [*begun, *exchange(3), said(4)]]


async def test_what_is_too_long_also_with_a_summary_is_said_so(
    wire: PlaygroundServer, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    async with talking(wire, database_path, monkeypatch, model) as person:
        await say(person, 0)
        model.errors += [ModelContextWindowExceededError("demo", "too long") for _ in range(2)]
        person.says(said(1))
        await person.sees_among(TOO_LONG)
    assert len(model.summaries) == 1


# One by one


@pytest.fixture
def turn(instance: Instance) -> Place:
    return Place(instance, instance.start("hello"))


def compaction(turn: Place, model: Model, limits: Limits | None = None) -> Compaction:
    budget = Budget(turn.agent_turn, limits or {}, lambda *_: None)
    return Compaction(model.make("demo"), turn.agent_turn, 1000, budget)


def entries(*exchanges: list[ModelMessage]) -> list[Entry]:
    return [Entry(n, n, "step", log_of.dump(one), None) for n, one in enumerate(exchanges)]  # type: ignore[arg-type]  # row ids


def spoken(words: str, input_tokens: int = 0) -> list[ModelMessage]:
    usage = RequestUsage(input_tokens=input_tokens)
    return [ModelRequest([UserPromptPart(words)]), ModelResponse([TextPart("yes")], usage=usage)]


def calling(words: str) -> list[ModelMessage]:
    return [
        ModelRequest([UserPromptPart("do it")]),
        ModelResponse([ToolCallPart("fetch", {"page": words}, "1")]),
        ModelRequest([ToolReturnPart("fetch", "found", "1")]),
        ModelResponse([TextPart("done")]),
    ]


async def test_what_the_provider_has_measured_counts_and_else_its_characters(turn: Place) -> None:
    long, short = "x" * 1200, "x" * 300
    needed = compaction(turn, Model()).needed
    assert not needed(entries(spoken(long), spoken(long, input_tokens=500)))
    assert needed(entries(spoken(long), spoken(short, input_tokens=701)))
    assert needed(entries(spoken(long), spoken(long, input_tokens=500), spoken(long)))
    assert needed(entries(spoken(long), spoken(long)))


async def test_a_context_that_is_full_of_other_things_is_not_summed_up_in_vain(turn: Place) -> None:
    assert not compaction(turn, Model()).needed(entries(spoken("a"), spoken("b", input_tokens=900)))


async def test_an_exchange_with_tools_is_kept_whole_or_summed_up_whole(turn: Place) -> None:
    model = Model()
    log = entries(calling("first " * 50), calling("second"), calling("third"))
    messages = await compaction(turn, model).shortened(log)
    assert [words_of(one) for one in messages[:2]] == [SUMMARY, GO_ON]
    assert len(messages) == 2 + 2 * len(calling(""))
    [transcript] = model.summaries
    assert 'You called fetch: {"page":"first' in transcript
    assert "fetch gave: found" in transcript
    assert "second" not in transcript


async def test_a_long_conversation_is_written_down_by_its_beginning_and_its_end(turn: Place) -> None:
    model = Model()
    log = entries(spoken("first"), *(spoken(f"{number} ".ljust(400, "x")) for number in range(10)))
    await compaction(turn, model).sum_up(log)
    [transcript] = model.summaries
    assert transcript.startswith("<conversation>\nUser: first\nYou: yes\n[…]\n")
    assert "User: 9 " in transcript
    assert "User: 1 " not in transcript
    assert len(transcript) < 3000


async def test_an_empty_summary_is_none(turn: Place) -> None:
    log = entries(spoken("a"), spoken("b"))
    messages = await compaction(turn, Model(summary=" ")).shortened(log)
    assert [words_of(one) for one in messages] == ["a", "yes", "b", "yes"]
    assert turn.instance.rows("SELECT * FROM history") == []


async def test_a_summary_is_paid_from_the_budget_and_none_is_made_beyond_it(turn: Place) -> None:
    model = Model()
    log = entries(spoken("a"), spoken("b"))
    await compaction(turn, model).shortened(log)
    assert turn.instance.rows("SELECT model, state FROM usage") == [("function:demo", "settled")]
    messages = await compaction(turn, model, {"turn": Limit(steps=1)}).shortened(log)
    assert [words_of(one) for one in messages] == ["a", "yes", "b", "yes"]
    assert len(model.summaries) == 1


async def test_a_summary_that_the_provider_refuses_costs_nothing(turn: Place) -> None:
    model = Model(summary=ModelHTTPError(400, "demo"))
    await compaction(turn, model).shortened(entries(spoken("a"), spoken("b")))
    assert turn.instance.rows("SELECT * FROM usage") == []


async def test_the_kept_exchanges_do_not_count_as_long_as_their_context_was(turn: Place) -> None:
    work = compaction(turn, Model())
    await work.shortened(entries(spoken("x" * 1200), spoken("a", input_tokens=900)))
    assert not work.needed(turn.instance.do(history.seen, turn.turn))


async def test_a_turn_in_the_middle_of_its_steps_goes_on_behind_the_summary_also_after_a_crash(
    start_instance: StartInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    tries: list[int] = []

    async def append(line: str) -> str:
        """Append a line."""
        ran.append(line)
        return "appended"

    async def respond(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        words = words_of(messages[-1])
        returned = any(isinstance(part, ToolReturnPart) for part in messages[-1].parts)
        if TASK in words:
            yield "SUMMARY"
        elif words == "go":
            yield {0: DeltaToolCall("append", '{"line": "x"}', tool_call_id="1")}
        elif returned:
            tries.append(len(messages))
            if len(tries) == 1:
                raise ModelContextWindowExceededError("demo", "too long")
            yield "done"
        else:
            yield "yes"

    def agent() -> LlmAgent:
        one = LlmAgent(Settings(token="42:a", model="demo"))
        one._functions = {"append": append}
        return one

    monkeypatch.setattr(models, "make", lambda *_: FunctionModel(stream_function=respond))
    instance = start_instance()
    for words in ("a", "b", "c"):
        turn = instance.start(words)
        assert await speak(agent().run, turn, Writer(instance, None))
        instance.finish(turn)
    assert await speak(agent().run, instance.start("go"), Writer(instance, None))
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    events = await speak(agent().run, again, Writer(another, None))
    assert events == ["done"]
    assert (ran, tries) == (["x"], [9, 9]), "the tool ran once"
    another.finish(again)
    turn = another.start("next")
    log = log_of.read(another.do(history.seen, turn), turn.row_id).earlier
    assert [words_of(one) for one in log] == [SUMMARY, GO_ON, "b", "yes", "c", "yes", "go", "", "", "done"]


async def test_one_result_of_a_tool_has_a_quarter_of_the_context_at_most(turn: Place) -> None:
    assert compaction(turn, Model()).result_characters_max == 750
