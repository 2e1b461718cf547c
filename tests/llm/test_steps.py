"""The steps of a turn, where one goes wrong: each is logged once, and no call is made twice unseen."""

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from pydantic_ai import ModelRetry
from pydantic_ai.exceptions import CallDeferred, ModelServerError, ToolFailed
from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolReturnPart,
)
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, DeltaToolCalls, FunctionModel

from tests.house import no_download
from tests.llm.dying import Call, Step, Writer, end, scripted, speak
from tests.store.instance import Instance, StartInstance
from tgbot import tracing
from tgbot.agents.llm import failures, models, results
from tgbot.agents.llm import log as log_of
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.assistant import TOOL_RETRIES
from tgbot.agents.llm.compaction import RESULT_CHARACTERS_MAX
from tgbot.agents.llm.log import CUT_OFF, WITHHELD
from tgbot.agents.llm.tools import tool
from tgbot.agents.llm.tools.marks import Function
from tgbot.config import Settings
from tgbot.model import Album, File, KeptAlbum, KeptFile, Turn
from tgbot.store import history, ledger
from tgbot.store.engine.connection import Connection
from tgbot.turns.agent import Agent, AgentTurn, Event, Question

P = ParamSpec("P")
T = TypeVar("T")

done: list[str] = []


async def append(line: str) -> str:
    """Append a line."""
    done.append(line)
    return f"appended {line}"


@tool(timeout_seconds=0.05)
async def hang(line: str) -> str:
    """Begin, and never end."""
    done.append(line)
    await asyncio.Event().wait()
    return "never"


async def refuse(line: str) -> str:
    """Like nothing that it is given."""
    raise ModelRetry(f"not {line}")


async def fail() -> str:
    """Fail for good."""
    raise ToolFailed("there is none")


async def flood() -> dict[str, str]:
    """Return far more than a model reads."""
    return {"text": "ä" * 1_000_000}


async def complain() -> str:
    """Fail with far more words than a model reads."""
    raise ToolFailed("no! " * 1_000_000)


async def defer() -> str:
    """Leave it to somebody else, as pydantic-ai lets tools do."""
    raise CallDeferred


async def give_up() -> str:
    """Lose its own patience."""
    raise TimeoutError("the other side")


@tool(ask=True)
async def pay(line: str) -> str:
    """Pay."""
    return f"paid {line}"


@tool(ask=True)
async def _pay_in_another_module(line: str) -> str:
    """Do something else under the same name."""
    return f"something else with {line}"


_pay_in_another_module.__module__ = "other_tools"
_pay_in_another_module.__name__ = "pay"


async def chart(line: str) -> File:
    """Draw."""
    done.append(line)
    return File("chart.png", b"png", "photo")


async def charts() -> Album:
    """Draw more than fit into one album, two of them with too much or nothing in them."""
    fine = [File(f"{n}.png", b"png", "photo") for n in range(11)]
    return Album([*fine, File("long.png", b"png", "photo", "c" * 600), File("empty.png", b"", "photo")])


