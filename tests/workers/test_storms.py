"""Workers under faults, kills, pauses and without a database: every answer once, in order, complete."""

import asyncio
import random

import pytest

from tests import postgres
from tests.waiting import eventually
from tests.whole_bot.agents import answer_to
from tests.whole_bot.faults import rage
from tests.whole_bot.process import Person
from tests.workers.conftest import Hire
from tests.workers.crew import Crew
from tgbot.playground.server import PlaygroundServer


class Storm:
    """People who type while something happens to the workers; `judge` waits for every answer."""

    def __init__(self, crew: Crew, wire: PlaygroundServer, chats: int, seed: int) -> None:
        self.crew = crew
        self.people = [Person(wire, 100 + n) for n in range(chats)]
        self.dice = random.Random(seed)
        self._said: dict[int, list[str]] = {person.user_id: [] for person in self.people}

    def type(self, turns: int) -> None:
        for _ in range(turns):
            person = self.dice.choice(self.people)
            said = self._said[person.user_id]
            said.append(f"{person.user_id}-{len(said)}")
            person.says(said[-1])

    async def happen(self) -> None:
        """Let one worker die, or be paused for longer than its lease."""
        worker = self.dice.choice(self.crew.workers)
        await asyncio.sleep(self.dice.random())
        if self.dice.random() < 0.3:
            self.crew.pause(worker)
            await asyncio.sleep(6)
            self.crew.go_on(worker)
        else:
            await self.crew.kill(worker)
            await worker.start()

    async def judge(self) -> None:
        await eventually(self._all_answered, "every answer once, in order, complete")
        await self.crew.began()
        await self.crew.end()
        assert self._all_answered()
        self.crew.check_turns()

    def _all_answered(self) -> bool:
        return all(self._is_answered(person) for person in self.people)

    def _is_answered(self, person: Person) -> bool:
        wanted = [word for said in self._said[person.user_id] for word in answer_to(said).split()]
        return " ".join(person.sees).split() == wanted


async def test_under_all_faults_and_deaths_each_answer_is_shown_exactly_once(
    hire: Hire, wire: PlaygroundServer
) -> None:
    storm = Storm(hire(3, max_turns=3), wire, chats=6, seed=1)
    await storm.crew.start()
    rage(wire, storm.dice)
    for _ in range(4):
        storm.type(8)
        await storm.happen()
    storm.type(8)
    await storm.judge()


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_a_server_that_is_restarted_costs_no_message_and_no_restart_of_a_worker(
    hire: Hire, wire: PlaygroundServer, own_server: postgres.Server, how: str
) -> None:
    storm = Storm(hire(2), wire, chats=4, seed=2)
    await storm.crew.start()
    storm.type(10)
    await asyncio.sleep(0.5)
    own_server.restart(how)
    storm.type(10)
    await storm.judge()
    assert all(worker.log.count("app.started") == 1 for worker in storm.crew.workers)


async def test_a_server_that_is_away_for_longer_than_the_leases_costs_no_message(
    hire: Hire, wire: PlaygroundServer, own_server: postgres.Server
) -> None:
    storm = Storm(hire(2), wire, chats=4, seed=3)
    await storm.crew.start()
    storm.type(10)
    await asyncio.sleep(0.5)
    with own_server.away():
        storm.type(10)
        await asyncio.sleep(6)
    storm.type(10)
    await storm.judge()


@pytest.mark.soak
async def test_a_hundred_deaths(hire: Hire, wire: PlaygroundServer) -> None:
    storm = Storm(hire(3, max_turns=8), wire, chats=12, seed=random.randrange(2**32))
    await storm.crew.start()
    rage(wire, storm.dice)
    for _ in range(100):
        storm.type(10)
        await storm.happen()
    await storm.judge()


@pytest.mark.soak
async def test_real_leases_outlive_pauses_of_forty_seconds_and_a_server_away_for_thirty(
    hire: Hire, wire: PlaygroundServer, own_server: postgres.Server
) -> None:
    storm = Storm(hire(3, agent="tests.workers.unhurried:noted", max_turns=3), wire, chats=8, seed=4)
    await storm.crew.start()
    rage(wire, storm.dice)
    for worker in storm.crew.workers:
        storm.type(20)
        await asyncio.sleep(0.5)
        storm.crew.pause(worker)
        storm.type(20)
        await asyncio.sleep(40)
        storm.crew.go_on(worker)
    with own_server.away():
        storm.type(20)
        await asyncio.sleep(30)
    storm.type(20)
    await storm.judge()
