"""What is stopped at whatever moment leaves a history that the next model accepts and understands."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.llm.answers import Fixture, after_tool, calls, says, slow, tool
from tests.llm.bots import ModelBot, model_bot
from tests.llm.request import Message, check_results
from tests.waiting import eventually
from tests.whole_bot.process import Person
from tgbot.agents.llm.broken_off import UNKNOWN
from tgbot.agents.llm.log import UNANSWERED

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORY = "Once upon a time there was a bot that never lost a message. The end."
INTERRUPTED = "The tool call was interrupted before a result was produced."  # pydantic-ai's words
NEXT = (says("second", "Two."), says("third", "Three."))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ModelBot]:
    async with model_bot(tmp_path_factory.mktemp("stop"), tools="tests.llm.proof_tools") as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that tools wait for."""
    return tmp_path / "gate"


def user(text: str) -> Message:
    return {"role": "user", "text": text}


def assistant(text: str, *called: Any) -> Message:  # noqa: ANN401 - as `tool` makes them
    return {"role": "assistant", "text": text, **({"calls": list(called)} if called else {})}


def result(text: str) -> Message:
    return {"role": "tool", "text": text}


async def begins(bot: ModelBot, *fixtures: Fixture) -> Person:
    """Let a new person say "first"."""
    ann = bot.person()
    await bot.answers_by(*NEXT, *fixtures)
    ann.says("first")
    return ann


async def stops(bot: ModelBot, ann: Person, *left: Message) -> None:
    """Stop it now. The two turns after that have to be sent exactly what is left of it, and their own."""
    ann.says("/stop")
    await ann.sees_among("Stopped.")
    before = len(bot.sent)
    ann.says("second", "third")
    await ann.sees_among("Three.")
    second, third = bot.sent[before:]
    said = [user("first"), *left, assistant(UNANSWERED), user("second")]
    assert second.messages[1:] == said
    assert third.messages[1:] == [*said, assistant("Two."), user("third")]
    for request in (second, third):
        check_results(request)


async def test_before_the_first_word(bot: ModelBot) -> None:
    ann = await begins(bot, slow(says("first", STORY), first_seconds=60))
    await eventually(lambda: len(bot.sent) == 1, "the request")
    await stops(bot, ann)


async def test_in_the_middle_of_the_text(bot: ModelBot) -> None:
    ann = await begins(bot, slow(says("first", STORY * 20), pieces_per_second=10))
    await ann.sees_among("Once upon")
    ann.says("/stop")
    await ann.sees_among("Stopped.")
    half = ann.sees[0]
    await stops_again(bot, ann, half)


async def stops_again(bot: ModelBot, ann: Person, half: str) -> None:
    """As `stops`, where what the model was stopped at is known only now."""
    ann.says("second", "third")
    await ann.sees_among("Three.")
    second, third = bot.sent[-2:]
    said = second.messages[1:]
    assert [one["role"] for one in said] == ["user", "assistant", "user"]
    assert said[1]["text"].startswith(half)
    assert (STORY * 20).startswith(said[1]["text"])
    assert third.messages[1:] == [*said, assistant("Two."), user("third")]


async def test_while_one_tool_of_two_still_runs(bot: ModelBot, gate: Path, tmp_path: Path) -> None:
    noting = tool("note", {"path": str(tmp_path / "lines"), "line": "a"})
    waiting = tool("wait_for", {"path": str(gate)})
    ann = await begins(bot, calls("first", noting, waiting, text="Wait."))
    await has_begun(gate)
    await eventually((tmp_path / "lines").exists, "the other one")
    await stops(bot, ann, assistant("Wait.", noting, waiting), result("noted a"), result(UNKNOWN))
    assert (tmp_path / "lines").read_text() == "a\n"
    assert gate.with_suffix(".ended").exists()


async def test_between_two_steps(bot: ModelBot, tmp_path: Path) -> None:
    noting = tool("note", {"path": str(tmp_path / "lines"), "line": "a"})
    ann = await begins(bot, calls("first", noting), slow(after_tool("Done."), first_seconds=60))
    await eventually(lambda: len(bot.sent) == 2, "the second request")
    await stops(bot, ann, assistant("", noting), result("noted a"))


async def test_while_a_question_is_open(bot: ModelBot, tmp_path: Path) -> None:
    """What was done before the question is known as done, what it asks about as not made."""
    lines = tmp_path / "lines"
    noting = tool("note", {"path": str(lines), "line": "a"})
    paying = tool("pay", {"path": str(lines), "line": "b"})
    ann = await begins(bot, calls("first", noting, paying))
    await ann.sees_among("May I run pay?")
    await stops(bot, ann, assistant("", noting, paying), result("noted a"), result(INTERRUPTED))
    assert lines.read_text() == "a\n"


async def test_right_after_the_press_of_allow(bot: ModelBot, gate: Path) -> None:
    paying = tool("pay_slowly", {"path": str(gate)})
    ann = await begins(bot, calls("first", paying))
    await ann.sees_among("May I run pay_slowly?")
    ann.presses("Allow")
    await has_begun(gate)
    await stops(bot, ann, assistant("", paying), result(UNKNOWN))
    assert gate.with_suffix(".ended").exists()


async def test_a_press_and_a_stop_in_one_moment(bot: ModelBot, gate: Path) -> None:
    """Whichever is first: nothing runs on, and the model is not told that a call was made that was not."""
    paying = tool("pay_slowly", {"path": str(gate)})
    ann = await begins(bot, calls("first", paying))
    await ann.sees_among("May I run pay_slowly?")
    ann.presses("Allow")
    ann.says("/stop")
    await ann.sees_among("Stopped.")
    begun = gate.with_suffix(".begun").exists()
    ann.says("second", "third")
    await ann.sees_among("Three.")
    *_, second, _ = bot.sent
    assert second.messages[1:3] == [user("first"), assistant("", paying)]
    assert second.messages[3]["text"] in ({UNKNOWN, INTERRUPTED} if begun else {INTERRUPTED})
    check_results(second)
    assert begun == gate.with_suffix(".ended").exists()


async def has_begun(gate: Path) -> None:
    await eventually(gate.with_suffix(".begun").exists, "the tool")