FUNCTIONS = (append, hang, refuse, fail, flood, complain, give_up, defer, pay, chart, charts)
Make = Callable[..., Agent]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make an agent whose model follows a script."""
    done.clear()
    monkeypatch.setattr(failures, "RETRY_SECONDS", (0.0, 0.0))

    def made(*steps: Step, functions: Sequence[Function] = FUNCTIONS) -> Agent:
        monkeypatch.setattr(models, "make", lambda *_: scripted(*steps))
        agent = LlmAgent(Settings(token="42:a", model="demo"))
        agent._functions = {one.__name__: one for one in functions}
        return agent.run

    return made


def words_of(events: list[Event] | None) -> str:
    return "".join(event for event in events or [] if isinstance(event, str))


def logged(instance: Instance, turn: Turn) -> list[ModelMessage]:
    """Read what the turn has logged as steps."""
    return log_of.read(instance.do(history.seen, turn), turn.row_id).own


def results_in(instance: Instance, turn: Turn) -> list[Any]:
    """List what the model was sent as results."""
    parts = [part for message in logged(instance, turn) for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


async def test_calls_with_the_ids_of_earlier_ones_are_made_all_the_same(
    make: Make, instance: Instance
) -> None:
    """Some servers number the calls of each answer from 0 on."""
    first, second = Call("append", {"line": "a"}, "call_0"), Call("append", {"line": "b"}, "call_0")
    turn = instance.start("go")
    agent = make(Step("", [first, first]), Step("", [second]), Step("Done."))
    assert words_of(await speak(agent, turn, Writer(instance, None))) == "Done."
    assert done == ["a", "a", "b"]
    ids = [call.tool_call_id for one in log_of.responses(logged(instance, turn)) for call in one.tool_calls]
    assert len(set(ids)) == 3


async def test_requests_and_tools_of_a_turn_are_steps_of_its_trace(make: Make, instance: Instance) -> None:
    turn = instance.start("go")
    spans: list[tracing.Span] = []
    tracing.follow(spans.append)
    try:
        await speak(
            make(Step("", [Call("append", {"line": "hush"}, "0")]), Step("Done.")),
            turn,
            Writer(instance, None),
        )
        tracing.ended(turn, "done", 0.0)
    finally:
        tracing.follow(None)
    assert [span.name for span in spans] == ["model", "tool", "model", "turn"]
    *steps, whole = spans
    assert {span.parent_id for span in steps} == {whole.span_id}
    assert steps[1].attributes == {"tool": "append"}
    assert "hush" not in str(spans)


async def test_a_call_that_the_failure_of_another_ended_is_asked_about(
    make: Make, instance: Instance
) -> None:
    turn = instance.start("go")
    wrong = [Step("", [Call("refuse", {"line": "a"}, f"a{n}")]) for n in range(TOOL_RETRIES)]
    both = [Call("refuse", {"line": "b"}, "1"), Call("hang", {"line": "c"}, "2")]
    events = await speak(make(*wrong, Step("", both), Step("Done.")), turn, Writer(instance, None))
    assert done == ["c"]
    assert [event.key for event in events or [] if isinstance(event, Question)] == ["again-1:2"]


async def test_what_a_tool_has_to_say_reaches_the_model(make: Make, instance: Instance) -> None:
    turn = instance.start("go")
    both = [Call("refuse", {"line": "a"}, "0"), Call("fail", {}, "1")]
    agent = make(Step("", both), Step("Done."))
    assert words_of(await speak(agent, turn, Writer(instance, None))) == "Done."
    assert results_in(instance, turn) == ["not a", "there is none"]


async def test_only_a_tool_that_was_ended_is_said_to_have_taken_too_long(
    make: Make, instance: Instance
) -> None:
    turn = instance.start("go")
    both = [Call("hang", {"line": "a"}, "0"), Call("give_up", {}, "1")]
    agent = make(Step("", both), Step("Done."))
    assert words_of(await speak(agent, turn, Writer(instance, None))) == "Done."
    ended, failed = results_in(instance, turn)
    assert ended == "This took longer than 0.05 s and was ended. It may have taken effect."
    assert failed.startswith("The tool failed (error ")


async def test_a_result_that_is_too_long_is_cut_in_the_log_and_in_the_ledger(
    make: Make, instance: Instance
) -> None:
    turn = instance.start("go")
    both = [Call("flood", {}, "0"), Call("complain", {}, "1")]
    assert words_of(await speak(make(Step("", both), Step("Done.")), turn, Writer(instance, None))) == "Done."
    flooded, complained = in_log = results_in(instance, turn)
    assert flooded.startswith('{"text":"ää')
    assert flooded.endswith("ä\n… cut, 1,000,011 characters in all")
    assert complained.endswith("\n… cut, 4,000,000 characters in all")
    assert max(map(len, in_log)) < RESULT_CHARACTERS_MAX + 100
    calls = instance.do(ledger.calls, turn.row_id)
    assert [results.load(call.result or "").shown() for call in calls] == in_log


async def test_a_model_may_call_a_tool_wrongly_a_few_times(make: Make, instance: Instance) -> None:
    turn = instance.start("go")
    wrong = [Step("", [Call("append", {"lime": "a"}, str(n))]) for n in range(TOOL_RETRIES)]
    events = await speak(make(*wrong, Step("Done.")), turn, Writer(instance, None))
    assert events == ["Done."]


class SlowWriter(Writer):
    """Takes long to say that a step is committed."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance, None)
        self.committed = asyncio.Event()

    async def __call__(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        result = await super().__call__(operation, *args, **kwargs)
        if operation == history.append:
            self.committed.set()
            await asyncio.sleep(0.02)
        return result


async def test_a_step_that_is_committed_when_the_turn_is_stopped_is_logged_once(
    make: Make, instance: Instance
) -> None:
    turn, writer = instance.start("go"), SlowWriter(instance)
    agent = make(Step("Done."))

    async def speak_until_stopped() -> None:
        async for _ in agent(AgentTurn(turn, no_download, writer, writer)):
            pass

    speaking = asyncio.create_task(speak_until_stopped())
    await writer.committed.wait()
    speaking.cancel()
    await asyncio.wait({speaking})
    assert [entry.kind for entry in instance.do(history.seen, turn)] == ["step"]


@pytest.mark.parametrize(("reason", "line"), [("length", CUT_OFF), ("content_filter", WITHHELD)])
async def test_an_answer_that_was_cut_off_says_so_also_after_a_crash(
    make: Make, instance: Instance, reason: FinishReason, line: str
) -> None:
    turn = instance.start("go")
    step: list[ModelMessage] = [
        ModelRequest.user_text_prompt("go"),
        ModelResponse([TextPart("Half")], finish_reason=reason),
    ]
    instance.do(history.append, turn, "step", log_of.dump(step))
    events = await speak(make(Step("never")), turn, Writer(instance, None))
    assert words_of(events) == f"Half{line}"


async def test_models_are_made_beside_the_event_loop(
    make: Make, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports libraries for seconds, and other turns run in the loop."""
    agent, threads = make(Step("")), []

    def made(*_: object) -> Model:
        threads.append(threading.current_thread())
        return scripted(Step("Done."))

    monkeypatch.setattr(models, "make", made)
    assert words_of(await speak(agent, instance.start("go"), Writer(instance, None))) == "Done."
    assert threads
    assert threading.current_thread() not in threads


async def test_a_tool_that_was_allowed_for_good_runs_and_one_of_that_name_from_elsewhere_asks(
    make: Make, instance: Instance
) -> None:
    steps, writer = [Step("", [Call("pay", {"line": "a"}, "0")]), Step("Done.")], Writer(instance, None)

    async def say(text: str, agent: Agent) -> list[Event]:
        turn = instance.start(text)
        events = await speak(agent, turn, writer) or []
        end(instance, turn, events)
        return events

    await say("go", make(*steps))
    [again] = instance.press(_button(instance, "Always in this chat")).claimed
    assert words_of(await speak(make(*steps), again, writer)) == "Done."
    instance.finish(again)
    await say("/new", make())
    assert words_of(await say("go", make(*steps))) == "Done."
    await say("/new", make())
    asked = await say("go", make(*steps, functions=[_pay_in_another_module]))
    assert [event.key for event in asked if isinstance(event, Question)] == ["allow:0"]


def _button(instance: Instance, label: str) -> str:
    [(found,)] = instance.rows("SELECT buttons FROM outbox WHERE buttons IS NOT NULL")
    [data] = [
        one["callback_data"]
        for row in json.loads(found)["inline_keyboard"]
        for one in row
        if one["text"] == label
    ]
    return str(data)


async def test_a_tool_that_leaves_its_call_to_somebody_else_has_failed(
    make: Make, instance: Instance
) -> None:
    turn = instance.start("go")
    agent = make(Step("", [Call("defer", {}, "0")]), Step("Done."))
    assert words_of(await speak(agent, turn, Writer(instance, None))) == "Done."
    [failed] = results_in(instance, turn)
    assert failed.startswith("The tool failed (error ")


async def test_files_of_tools_are_made_fit_to_be_sent(make: Make, instance: Instance) -> None:
    turn = instance.start("go")
    agent = make(Step("", [Call("charts", {}, "0")]), Step("Done."))
    events = await speak(agent, turn, Writer(instance, None)) or []
    albums = [len(event.files) for event in events if isinstance(event, KeptAlbum)]
    assert albums == [10, 2]
    assert "c" * 600 in words_of(events)
    assert "empty.png cannot be sent" in words_of(events)


def failing(monkeypatch: pytest.MonkeyPatch, *steps: Step, fails_at: Sequence[int]) -> None:
    """Let the model follow the script, but for the requests with these numbers, which fail."""
    follows, asked = scripted(*steps), itertools.count(1)

    async def respond(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        if next(asked) in fails_at:
            raise ModelServerError("demo", "unwell")
        assert follows.stream_function
        async for piece in follows.stream_function(messages, info):
            yield piece  # type: ignore[misc]

    monkeypatch.setattr(models, "make", lambda *_: FunctionModel(stream_function=respond))


async def test_a_file_is_sent_once_though_the_request_behind_it_is_made_again(
    make: Make, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make(Step(""))
    steps = Step("", [Call("chart", {"line": "a"}, "0")]), Step("Done.")
    failing(monkeypatch, *steps, fails_at=[2])
    events = await speak(agent, instance.start("go"), Writer(instance, None))
    assert done == ["a"]
    assert [event.name for event in events or [] if isinstance(event, KeptFile)] == ["chart.png"]


async def test_a_step_that_was_finished_gives_the_next_one_all_its_tries(
    make: Make, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make(Step(""))
    steps = [*(Step("", [Call("append", {"line": "a"}, str(n))]) for n in range(3)), Step("Done.")]
    failing(monkeypatch, *steps, fails_at=[1, 2, 4, 5, 7, 8])
    events = await speak(agent, instance.start("go"), Writer(instance, None))
    assert words_of(events) == "Done."


class DiesBehind(Writer):
    """The writer of a process that dies behind this operation."""

    def __init__(self, instance: Instance, operation: object) -> None:
        super().__init__(instance, None)
        self._last = operation

    async def __call__(
        self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        result = await super().__call__(operation, *args, **kwargs)
        if operation == self._last:
            self.left = 0
        return result


@pytest.mark.parametrize(
    ("died_behind", "results", "asks"),
    [(ledger.finish, ["appended a"], []), (ledger.start, [], ["again-1:0"])],
)
async def test_a_call_of_a_tool_that_is_gone_after_a_crash_is_what_the_ledger_says(
    make: Make,
    start_instance: StartInstance,
    died_behind: object,
    results: list[str],
    asks: list[str],
) -> None:
    """Its server may not start again; that it is not known now must not look as if it never ran."""
    first = start_instance()
    steps = Step("", [Call("append", {"line": "a"}, "0")]), Step("Done.")
    assert await speak(make(*steps), first.start("go"), DiesBehind(first, died_behind)) is None
    second = start_instance()
    second.recover()
    [again] = second.claim_waiting()
    agent = LlmAgent(Settings(token="42:a", model="demo"))
    events = await speak(agent.run, again, Writer(second, None))
    assert [event.key for event in events or [] if isinstance(event, Question)] == asks
    assert results_in(second, again) == results


async def test_half_a_character_of_a_model_or_of_a_person_fails_no_turn(
    make: Make, instance: Instance
) -> None:
    """A JSON escape can carry one; an emoji may come in two pieces."""
    turn = instance.start("half: \ud83d")
    agent = make(Step("a \ud83d\ude00 b \ud83d", [Call("append", {"line": "a"}, "0")]), Step("Done."))
    await speak(agent, turn, Writer(instance, None))
    request, response, *_ = logged(instance, turn)
    assert request.parts[0].content == "half: \ufffd"  # type: ignore[union-attr]
    assert log_of.text_of(response) == "a 😀 b \ufffd"  # type: ignore[arg-type]
