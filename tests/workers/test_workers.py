"""Several workers do what one does: nothing lost, doubled or out of order, one turn of a chat at a time."""

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import Person
from tests.workers.conftest import Hire
from tgbot.playground.membership import ADMIN
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.upgrade import upgrade_group

# A hint makes things happen at once, and without any they happen at the next look.
by_hints_or_not = pytest.mark.parametrize("agents", ["tests.workers.hinted", "tests.workers.deaf"])


@by_hints_or_not
async def test_all_of_them_run_turns_and_each_chat_sees_its_answers_in_order(
    hire: Hire, wire: PlaygroundServer, agents: str
) -> None:
    crew = hire(3, agent=f"{agents}:slow", max_turns=2)
    await crew.start()
    people = [Person(wire, user_id) for user_id in range(11, 17)]
    for person in people:
        person.says(f"{person.user_id}-1", f"{person.user_id}-2")
    owners = [await crew.begins(f"{person.user_id}-1") for person in people]
    assert sorted(owners.count(worker) for worker in crew.workers) == [2, 2, 2]
    for person in people:
        crew.let_end(f"{person.user_id}-1")
        crew.let_end(f"{person.user_id}-2")
    for person in people:
        await person.sees_at_last(f"re: {person.user_id}-1", f"re: {person.user_id}-2")
    await crew.end()
    crew.check_turns()


@by_hints_or_not
async def test_a_stop_reaches_the_turn_wherever_it_runs(
    hire: Hire, wire: PlaygroundServer, agents: str
) -> None:
    crew = hire(2, agent=f"{agents}:slow", max_turns=1)
    await crew.start()
    ann, ben = Person(wire, 11), Person(wire, 12)
    ann.says("11-1")
    ben.says("12-1")
    assert await crew.begins("11-1") != await crew.begins("12-1")
    for person in (ann, ben):
        person.says("/stop")
        await person.sees_among("Stopped.")
    await eventually(
        lambda: sum(worker.log.count("state=stopped") for worker in crew.workers) == 2, "both ended"
    )
    await crew.end()


async def test_the_turns_of_a_worker_that_dies_go_on_with_another(hire: Hire, wire: PlaygroundServer) -> None:
    crew = hire(2, agent="tests.workers.agents:slow")
    await crew.start()
    ann = Person(wire, 11)
    ann.says("11-1", "11-2")
    owner = await crew.begins("11-1")
    await crew.kill(owner)
    assert await crew.begins("11-1", times=2) != owner
    crew.let_end("11-1")
    crew.let_end("11-2")
    await ann.sees_at_last("re: 11-1", "re: 11-2")
    await crew.end()
    crew.check_turns()


async def test_when_the_poller_dies_another_one_polls_and_nothing_is_lost(
    hire: Hire, wire: PlaygroundServer
) -> None:
    crew = hire(3)
    await crew.start()
    ann = Person(wire, 11)
    for number in range(3):
        ann.says(f"11-{number}")
        owner = await crew.begins(f"11-{number}")
        await crew.kill(owner)
        await owner.start()
    await eventually(
        lambda: all(any(said.startswith(f"11-{n}/0") for said in ann.sees) for n in range(3)), "all answers"
    )
    await crew.end()
    crew.check_turns()


async def test_a_worker_that_was_paused_for_longer_than_its_lease_writes_and_sends_nothing(
    hire: Hire, wire: PlaygroundServer
) -> None:
    crew = hire(2, agent="tests.workers.agents:slow")
    await crew.start()
    ann = Person(wire, 11)
    ann.says("11-1")
    owner = await crew.begins("11-1")
    await ann.sees_among("re: 11-1")
    crew.pause(owner)
    assert await crew.begins("11-1", times=2) != owner
    crew.go_on(owner)
    await owner.logs("app.started", times=2)
    crew.let_end("11-1")
    await ann.sees_at_last("re: 11-1")
    ann.says("11-2")
    crew.let_end("11-2")
    await ann.sees_at_last("re: 11-1", "re: 11-2")
    await crew.end()


async def test_a_group_that_became_a_supergroup_is_one_chat_also_where_two_workers_had_it(
    hire: Hire, wire: PlaygroundServer
) -> None:
    """Each runs a turn, one in the old chat and one in the new, when they hear that the two are one."""
    crew, world = hire(2, agent="tests.workers.agents:slow", max_turns=1), wire.world
    world.make_chat(-77, "Friends")
    await crew.start()
    old = Person(wire, 7, -77)
    old.says("old-1")
    owner = await crew.begins("old-1")
    await old.sees_among("re: old-1")
    new_id = upgrade_group(world, -77, silently=True)
    new = Person(wire, 7, new_id)
    new.says("new-1")
    assert await crew.begins("new-1") != owner
    moved = world.add_message(world.chat(new_id), ADMIN, {"migrate_from_chat_id": -77})
    world.inject_update({"message": moved})
    await eventually(
        lambda: any("turn.lost_guard" in worker.log for worker in crew.workers), "it is heard of"
    )
    crew.let_end("old-1")
    assert await crew.begins("new-1", times=2) == owner, "behind the older one, where that is"
    crew.let_end("new-1")
    await new.sees_at_last("re: old-1", "re: new-1")
    await crew.end()
