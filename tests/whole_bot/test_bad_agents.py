"""An agent that misbehaves costs its own turn, never the next one, another chat, or the process."""

from signal import SIGTERM

import pytest

from tests.waiting import eventually
from tests.whole_bot.bad_agents import MEETING
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer


@pytest.fixture(autouse=True)
def bad(bot: BotProcess) -> None:
    bot.setting(agent="tests.whole_bot.bad_agents:bad", grace_seconds=0.2)


async def test_an_agent_that_never_waits_freezes_nobody_and_can_be_stopped(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    ben = Person(wire, user_id=8)
    ann.says("never wait")
    await bot.logs("turn.claimed")
    ben.says("hello")
    await ben.sees_at_last("re: hello")
    ann.says("/stop")
    await ann.sees_among("Stopped.")


async def test_an_agent_that_exits_fails_its_own_turn(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("exit", "hello")
    await ann.sees_among("re: hello")
    assert "something went wrong" in ann.sees[0]
    assert "the agent tried to end the process" in bot.log


async def test_what_no_agent_may_yield_fails_its_own_turn(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("yield a number", "hello")
    await ann.sees_among("re: hello")
    assert "something went wrong" in ann.sees[0]


async def test_a_file_with_an_odd_name_is_sent_once(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("send an odd file")
    await eventually(lambda: any("document" in message for message in ann.screen), "the file")
    assert bot.log.count("turn.claimed") == 1


async def test_as_many_agents_as_there_are_turns_may_block_a_thread(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    bot.setting(max_turns=MEETING.parties)
    people = [Person(wire, user_id) for user_id in range(100, 100 + MEETING.parties)]
    await bot.start()
    for person in people:
        person.says("meet")
    for person in people:
        await person.sees_at_last("re: meet")


@pytest.mark.parametrize(
    ("agent", "said"),
    [("tests.whole_bot.bad_agents:bad", "block a thread"), ("tests.whole_bot.agents:stubborn", "x")],
)
async def test_sigterm_ends_the_process_also_when_an_agent_does_not_end(
    bot: BotProcess, ann: Person, agent: str, said: str
) -> None:
    bot.setting(agent=agent)
    await bot.start()
    ann.says(said)
    await bot.logs("turn.claimed")
    bot.send(SIGTERM)
    assert await bot.wait() == 0
    assert (await bot.status())["queued"] == 1


@pytest.mark.parametrize("said", ["block the loop", "spin"])
async def test_an_agent_that_blocks_its_thread_delays_no_command_and_no_shutdown(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, said: str
) -> None:
    await bot.start()
    ben = Person(wire, user_id=8)
    ann.says(said)
    await bot.logs("agents.blocked session=42:7")
    ben.says("hello", "/status")
    await ben.sees_among("Working for")  # on "hello", which waits for the agents' thread
    ann.says("/stop")
    await ann.sees_among("Stopped.")
    await ben.sees_among("re: hello")  # in a new loop
    assert "bad_agents.py" in bot.log
    ann.says(f"{said} again", said)
    await bot.logs("agents.blocked", times=2)
    bot.send(SIGTERM)
    assert await bot.wait() == 0


async def test_sigterm_in_the_moment_of_a_batch_leaves_no_guard(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    for delay in range(3):
        await bot.start()
        await bot.logs("intake.ready", times=delay + 1)
        for user_id in range(100, 160):
            Person(wire, user_id).says(f"hi {delay}")
        bot.send(SIGTERM)
        assert await bot.wait() == 0
        assert (await bot.status())["running"] == []
