"""What the admin page does to rows is what commands and buttons do, and is noted with it."""

import pytest

from tests.store.instance import Instance, StartInstance
from tests.store.test_questions import ask
from tgbot.model import RowId
from tgbot.store import audit, expiry, outbox, sending
from tgbot.store.audit import Noted
from tgbot.watch.actions import ACTIONS, ENDED, GONE, NOT_DEAD, NOTHING_PARKED, Done, act


@pytest.fixture
def poisoned(start_instance: StartInstance) -> tuple[Instance, RowId]:
    """An instance with a row that was given up."""
    row_id = start_instance().start("poison").row_id
    instance = start_instance(crashes_max=1)
    instance.recover()
    instance.send_all()
    return instance, row_id


def do(instance: Instance, action: str, row_id: int) -> Done:
    return instance.do(act, "admin", action, RowId(row_id))


def row_of(instance: Instance, words: str) -> RowId:
    sql = "SELECT id FROM pending WHERE json_extract(raw, '$.message.text') = :words"
    [(row_id,)] = instance.rows(sql, words=words)
    return RowId(row_id)


def noted(instance: Instance) -> list[tuple[str, str, int]]:
    return [(one.role, one.action, one.row_id) for one in instance.do(audit.newest, 10)]


def test_what_was_given_up_is_tried_again_once_and_its_offer_says_so(
    poisoned: tuple[Instance, RowId],
) -> None:
    instance, row_id = poisoned
    done = do(instance, "retry", row_id)
    assert (done.changed, done.send_to) == (True, 7)
    assert instance.states() == {"poison": "queued"}
    assert instance.send_all() == ["Trying it again."]
    assert do(instance, "retry", row_id) == NOT_DEAD
    assert noted(instance) == [("admin", "retry", row_id)]


def test_what_was_given_up_is_dropped_and_its_offer_says_so(poisoned: tuple[Instance, RowId]) -> None:
    instance, row_id = poisoned
    assert do(instance, "drop", row_id).changed
    assert instance.states() == {"poison": "dropped"}
    assert instance.send_all() == ["The bot's owner dropped this message."]
    assert do(instance, "drop", row_id) == NOT_DEAD


def test_what_could_not_be_read_is_dropped_and_never_run(instance: Instance) -> None:
    instance.receive({"update_id": 5, "message": {"text": "x", "from": {}}})
    [(row_id,)] = instance.rows("SELECT id FROM pending")
    assert do(instance, "retry", row_id) == NOT_DEAD
    assert do(instance, "drop", row_id).changed
    assert [(one.action, one.chat_id) for one in instance.do(audit.newest, 10)] == [("drop", None)]


def test_a_turn_is_stopped_as_by_stop_and_what_waits_is_held(instance: Instance) -> None:
    turn = instance.start("a", "b", "c")
    done = do(instance, "stop", turn.row_id)
    assert instance.states() == {"a": "stopped", "b": "held", "c": "held"}
    assert done.said == "Stopped. 2 behind it are on hold."
    assert [(address.message_id > 0, waits) for address, waits in done.marks] == [(True, False)] * 2
    assert instance.end(turn, "interrupted") is None
    assert instance.send_all() == [outbox.STOPPED.text], "the chat sees it, for nobody typed a /stop"
    assert do(instance, "stop", turn.row_id) == ENDED


def test_a_turn_that_said_something_ends_with_the_mark_of_a_stop_only_once(instance: Instance) -> None:
    turn = instance.start("a")
    part = instance.begin(turn, "half an")
    assert part
    instance.sent(part)
    do(instance, "stop", turn.row_id)
    instance.end(turn, "interrupted", "half an answer")
    assert instance.send_all() == [f"half an answer\n\n{outbox.STOPPED.text}"]


def test_a_stop_for_a_turn_that_has_ended_does_not_stop_the_next_one(instance: Instance) -> None:
    first = instance.start("a", "b")
    instance.finish(first)
    assert do(instance, "stop", first.row_id) == ENDED
    assert instance.states() == {"a": "done", "b": "claimed"}
    assert noted(instance) == []


def test_a_question_is_stopped_too(instance: Instance) -> None:
    turn = instance.start("a")
    ask(instance, turn, "delete")
    done = do(instance, "stop", turn.row_id)
    assert instance.states() == {"a": "stopped"}
    assert [waits for _, waits in done.marks] == [False]


def held(instance: Instance) -> None:
    instance.start("a", "b", "c", "d")
    instance.say("/stop")


def test_one_row_on_hold_is_run_next_or_dropped(instance: Instance) -> None:
    held(instance)
    assert do(instance, "run_next", row_of(instance, "c")).changed
    dropped = do(instance, "drop_waiting", row_of(instance, "d"))
    assert instance.states() == {"a": "stopped", "b": "held", "c": "queued", "d": "dropped"}
    assert [waits for _, waits in dropped.marks] == [False]
    assert do(instance, "drop_waiting", row_of(instance, "d")) == GONE
    assert do(instance, "run_next", row_of(instance, "a")) == GONE


@pytest.mark.parametrize(("action", "state"), [("run_held", "queued"), ("drop_held", "dropped")])
def test_all_that_a_chat_has_on_hold_is_run_in_its_order_or_dropped(
    instance: Instance, action: str, state: str
) -> None:
    held(instance)
    done = do(instance, action, row_of(instance, "b"))
    assert set(instance.states().values()) == {"stopped", state}
    assert [waits for _, waits in done.marks] == [state == "queued"] * 3
    assert do(instance, action, row_of(instance, "b")) == GONE


def park_all(instance: Instance, error: str) -> None:
    while part := instance.next_part():
        instance.do(sending.park, part, error)


def test_what_was_put_aside_is_sent_again_whole_and_in_order(instance: Instance) -> None:
    turn = instance.start("a")
    instance.answer(turn, "one", "two")
    instance.do(outbox.add, turn.row_id, outbox.CANNOT_SHOW)
    park_all(instance, "blocked")
    done = do(instance, "resend", turn.row_id)
    assert (done.changed, done.send_to) == (True, 7)
    assert instance.send_all() == ["one", "two"], "and not that it could not be shown"
    assert do(instance, "resend", turn.row_id) == NOTHING_PARKED


def test_what_was_too_old_is_sent_and_its_offer_says_so(instance: Instance) -> None:
    turn = instance.start("a")
    instance.answer(turn, "one")
    instance.rows("UPDATE outbox SET ready_at = 1, state = 'ready', floor = NULL RETURNING id")
    instance.do(expiry.expire, instance.owner.bot_id, 2.0)
    assert instance.send_all() == [outbox.TOO_OLD.text]
    do(instance, "resend", turn.row_id)
    assert sorted(map(str, instance.send_all())) == [expiry.SHOWN.text, "one"]


def test_a_row_that_is_not_there_changes_nothing_and_is_not_noted(instance: Instance) -> None:
    for action in ACTIONS:
        assert not do(instance, action, 999).changed
    assert noted(instance) == []


def test_what_was_done_long_ago_is_pruned(instance: Instance) -> None:
    for at in (1.0, 5.0):
        instance.do(audit.note, "admin", "drop", RowId(1), None)
        instance.rows("UPDATE audit SET at = :at WHERE at > 100 RETURNING id", at=at)
    assert instance.do(audit.prune, 2.0) == 1
    assert instance.do(audit.newest, 10) == [Noted(5.0, "admin", "drop", RowId(1), None)]
