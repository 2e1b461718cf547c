"""kill -9 of the real process: nothing lost, doubled or reordered."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.server import PlaygroundServer
from tgbot.store.outbox import TOO_OLD


async def test_a_kill_mid_turn_with_three_follow_ups_shows_four_answers_once_each_in_order(
    bot: BotProcess, ann: Person, tmp_path: Path
) -> None:
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    ann.says("two", "three", "four")
    ann.says("/status")
    await ann.sees_among("Waiting: 3.")
    await bot.kill()
    gate.touch()
    await bot.start()
    answers = [f"wait for {gate} (attempt 2)", "two (attempt 1)", "three (attempt 1)", "four (attempt 1)"]
    await eventually(lambda: [said for said in ann.sees if "Waiting" not in said] == answers, "four answers")


async def test_messages_sent_while_down_are_answered_at_boot(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("before")
    await ann.sees_at_last("before (attempt 1)")
    await bot.kill()
    ann.says("one", "two", "three")
    await bot.start()
    await ann.sees_at_last(*(f"{said} (attempt 1)" for said in ("before", "one", "two", "three")))


async def test_recovery_and_new_messages_do_not_race(bot: BotProcess, ann: Person, tmp_path: Path) -> None:
    """New ones come while the bot is down, and while it recovers: the interrupted turn goes first."""
    await bot.start()
    gate = tmp_path / "gate"
    ann.says(f"wait for {gate}")
    await bot.logs("turn.claimed")
    await bot.kill()
    ann.says("while down")
    gate.touch()
    await bot.start()
    ann.says("while it starts")
    await ann.sees_at_last(
        f"wait for {gate} (attempt 2)", "while down (attempt 1)", "while it starts (attempt 1)"
    )


async def test_three_kills_in_a_row_never_leave_the_bot_deaf(bot: BotProcess, ann: Person) -> None:
    bot.setting(crashes_max=9)  # each kill may hit the same turn
    for start in range(1, 4):
        await bot.start()
        ann.says(f"in run {start}")
        await bot.logs("app.started", times=start)
        await bot.kill()
    await bot.start()
    await eventually(lambda: len([s for s in ann.sees if "in run" in s]) == 3, "three answers")
    assert [said[:8] for said in ann.sees] == ["in run 1", "in run 2", "in run 3"]


async def test_an_idle_session_is_not_recovered(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("hello")
    await ann.sees_at_last("hello (attempt 1)")
    await bot.kill()
    await bot.start()
    ann.says("/stop")  # answered, so the start is over
    await ann.sees_at_last("hello (attempt 1)", "Nothing is running.")


async def test_a_row_that_kills_the_process_is_given_up_and_the_rest_goes_on(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    ann.says("die", "next")
    for _ in range(3):
        await bot.wait()
        await bot.start()
    await ann.sees_among("next (attempt 1)")
    assert sum("gave it up" in said for said in ann.sees) == 1
    await eventually(lambda: [mark["emoji"] for mark in ann.screen[0]["reactions"]] == ["💔"], "its mark")
    assert (await bot.status())["dead"] == 1


async def test_status_distinguishes_a_turn_that_runs_from_one_that_a_kill_interrupted(
    bot: BotProcess, ann: Person
) -> None:
    await bot.start()
    ann.says("wait for /never")
    await bot.logs("turn.claimed")
    assert (await bot.status())["alive"]
    assert (await bot.prints("status")).startswith("the bot runs: running 1, queued 0,")
    await bot.kill()
    assert not (await bot.status())["alive"]
    first, row, *_ = (await bot.prints("status")).splitlines()
    assert first.startswith("the bot does not run: interrupted 1, queued 0,")
    assert row.startswith("  interrupted row=")


async def test_held_rows_survive_a_restart(bot: BotProcess, ann: Person) -> None:
    await bot.start()
    ann.says("wait for /never", "held", "/stop")
    await ann.sees_among("1. “held”")
    await bot.kill()
    await bot.start()
    ann.says("/status")
    await ann.sees_among("On hold: 1.")
    assert "held (attempt 1)" not in ann.sees
    ann.says("/drop")
    await ann.sees_among("Dropped 1 message.")


async def test_a_stop_right_before_a_kill_counts_after_it(bot: BotProcess, ann: Person) -> None:
    """The agent ignores its cancellation: the process dies between the /stop's commit and the turn's end."""
    bot.setting(agent="tests.whole_bot.deaf:stubborn")
    await bot.start()
    ann.says("x")
    await bot.logs("turn.claimed")
    ann.says("/stop")
    await bot.logs("control.acted")
    await bot.kill()
    await bot.start()
    await bot.logs("turn.recovered")
    await ann.sees_among("Stopped.")
    ann.says("/status")
    await ann.sees_among("Nothing is running.\nWaiting: 0.")
    assert bot.log.count("turn.claimed") == 1


async def test_words_behind_a_stop_right_before_a_kill_are_answered_once_after_it(
    bot: BotProcess, ann: Person
) -> None:
    """The agent ignores its cancellation: the process dies before the words get their turn."""
    bot.setting(agent="tests.whole_bot.deaf:stubborn")
    await bot.start()
    ann.says("x")
    await bot.logs("turn.claimed")
    ann.says("/stop the music please")
    await bot.logs("control.acted")
    await bot.kill()
    bot.setting(agent="tests.whole_bot.agents:moody")
    await bot.start()
    await ann.sees_among("the music please (attempt 1)")
    await ann.sees_at_last("Stopped.", "the music please (attempt 1)")
    assert bot.log.count("control.acted") == 1


async def test_a_finished_answer_that_was_not_sent_is_sent_after_a_restart(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    wire.world.add_faults([{"method": "sendMessage", "kind": "500", "times": None}])
    ann.says("hello")
    await bot.logs("state=done")
    await bot.logs("delivery.retry")
    await bot.kill()
    wire.world.clear_faults()
    await bot.start()
    await ann.sees_at_last("hello (attempt 1)")


async def test_a_crash_after_the_answer_was_sent_and_before_it_was_noted_shows_it_once(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    """It takes effect, no reply comes, and the process dies; of the "…" that it sent as well, none stays."""
    await bot.start()
    wire.world.add_faults([{"method": "sendMessage", "kind": "cut_after", "times": None}])
    ann.says("hello")
    await ann.sees_among("…")
    await bot.kill()
    wire.world.clear_faults()
    await bot.start()
    await ann.sees_at_last("hello (attempt 1)")


async def test_an_answer_that_is_too_old_is_kept_back_and_shown_when_it_is_asked_for(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    wire.world.add_faults([{"method": "sendMessage", "kind": "429", "times": None, "retry_after": 600}])
    ann.says("hello")
    await bot.logs("state=done")
    await bot.logs("delivery.flooded")
    await bot.stop()
    _age_answers(bot)
    wire.world.clear_faults()
    await bot.start()
    await ann.sees_at_last(TOO_OLD.text)
    report = await bot.status()
    assert [part["why"] for part in report["parked_parts"]] == ["too old to send"]
    ann.says("new")
    await ann.sees_at_last(TOO_OLD.text, "new (attempt 1)")
    ann.presses("Show it")
    await eventually(lambda: "hello (attempt 1)" in ann.sees, "what was kept back")
    assert TOO_OLD.text not in ann.sees
    assert (await bot.status())["parked"] == 0


def _age_answers(bot: BotProcess) -> None:
    """Make every answer two days old, one more than the default of TGBOT_SEND_WITHIN_SECONDS."""
    with closing(sqlite3.connect(bot.database)) as raw, raw:
        raw.execute("UPDATE outbox SET ready_at = ready_at - 2 * 86400")


async def _storm(bot: BotProcess, wire: PlaygroundServer, kills: int, seed: int) -> None:
    """Three people type all the time; the process is killed at random moments, mostly while it works."""
    dice = random.Random(seed)
    people = [Person(wire, user_id) for user_id in (11, 12, 13)]
    said: dict[int, list[str]] = {person.user_id: [] for person in people}
    bot.setting(agent="tests.whole_bot.agents:quick", crashes_max=1000)
    for kill in range(kills):
        starts = bot.log.count("app.started")
        await bot.start()
        for n in range(dice.randint(2, 6)):
            person = dice.choice(people)
            said[person.user_id].append(f"{kill}.{n}")
            person.says(f"{kill}.{n}")
            await asyncio.sleep(dice.random() * 0.05)
        if dice.random() < 0.8:  # or a slow machine would start each time and do nothing more
            await bot.logs("app.started", times=starts + 1)
        await asyncio.sleep(dice.random() * 0.5)
        await bot.kill()
    await bot.start()
    for person in people:
        await person.sees_at_last(*(f"re: {one}" for one in said[person.user_id]))
    starts = bot.log.count("app.started")
    print(  # noqa: T201 - a soak's figures, shown by `make soak`
        f"seed {seed}: {kills} kills, {starts} starts, {sum(map(len, said.values()))} messages"
    )


@pytest.mark.parametrize("seed", [1, 2])
async def test_kills_at_random_moments_lose_double_and_reorder_nothing(
    bot: BotProcess, wire: PlaygroundServer, seed: int
) -> None:
    await _storm(bot, wire, kills=6, seed=seed)


@pytest.mark.soak
async def test_a_hundred_kills_at_random_moments(bot: BotProcess, wire: PlaygroundServer) -> None:
    await _storm(bot, wire, kills=100, seed=random.randrange(2**32))
