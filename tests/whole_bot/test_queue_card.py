"""The card of the queue, from the real process over real HTTP."""

from pathlib import Path

from tests.whole_bot.process import BotProcess, Person


async def test_the_card_shows_what_waits_obeys_and_disappears(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    ann.says("two", "three")
    await ann.sees_at_last("2 waiting:\n1. “two”\n2. “three”")
    ann.presses("2 next")
    await ann.sees_at_last("2 waiting:\n1. “three”\n2. “two”")
    ann.presses("2 drop")
    await ann.sees_at_last("1 waiting:\n1. “three”")
    gate.touch()
    await ann.sees_at_last(f"wait for {gate} (attempt 1)", "three (attempt 1)")


async def test_the_card_outlives_the_process(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("wait for /never", "two", "three")
    await ann.sees_at_last("2 waiting:\n1. “two”\n2. “three”")
    await bot.kill()
    ann.presses("1 drop")
    await bot.start()
    await ann.sees_at_last("1 waiting:\n1. “three”")
