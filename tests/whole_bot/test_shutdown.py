"""SIGTERM, a second one, and a second process."""

from pathlib import Path
from signal import SIGINT, SIGTERM

from tests.whole_bot.process import BotProcess, Person, exit_code


async def test_sigterm_lets_a_running_turn_end_and_sends_its_answer(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    ann.says("next", "/status")
    await ann.sees_among("Waiting: 1.")
    bot.send(SIGTERM)
    await bot.logs("app.stopping")
    gate.touch()
    assert await bot.wait() == 0
    assert f"wait for {gate} (attempt 1)" in ann.sees
    assert "next (attempt 1)" not in ann.sees
    await bot.start()
    await ann.sees_among("next (attempt 1)")


async def test_sigterm_ends_within_its_grace_and_running_turns_resume_after(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    bot.setting(grace_seconds=0.2)
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    assert await bot.stop() == 0
    assert (await bot.status())["queued"] == 1
    gate.touch()
    await bot.start()
    await ann.sees_at_last(f"wait for {gate} (attempt 2)")
    assert len(ann.sees) == 1


async def test_a_second_signal_exits_at_once_and_nothing_is_lost(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    ann.says("next", "/status")
    await ann.sees_among("Waiting: 1.")
    bot.send(SIGINT)
    await bot.logs("app.stopping")
    bot.send(SIGINT)
    assert await bot.wait() == 128 + SIGINT
    gate.touch()
    await bot.start()
    await ann.sees_among("next (attempt 1)")
    assert f"wait for {gate} (attempt 2)" in ann.sees


async def test_only_one_process_owns_the_database(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    await bot.logs("intake.ready")
    second = bot.command("run")
    assert await exit_code(second) == 1
    assert f"is in use by process {bot.pid}: stop that one first" in bot.log
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")
