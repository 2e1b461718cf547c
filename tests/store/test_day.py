"""What turns did in the last day is counted in the hour in which they ended."""

from tests.store.instance import Instance, StartInstance
from tgbot.store import day

HOUR = day.HOUR_SECONDS
NOW = 1_800_000_000.0 // HOUR * HOUR + 600  # ten minutes into an hour


def at(instance: Instance, row_id: int, received: float, began: float, ended: float | None) -> None:
    """Move a message in time, by hours before NOW."""
    times = {"row": row_id, "received": NOW - received * HOUR, "began": NOW - began * HOUR}
    instance.rows("UPDATE turn SET started_at = :began WHERE pending_id = :row RETURNING id", **times)
    instance.rows(
        "UPDATE pending SET received_at = :received, ended_at = :ended WHERE id = :row RETURNING id",
        **times,
        ended=None if ended is None else NOW - ended * HOUR,
    )


def test_each_message_is_counted_in_the_hour_in_which_it_ended(instance: Instance) -> None:
    old, crossing, failed = (instance.start(words, chat=chat) for chat, words in enumerate("abc", start=1))
    instance.finish(old)
    instance.finish(crossing)
    instance.fail(failed)
    at(instance, old.row_id, 30, 30, 29)
    at(instance, crossing.row_id, 23.5, 23.4, 23.1)
    at(instance, failed.row_id, 2, 2, 1)
    hours = instance.do(day.hours, NOW)
    assert len(hours) == day.HOURS
    assert hours[-1].began == NOW - 600
    counted = {n: hour.ended for n, hour in enumerate(hours) if any(hour.ended.values())}
    nothing = dict.fromkeys(day.OUTCOMES, 0)
    assert counted == {0: nothing | {"done": 1}, 22: nothing | {"failed": 1}}


def test_a_message_that_ran_twice_is_counted_once_and_waited_until_its_first_turn(
    start_instance: StartInstance,
) -> None:
    first = start_instance()
    row_id = first.start("a").row_id
    second = start_instance()
    second.recover()
    [turn] = second.claim_waiting()
    second.finish(turn)
    at(second, row_id, 1 + 30 / HOUR, 1, 0)
    second.rows("UPDATE turn SET started_at = :at WHERE id = :turn RETURNING id", at=NOW, turn=turn.token)
    hours = second.do(day.hours, NOW)
    assert sum(hour.ended["done"] for hour in hours) == 1
    assert [round(hour.waited_seconds) for hour in hours if hour.waited_seconds is not None] == [30]


def test_nine_in_ten_waited_at_most_so_long(instance: Instance) -> None:
    for chat in range(1, 12):
        turn = instance.start("a", chat=chat)
        at(instance, turn.row_id, chat / HOUR, 0, None)
    assert instance.do(day.hours, NOW)[-1].waited_seconds == 10


def test_without_any_turn_the_day_is_empty(instance: Instance) -> None:
    hours = instance.do(day.hours, NOW)
    assert {(sum(hour.ended.values()), hour.waited_seconds) for hour in hours} == {(0, None)}
