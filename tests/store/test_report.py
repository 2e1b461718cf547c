"""What /status and `tgbot status` tell is what the tables hold."""

import dataclasses

from tests.house import BOT
from tests.store.life import Life, StartLife, key
from tgbot.model import ChatId
from tgbot.store import report, sending


def test_a_session_is_told_what_runs_waits_and_is_on_hold(life: Life) -> None:
    life.start("a", "b", "c")
    life.say("/stop", "d", "e")
    life.start("elsewhere", "f", chat=8)
    found = life.do(report.session, key(7))
    assert found.running
    assert (found.running.attempt, found.queued, found.held) == (1, 2, 2)
    assert found.raw
    assert '"text":"a"' in found.raw
    idle = life.do(report.session, key(9))
    assert (idle.running, idle.raw, idle.queued, idle.held) == (None, None, 0, 0)


def test_everything_is_counted_over_all_sessions(live: StartLife) -> None:
    life = live()
    life.start("poison")
    life = live(crashes_max=1)
    life.recover()
    life.start("a", "b", chat=8)
    life.say("/stop", "c", chat=8)
    life.finish(life.start("x", chat=9))
    part = life.do(sending.next_part, BOT, ChatId(9))
    assert part
    life.do(sending.park, part, "blocked")
    found = dataclasses.asdict(life.do(report.everything))
    assert {k: found[k] for k in ("queued", "held", "dead", "unsent", "parked")} == {
        "queued": 1,
        "held": 1,
        "dead": 1,
        "unsent": 3,
        "parked": 1,
    }
    assert [running["session_key"] for running in found["running"]] == ["42:8"]
    assert [row["chat_id"] for row in found["dead_rows"]] == [7]
    assert [(row["chat_id"], row["error"]) for row in found["parked_parts"]] == [(9, "blocked")]


def test_lists_are_bounded_and_counts_are_exact(life: Life) -> None:
    bad = [{"update_id": n, "message": {"text": "x", "from": {}}} for n in range(report.LISTED_MAX + 5)]
    life.receive(*bad)
    found = life.do(report.everything)
    assert (found.dead, len(found.dead_rows)) == (report.LISTED_MAX + 5, report.LISTED_MAX)
