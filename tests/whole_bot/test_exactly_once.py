"""All faults at once, and kills: each answer is on screen exactly once at the end, in order, complete."""

import asyncio
import random
import time
from collections import Counter

import pytest

from tests.waiting import eventually
from tests.whole_bot.agents import answer_to
from tests.whole_bot.between import with_webhook
from tests.whole_bot.faults import rage
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer


class Storm:
    """Faults on every tenth request, people who type, and a process that is killed now and then."""

    def __init__(self, bot: BotProcess, wire: PlaygroundServer, chats: int, seed: int) -> None:
        self.people = [Person(wire, 100 + n) for n in range(chats)]
        self.dice = random.Random(seed)
        self.kills = 0
        self._bot = bot
        self._wire = wire
        self._said: dict[int, list[str]] = {person.user_id: [] for person in self.people}
        self.met: Counter[str] = Counter()
        self._count_calls()

    def _count_calls(self) -> None:
        record = self._wire.world.journal.record

        def counted(entry: dict[str, object]) -> None:
            self.met[f"{entry['status']} applied" if entry["applied"] else f"{entry['status']}"] += 1
            self.met[f"lost {entry['method']}"] += entry["applied"] is True and entry["status"] is None
            record(entry)

        self._wire.world.journal.record = counted  # type: ignore[method-assign]

    def rage(self) -> None:
        rage(self._wire, self.dice)

    def type(self, turns: int) -> None:
        for _ in range(turns):
            person = self.dice.choice(self.people)
            said = self._said[person.user_id]
            said.append(f"{person.user_id}-{len(said)}")
            person.says(said[-1])

    async def kill(self) -> None:
        self.kills += 1
        await self._bot.kill()
        await self._bot.start()

    @property
    def answered(self) -> bool:
        return not self.strays and all(
            self._answers_of(person) == self._expected(person) for person in self.people
        )

    @property
    def strays(self) -> int:
        return sum(person.sees.count("…") for person in self.people)

    def judge(self) -> None:
        """Name the first chat that is wrong, rather than all that are right."""
        for person in self.people:
            assert self._answers_of(person) == self._expected(person), person.user_id
        assert self.strays == 0

    def _answers_of(self, person: Person) -> list[str]:
        # Parts are put together by their words: a cut at a space takes the space.
        return " ".join(person.sees).split()

    def _expected(self, person: Person) -> list[str]:
        return [word for said in self._said[person.user_id] for word in answer_to(said).split()]


async def _storm(bot: BotProcess, storm: Storm, turns: int, kills: int) -> None:
    bot.setting(agent="tests.whole_bot.agents:patient", crashes_max=1000, queue_max=1000)
    await bot.start()
    storm.rage()
    left = turns
    for _ in range(kills):
        batch = left // 2
        storm.type(batch)
        left -= batch
        await bot.logs(
            "app.started", times=storm.kills + 1
        )  # or a slow machine would die before it did anything
        await asyncio.sleep(0.2 + storm.dice.random() * 2)
        await storm.kill()
    storm.type(left)


async def test_under_all_faults_at_once_and_kills_each_answer_is_shown_exactly_once(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    storm = Storm(bot, wire, chats=6, seed=1)
    await _storm(bot, storm, turns=40, kills=3)
    await eventually(lambda: storm.answered, "every answer once, in order, complete")
    await bot.stop()
    storm.judge()


async def test_with_a_webhook_too_whose_posts_are_delayed_and_whose_answers_are_lost(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    async with with_webhook(bot) as between:
        between.delay_seconds, between.lost = 0.3, 0.2
        storm = Storm(bot, wire, chats=6, seed=2)
        await _storm(bot, storm, turns=18, kills=2)
        await eventually(lambda: storm.answered, "every answer once, in order, complete")
        await bot.stop()
        storm.judge()


@pytest.mark.soak
async def test_two_thousand_turns_in_fifty_chats(bot: BotProcess, wire: PlaygroundServer) -> None:
    seed = random.randrange(2**32)
    began = time.monotonic()
    storm = Storm(bot, wire, chats=50, seed=seed)
    await _storm(bot, storm, turns=2000, kills=20)
    deadline = began + 1800
    while not storm.answered:  # a look at 50 chats costs something: not every few milliseconds
        assert time.monotonic() < deadline, "every answer once, in order, complete"
        await asyncio.sleep(1)
    await bot.stop()
    storm.judge()
    print(  # noqa: T201 - a soak's figures, shown by `make soak`
        f"seed {seed}: 2000 turns, 50 chats, {storm.kills} kills, {storm.strays} stray placeholders,"
        f" {time.monotonic() - began:.0f} s; calls: {dict(sorted(storm.met.items()))}"
    )
