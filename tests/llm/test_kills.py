"""The real process with a model, killed at random moments: what tools do happens once, or is asked about."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.llm.answers import Fixture, after_tool, calls, in_turn, says, slow, tool
from tests.llm.model_server import ModelServer, model_server
from tests.llm.request import check_results
from tests.waiting import eventually
from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = 10  # with tools; the answer ends in one more
DEATHS = 5  # while three people wait for their ten steps; the last one is a SIGTERM
QUESTIONS = ("May I run", "I was interrupted")


def calls_of(name: str, step: int) -> list[tuple[str, str]]:
    """Name the tools of a step, one to three at once, and their lines."""
    several = ("append", "append_in_thread", "append")[: 1 + step % 3]
    tools = {4: ("append", "pay"), 7: ("note", "pay", "append")}.get(step, several)
    return [(one, f"{name}-{step}-{number}") for number, one in enumerate(tools)]


def answers_to(name: str) -> list[Fixture]:
    """Let the model run ten steps, and say something in each."""
    steps = [
        {
            "match": {"userMessage": f"go {name}"},
            "response": {
                "content": f"{name} is at step {step}.",
                "toolCalls": [tool(one, {"line": line}) for one, line in calls_of(name, step)],
            },
        }
        for step in range(STEPS)
    ]
    in_all = [*steps, says(f"go {name}", f"{name} is done.")]
    paced = [slow(in_turn(turn, one), pieces_per_second=50) for turn, one in enumerate(in_all)]
    return [*paced, says(f"bye {name}", f"Bye {name}.")]


class Guest(Person):
    """Somebody whose turn runs. What asks first is allowed; what may have run, is as the dice fall."""

    def __init__(self, wire: PlaygroundServer, user_id: int, name: str, dice: random.Random) -> None:
        super().__init__(wire, user_id)
        self.name = name
        self.chosen: Counter[tuple[str, str]] = Counter()  # by line and choice
        self._dice = dice
        self._answered: set[int] = set()

    @property
    def answer(self) -> list[str]:
        """What the bot has said, without its questions."""
        return [said for said in self.sees if not said.startswith(QUESTIONS)]

    @property
    def is_done(self) -> bool:
        return any(f"{self.name} is done." in said or "Stopped." in said for said in self.answer)

    def open_questions(self) -> Iterator[tuple[dict[str, Any], list[str]]]:
        for message in self.screen:
            if message["message_id"] not in self._answered and message["text"].startswith(QUESTIONS):
                rows = message.get("reply_markup", {}).get("inline_keyboard", [])
                if labels := [button["text"] for row in rows for button in row]:
                    yield message, labels

    def answer_questions(self) -> None:
        for message, labels in list(self.open_questions()):
            choice = "Allow" if "Allow" in labels else self._dice.choice(["Run again", "Skip"])
            line = message["text"].rpartition("line: ")[2]
            self.chosen[line, choice] += 1
            self._answered.add(message["message_id"])
            self.presses_below(message, choice)

    def check(self, lines: Counter[str], deaths: int) -> None:
        """Each line is there once, or as often as the answers say; the answer is whole, in order, once."""
        stopped = f"{self.name} is done." not in " ".join(self.answer)
        for step in range(STEPS):
            for tool_name, line in calls_of(self.name, step):
                again, skipped = self.chosen[line, "Run again"], self.chosen[line, "Skip"]
                most = 1 + (deaths if tool_name == "note" else again)
                least = 0 if stopped or skipped else 1
                assert least <= lines[line] <= most, (line, lines[line], self.chosen, self.sees)
        if not stopped:
            words = [*(f"{self.name} is at step {step}." for step in range(STEPS)), f"{self.name} is done."]
            assert " ".join(self.answer).split() == " ".join(words).split()


class Storm:
    """A process that dies again and again while guests wait for their answers; the last one says /stop."""

    def __init__(self, bot: BotProcess, wire: PlaygroundServer, server: ModelServer, seed: int) -> None:
        self.bot = bot
        self.wire = wire
        self.server = server
        self._dice = random.Random(seed)
        self._ids = iter(range(100, 1000))

    @property
    def lines(self) -> Counter[str]:
        path = self.bot.database.parent / "lines"
        return Counter(path.read_text().split() if path.exists() else [])

    def guests(self, *names: str) -> list[Guest]:
        """Let guests come, and say what they came for."""
        came = [Guest(self.wire, next(self._ids), name, self._dice) for name in names]
        for guest in came:
            guest.says(f"go {guest.name}")
        return came

    async def rage(self, *names: str) -> None:
        """Let guests of these names live through some deaths."""
        await self.server.answers_by(*(one for name in names for one in answers_to(name)))
        guests = self.guests(*names)
        stopping = asyncio.create_task(self._stop(guests[-1]))
        await self._live_and_die(guests, by_kill=True)  # what is asked then stays open over it
        answering = asyncio.create_task(_answer_questions(guests))
        for number in range(2, DEATHS + 1):
            await self._live_and_die(guests, by_kill=number < DEATHS)
        answering.cancel()
        await self.bot.start()
        await self.settled(*guests)
        stopping.cancel()
        for guest in guests:
            guest.check(self.lines, DEATHS)
        await self._part(guests)

    async def settled(self, *guests: Guest) -> None:
        """Answer questions until the answers are there."""
        answering = asyncio.create_task(_answer_questions(guests))
        try:
            await eventually(lambda: all(guest.is_done for guest in guests), "every answer")
        except AssertionError as late:
            raise AssertionError(
                {guest.name: guest.screen for guest in guests}, self.bot.log[-2000:]
            ) from late
        answering.cancel()

    async def _part(self, guests: Sequence[Guest]) -> None:
        """Say good-bye, and look at all that the model was sent: every history was valid."""
        for guest in guests:
            guest.says(f"bye {guest.name}")
        await eventually(lambda: all(f"Bye {guest.name}." in guest.sees for guest in guests), "the farewells")
        await self.bot.stop()
        for request in self.server.journal():
            check_results(request)

    async def _live_and_die(self, guests: Sequence[Guest], *, by_kill: bool) -> None:
        """Start; when it works, wait a moment, and die."""
        requests = len(self.server.journal())

        def works() -> bool:
            asks = any(True for guest in guests for _ in guest.open_questions())
            return len(self.server.journal()) > requests or asks or all(guest.is_done for guest in guests)

        await self.bot.start()
        await eventually(works, "it does something")
        await asyncio.sleep(self._dice.random() * 0.6)
        await (self.bot.kill() if by_kill else self.bot.stop())

    async def _stop(self, guest: Guest) -> None:
        """Let a guest say /stop at some step, whether the process lives or not."""
        step = self._dice.randrange(STEPS)
        await eventually(lambda: any(f"{guest.name}-{step}-" in line for line in self.lines), "a step")
        guest.says("/stop")


async def _answer_questions(guests: Sequence[Guest]) -> None:
    while True:
        for guest in guests:
            guest.answer_questions()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def storm(folder: Path, seed: int) -> AsyncIterator[Storm]:
    async with (
        PlaygroundServer(port=0) as wire,
        model_server() as server,
        judged_bot(wire, folder, agent="llm", model="some-model") as bot,
    ):
        bot.setting(model_url=server.openai_url, tools="tests.llm.kill_tools")
        bot.setting(crashes_max=1000, grace_seconds=0)
        yield Storm(bot, wire, server, seed)


async def test_kills_at_random_moments_double_and_lose_no_effect(tmp_path: Path) -> None:
    async with storm(tmp_path, seed=1) as raging:
        await raging.rage("ann", "ben", "sam")


async def test_a_turn_that_a_shutdown_interrupts_goes_on_from_its_last_step(tmp_path: Path) -> None:
    async with storm(tmp_path, seed=1) as calm:
        await calm.server.answers_by(*answers_to("ann"))
        [ann] = calm.guests("ann")
        await calm.bot.start()
        await eventually(lambda: len(calm.server.journal()) == 4, "the fourth step")
        assert await calm.bot.stop() == 0
        await calm.bot.start()
        await calm.settled(ann)
        ann.check(calm.lines, deaths=1)
        spoken = [sum(one["role"] == "assistant" for one in sent.messages) for sent in calm.server.journal()]
        assert spoken in ([0, 1, 2, 3, *range(3, STEPS + 1)], [*range(STEPS + 1)]), (
            "no step is asked for again"
        )


async def test_a_question_outlives_the_process_and_is_answered_while_there_is_none(tmp_path: Path) -> None:
    async with storm(tmp_path, seed=1) as calm:
        paying = [calls("pay", tool("pay", {"line": line}), text=line) for line in ("first", "second")]
        await calm.server.answers_by(*map(in_turn, (0, 2), paying), after_tool("Paid."))
        ann = Person(calm.wire)
        await calm.bot.start()
        ann.says("pay")
        await ann.sees_among("May I run")
        await calm.bot.kill()
        ann.presses("Always in this chat")
        assert calm.lines.total() == 0
        await calm.bot.start()
        await ann.sees_among("Paid.")
        ann.says("pay again")
        await eventually(lambda: sum("Paid." in said for said in ann.sees) == 2, "it needs no question now")
        assert calm.lines == {"first": 1, "second": 1}
        assert len(ann.sees) == 4


@pytest.mark.soak
async def test_a_hundred_deaths(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    async with storm(tmp_path, seed) as raging:
        for number in range(100 // DEATHS):
            await raging.rage(*(f"{name}{number}" for name in ("ann", "ben", "sam")))
        lines = raging.lines
    again = sum(count > 1 for count in lines.values())
    print(f"seed {seed}: 100 deaths, {lines.total()} lines, {again} of them again")  # noqa: T201 - `make soak` shows it
