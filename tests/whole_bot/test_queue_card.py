"""The card of the queue, from the real process over real HTTP."""

from pathlib import Path

from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.upgrade import upgrade_group


async def test_the_card_shows_what_waits_obeys_and_disappears(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    ann.says("two", "three")
    await ann.sees_card("2 waiting:\n1. “two”\n2. “three”")
    ann.presses("2 next")
    await ann.sees_card("2 waiting:\n1. “three”\n2. “two”")
    ann.presses("2 drop")
    await ann.sees_card("1 waiting:\n1. “three”")
    gate.touch()
    await ann.sees_at_last(f"wait for {gate} (attempt 1)", "three (attempt 1)")


async def test_the_card_outlives_the_process(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("wait for /never", "two", "three")
    await ann.sees_card("2 waiting:\n1. “two”\n2. “three”")
    await bot.kill()
    ann.presses("1 drop")
    await bot.start()
    await ann.sees_card("1 waiting:\n1. “three”")


async def test_the_card_of_a_group_that_becomes_a_supergroup_is_drawn_anew_there(
    bot: BotProcess, wire: PlaygroundServer
) -> None:
    ann = Person(wire, chat_id=-5)
    await bot.start()
    ann.says("wait for /never", "two")
    await ann.sees_card("1 waiting:\n1. “two”")
    there = Person(wire, chat_id=upgrade_group(wire.world, -5))
    await there.sees_card("1 waiting:\n1. “two”")
    there.presses("1 drop")
    await there.sees_card()
