"""A turn dies at its n-th commit, for every n: what its tools do happens once, or the chat is asked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolReturnPart

from tests.llm.dying import Call, Step, Writer, end, press_all, scripted, speak
from tests.store.instance import Instance, StartInstance
from tgbot.agents.llm import models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.log import read
from tgbot.agents.llm.questions import call_of
from tgbot.agents.llm.tools import tool
from tgbot.config import Settings
from tgbot.store import history
from tgbot.store.engine.sqlite.opening import PRAGMAS
from tgbot.turns.agent import Question

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = [
    ("One.", [("append", "a"), ("append", "b")]),
    ("Two.", [("append", "c"), ("pay", "d"), ("note", "e")]),
    ("", [("append", "f")]),
    ("Done.", []),
]
SCRIPT = [
    Step(text, [Call(name, {"line": line}, f"{step}-{n}") for n, (name, line) in enumerate(calls)])
    for step, (text, calls) in enumerate(STEPS)
]
WRITES = 25  # more than a run has: the last ones die never


@dataclass
class World:
    """What tools have done, and what the chat has read and was asked."""

    done: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


world = World()  # of the test that runs


async def append(line: str) -> str:
    """Append a line."""
    world.done.append(line)
    return f"appended {line}"


@tool(ask=True)
async def pay(line: str) -> str:
    """Pay for it."""
    world.done.append(line)
    return f"paid {line}"


@tool(idempotent=True)
async def note(line: str) -> str:
    """Note it."""
    world.done.append(line)
    return f"noted {line}"


@pytest.fixture(scope="module")
def agent() -> Iterator[LlmAgent]:
    """One for all tests: a process that dies leaves nothing in it, and its tools take long to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "make", lambda *_: scripted(*SCRIPT))
        made = LlmAgent(Settings(token="42:a", model="demo"))
        made._functions = {"append": append, "pay": pay, "note": note}
        yield made


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.world", World())
    # No power cut in these tests, so waiting for the disk proves nothing.
    monkeypatch.setattr("tgbot.store.engine.sqlite.opening.PRAGMAS", (*PRAGMAS, "PRAGMA synchronous=OFF"))


@pytest.mark.parametrize("choice", [0, 1], ids=["again", "skip"])
@pytest.mark.parametrize("dies_at", range(WRITES))
async def test_what_tools_do_happens_once_or_the_chat_is_asked(
    agent: LlmAgent, start_instance: StartInstance, dies_at: int, choice: int
) -> None:
    await live(agent, start_instance, [dies_at], choice)


@pytest.mark.parametrize("then_at", range(9, 15))
@pytest.mark.parametrize("dies_at", [6, 11, 18])
async def test_a_second_death_while_it_goes_on_is_asked_about_anew(
    agent: LlmAgent, start_instance: StartInstance, dies_at: int, then_at: int
) -> None:
    await live(agent, start_instance, [dies_at, then_at], 0)


@pytest.mark.soak
@pytest.mark.parametrize("then_at", range(WRITES))
@pytest.mark.parametrize("dies_at", range(WRITES))
async def test_two_deaths_at_every_pair_of_commits(
    agent: LlmAgent, start_instance: StartInstance, dies_at: int, then_at: int
) -> None:
    await live(agent, start_instance, [dies_at, then_at], (dies_at + then_at) % 2)


async def live(agent: LlmAgent, start_instance: StartInstance, deaths: list[int], choice: int) -> None:
    """Run the turn through one process after another; each dies before the commit of that number."""
    instance, left = start_instance(), [*deaths, None]
    waiting = [instance.start("go")]
    while waiting:
        turn = waiting.pop()
        writer = Writer(instance, left[0])
        events = await speak(agent.run, turn, writer)
        if events is None:
            left.pop(0)
            instance = start_instance()
            instance.recover()
            waiting = instance.claim_waiting()
            continue
        left[0] = writer.left
        world.read += [event for event in events if isinstance(event, str)]
        end(instance, turn, events)
        world.asked += [event.key for event in events if isinstance(event, Question)]
        waiting += press_all(instance, choice)
    check(instance, choice, len(deaths))


def check(instance: Instance, choice: int, deaths: int) -> None:
    assert "".join(world.read).replace("\n", "") == "One.Two.Done.", "said once, in order, whole"
    calls = {call.call_id: call.arguments["line"] for step in SCRIPT for call in step.calls}
    unsure = Counter(calls[call_of(key)] for key in world.asked if key.startswith("again-"))
    done = Counter(world.done)
    for line in "abcdef":
        most = 1 + (deaths if line == "e" else unsure[line] if choice == 0 else 0)  # "e" is idempotent
        least = 0 if choice == 1 and unsure[line] else 1
        assert least <= done[line] <= most, (line, world)
    assert instance.states() == {"go": "done"}
    check_log(instance)


def check_log(instance: Instance) -> None:
    """Every call has its result in the next request, as providers demand."""
    turn = instance.start("next")
    log = read(instance.do(history.seen, turn), turn.row_id).messages()
    for response, request in zip(log[1::2], log[2::2], strict=False):
        assert isinstance(response, ModelResponse)
        assert isinstance(request, ModelRequest)
        returned = [part.tool_call_id for part in request.parts if isinstance(part, ToolReturnPart)]
        assert returned == [call.tool_call_id for call in response.tool_calls]
    assert len(log) == 2 * len(STEPS)
