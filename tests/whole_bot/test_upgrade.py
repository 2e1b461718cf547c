"""A group that becomes a supergroup while the bot works in it."""

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.upgrade import upgrade_group

GROUP = -77


@pytest.mark.parametrize("silently", [False, True], ids=["service messages", "only refusals"])
async def test_a_group_that_becomes_a_supergroup_keeps_queue_and_answers(
    bot: BotProcess,
    wire: PlaygroundServer,
    tmp_path: object,
    silently: bool,  # noqa: FBT001 - a parameter
) -> None:
    """One runs and two wait; also when the bot learns of it only as Telegram refuses its answer."""
    gate = f"{tmp_path}/gate"
    wire.world.make_chat(GROUP, "Friends")
    ann = Person(wire, 7, GROUP)
    await bot.start()
    ann.says(f"wait for {gate}", "second", "third")
    await bot.logs("turn.claimed")
    await eventually(lambda: not wire.world.bot("42:playground-secret").updates, "all are stored")
    moved = Person(wire, 7, upgrade_group(wire.world, GROUP, silently=silently))
    open(gate, "w").close()  # noqa: ASYNC230, PTH123 - an empty file
    await moved.sees_at_last(f"wait for {gate} (attempt 1)", "second (attempt 1)", "third (attempt 1)")
    moved.says("fourth")
    await moved.sees_among("fourth (attempt 1)")
    assert (await bot.status())["parked"] == 0
