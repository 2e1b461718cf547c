"""What /status and `tgbot status` say is what the tables hold."""

import dataclasses

from tests.store.instance import Instance, StartInstance, key
from tgbot.store import report, sending


def test_a_session_report_says_what_runs_waits_and_is_on_hold(instance: Instance) -> None:
    instance.start("a", "b", "c")
    instance.say("/stop", "d", "e")
    instance.start("elsewhere", "f", chat=8)
    found = instance.do(report.session, key(7))
    assert found.running
    assert (found.running.attempt, found.queued, found.held) == (1, 2, 2)
    assert found.raw
    assert '"text":"a"' in found.raw
    idle = instance.do(report.session, key(9))
    assert (idle.running, idle.raw, idle.queued, idle.held) == (None, None, 0, 0)


def test_everything_is_counted_over_all_sessions(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("poison")
    instance = start_instance(crashes_max=1)
    instance.recover()
    instance.start("a", "b", chat=8)
    instance.say("/stop", "c", chat=8)
    instance.finish(instance.start("x", chat=9))
    instance.do(sending.park, instance.the_next(9), "blocked")
    found = dataclasses.asdict(instance.do(report.everything))
    assert {k: found[k] for k in ("queued", "held", "dead", "unsent", "parked")} == {
        "queued": 1,
        "held": 1,
        "dead": 1,
        "unsent": 2,
        "parked": 1,
    }
    assert [running["session_key"] for running in found["running"]] == ["42:8"]
