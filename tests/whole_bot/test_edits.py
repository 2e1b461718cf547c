"""Edits, from the real process over real HTTP."""

from pathlib import Path

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person


async def test_an_edit_of_a_waiting_message_is_what_runs(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    ann.says("to")
    await eventually(lambda: bool(ann.screen[-1].get("reactions")), "it is received")
    ann.edits("to", "two")
    await eventually(lambda: ann.screen[1].get("reactions", [{}])[0].get("emoji") == "🫡", "it is noted")
    gate.touch()
    await ann.sees_among("two (attempt 1)")
