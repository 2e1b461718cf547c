"""The model "demo": what it does for each sentence that it understands, through the real agent."""

import re
import struct
import zlib

import pytest

from tests.llm.dying import Writer, end, speak
from tests.store.instance import Instance
from tgbot.agents.llm import demo, demo_tools, names
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.assistant import Assistant
from tgbot.config import Settings
from tgbot.model import KeptFile, Turn
from tgbot.turns.agent import Event, Progress, Question

SETTINGS = Settings(token="42:a", model=names.DEMO)


class Chat:
    """One person's chat with the demo."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._agent = LlmAgent(SETTINGS)

    async def say(self, text: str) -> list[Event]:
        return await self._run(self._instance.start(text))

    async def press(self, number: int) -> list[Event]:
        """Press the button with this number below the question."""
        [(row, question)] = self._instance.rows("SELECT pending_id, id FROM question WHERE answer IS NULL")
        [turn] = self._instance.press(f"answer:{row}:{question}:{number}").claimed
        return await self._run(turn)

    async def _run(self, turn: Turn) -> list[Event]:
        events = await speak(self._agent.run, turn, Writer(self._instance, None))
        assert events is not None
        end(self._instance, turn, events)
        return events


@pytest.fixture
def chat(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Chat:
    monkeypatch.setattr(demo, "WORD_SECONDS", 0)
    monkeypatch.setattr(demo_tools, "PAY_SECONDS", 0)
    return Chat(instance)


def words(events: list[Event]) -> str:
    return "".join(event for event in events if isinstance(event, str))


def progress(events: list[Event]) -> list[str]:
    return [event.line for event in events if isinstance(event, Progress)]


async def test_what_it_does_not_understand_is_answered_with_what_to_try_word_by_word(chat: Chat) -> None:
    events = await chat.say("hello")
    assert words(events) == demo.HELP
    assert len(events) > 50


async def test_each_sentence_that_it_suggests_calls_a_tool(chat: Chat) -> None:
    suggested = re.findall(r"^- `(.+?)`", demo.HELP, re.MULTILINE)
    assert len(suggested) == 6
    for sentence in suggested:
        found = demo._next(sentence, [])
        assert found.call, sentence


async def test_it_looks_at_the_clock(chat: Chat) -> None:
    events = await chat.say("What time is it?")
    assert re.fullmatch(r"It is \w+day, [\d-]+ [\d:]+ \(UTC, UTC\+0000\)\.", words(events))
    assert progress(events) == ["Looking at the clock"]


async def test_it_remembers_and_forgets(chat: Chat) -> None:
    assert words(await chat.say("what do you remember?")).startswith("Nothing yet.")
    await chat.say("remember that my cat is called Tom.")
    await chat.say("Remember I like tea, at any time")
    assert words(await chat.say("what do you remember?")).endswith(
        "- I like tea, at any time\n- my cat is called Tom"
    )
    assert words(await chat.say("forget my cat")) == "Forgotten."
    assert "Tom" not in words(await chat.say("what do you remember?"))


async def test_it_draws_a_chart_and_sends_it(chat: Chat) -> None:
    events = await chat.say("draw a chart of 1 2.5 4")
    [sent] = [event for event in events if isinstance(event, KeptFile)]
    assert (sent.name, sent.kind, sent.caption) == ("chart.png", "photo", "1, 2.5, 4")
    assert words(events) == "One moment.\n\nHere it is, drawn by a tool."


@pytest.mark.parametrize(
    ("button", "answer"),
    [(0, "**Paid 20 € to Ann.** (The money is made up, too.)"), (2, "As you wish: nothing was paid.")],
)
async def test_it_asks_before_it_pays(chat: Chat, button: int, answer: str) -> None:
    events = await chat.say("pay 20 € to Ann")
    [question] = [event for event in events if isinstance(event, Question)]
    assert "20 €" in question.text
    assert progress(events) == []
    assert words(await chat.press(button)) == answer


async def test_it_pays_without_asking_when_that_was_allowed_for_the_chat(chat: Chat) -> None:
    await chat.say("pay 20 € to Ann")
    await chat.press(1)
    assert words(await chat.say("pay 3.50 $ to Ben")).endswith(
        "**Paid 3.50 $ to Ben.** (The money is made up, too.)"
    )


async def test_it_works_in_ten_steps_each_a_call_of_its_own(chat: Chat) -> None:
    events = await chat.say("work for 0 seconds")
    assert progress(events) == [f"Step {n} of 10" for n in range(1, 11)]
    assert words(events).count("is done.") == 10


async def test_another_model_has_none_of_its_tools() -> None:
    assert Assistant(lambda: SETTINGS, {}, [])._demo_tools() == demo_tools.FUNCTIONS
    assert Assistant(lambda: Settings(token="42:a", model="openai:demo"), {}, [])._demo_tools() == {}


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [3, 5, 8.5], list(range(40))])
def test_a_chart_is_a_png_whose_bars_are_as_high_as_its_values(values: list[float]) -> None:
    rows = pixels(demo_tools.bar_chart(values))
    full = demo_tools.HEIGHT - 2 * demo_tools.MARGIN
    slot = (demo_tools.WIDTH - 2 * demo_tools.MARGIN) / len(values)
    for number, value in enumerate(values):
        middle = round(demo_tools.MARGIN + (number + 0.5) * slot)
        high = sum(row[middle] == demo_tools.BAR for row in rows)
        assert high == round(value / (max(values) or 1) * full)


def pixels(png: bytes) -> list[bytes]:
    """Decode a PNG that has a palette, and no filter."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        chunks[kind] = png[at + 8 : at + 8 + length]
        [checksum] = struct.unpack_from(">I", png, at + 8 + length)
        assert checksum == zlib.crc32(kind + chunks[kind])
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    raw = zlib.decompress(chunks[b"IDAT"])
    assert len(raw) == height * (width + 1)
    return [raw[y * (width + 1) + 1 : (y + 1) * (width + 1)] for y in range(height)]
