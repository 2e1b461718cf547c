"""Workers that all take webhooks, behind a proxy: what is posted to one of them, or two, is answered once."""

from tests.waiting import eventually
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tests.workers.conftest import Hire
from tests.workers.crew import Crew
from tests.workers.proxy import with_proxy
from tgbot.playground.server import PlaygroundServer

QUICK = "tests.workers.agents:quick"


async def ready(crew: Crew) -> None:
    await crew.start()
    for worker in crew.workers:
        await worker.logs("webhook.listening")
    await eventually(lambda: any("webhook.set" in worker.log for worker in crew.workers), "it is set")


async def test_what_is_posted_to_two_workers_at_once_is_answered_once_and_in_order(
    hire: Hire, wire: PlaygroundServer
) -> None:
    crew = hire(3, agent=QUICK)
    async with with_proxy(crew) as proxy:
        proxy.copies = 2
        await ready(crew)
        people = [Person(wire, user_id) for user_id in range(11, 17)]
        said = {person: [f"{person.user_id}-{n}" for n in range(6)] for person in people}
        for texts in zip(*said.values(), strict=True):
            for person, text in zip(people, texts, strict=True):
                person.says(text)
        for person in people:
            await person.sees_at_last(*(f"re: {text}" for text in said[person]))
        await eventually(lambda: not wire.world.bot(TOKEN).updates, "every post is answered")
        assert all(proxy.posts.values())
        await crew.end()
    begun = [text for what, text, _ in crew.notes if what == "begins"]
    assert sorted(begun) == sorted(text for texts in said.values() for text in texts)
    crew.check_turns()


async def test_a_worker_killed_between_its_commit_and_its_200_costs_nothing_and_doubles_nothing(
    hire: Hire, wire: PlaygroundServer
) -> None:
    crew = hire(3)
    async with with_proxy(crew) as proxy:
        proxy.on_taken = crew.kill
        await ready(crew)
        ann = Person(wire, 11)
        ann.says("11-0", "11-1", "11-2")
        await eventually(lambda: any(worker.ended for worker in crew.workers), "one was killed")
        for number in range(3):
            await ann.sees_among(f"11-{number}/0")
        await crew.end()
    crew.check_turns()


async def test_all_set_the_same_webhook_and_who_comes_later_leaves_it_alone(
    hire: Hire, wire: PlaygroundServer
) -> None:
    crew = hire(3, agent=QUICK)
    async with with_proxy(crew):
        await ready(crew)
        ann = Person(wire, 11)
        ann.says("11-0")
        await ann.sees_at_last("re: 11-0")
        asked = webhooks_set(wire)
        for worker in crew.workers:
            await begin_again(worker)
        ann.says("11-1", "11-2", "11-3")
        await ann.sees_at_last(*(f"re: 11-{number}" for number in range(4)))
        await crew.end()
    assert webhooks_set(wire) == asked
    assert all(one == asked[0] for one in asked)
    assert not [call for call in wire.world.journal if call["method"] == "getUpdates"]


async def begin_again(worker: BotProcess) -> None:
    looks = worker.log.count("intake.ready")
    assert await worker.stop() == 0
    await worker.start()
    await worker.logs("intake.ready", looks + 1)


def webhooks_set(wire: PlaygroundServer) -> list[object]:
    return [call["params"] for call in wire.world.journal if call["method"] == "setWebhook"]
