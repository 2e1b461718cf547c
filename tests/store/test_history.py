"""What the model was sent and said, and the ledger of its tools."""

import pytest

from tests.store.instance import Instance, StartInstance
from tgbot.model import RowId, Turn
from tgbot.store import history, ledger
from tgbot.store.fence import LostGuardError
from tgbot.store.history import Kind
from tgbot.store.ledger import Call


def log(
    instance: Instance, turn: Turn, content: str, kind: Kind = "step", target: RowId | None = None
) -> None:
    instance.do(history.append, turn, kind, content, target)


def exchange(instance: Instance, said: str, chat: int = 7) -> RowId:
    """Say something that a turn logs and answers."""
    turn = instance.start(said, chat=chat)
    log(instance, turn, said)
    instance.finish(turn)
    return turn.row_id


def seen(instance: Instance, turn: Turn) -> list[str]:
    return [entry.content for entry in instance.do(history.seen, turn)]


def test_a_turn_sees_the_exchanges_of_its_session_and_of_no_other(instance: Instance) -> None:
    exchange(instance, "a")
    exchange(instance, "secret", chat=8)
    exchange(instance, "b")
    turn = instance.start("c")
    assert seen(instance, turn) == ["a", "b"]


def test_a_turn_sees_what_its_own_earlier_attempt_logged_last(
    instance: Instance, start_instance: StartInstance
) -> None:
    exchange(instance, "a")
    log(instance, instance.start("b"), "half of b")
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    assert seen(another, again) == ["a", "half of b"]


def test_what_was_stopped_or_failed_counts_and_what_is_queued_again_does_not(
    instance: Instance, start_instance: StartInstance
) -> None:
    failed = instance.start("a")
    log(instance, failed, "failed")
    instance.fail(failed)
    stopped = instance.start("b", chat=7)
    log(instance, stopped, "stopped")
    instance.say("/stop")
    instance.release(stopped)
    turn = instance.start("c")
    assert seen(instance, turn) == ["failed", "stopped"]


def test_nothing_before_a_fresh_start_is_seen_once_it_is_done(instance: Instance) -> None:
    exchange(instance, "a")
    fresh = instance.start("/fresh")
    log(instance, fresh, "", "fresh")
    instance.finish(fresh)
    exchange(instance, "b")
    assert seen(instance, instance.start("c")) == ["", "b"]


def test_a_fresh_start_that_was_interrupted_counts_only_for_itself(
    instance: Instance, start_instance: StartInstance
) -> None:
    exchange(instance, "a")
    log(instance, instance.start("/fresh"), "", "fresh")
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    assert seen(another, again) == [""]


def test_an_undone_exchange_is_not_seen(instance: Instance) -> None:
    exchange(instance, "a")
    undone = exchange(instance, "b")
    undoing = instance.start("/undo")
    assert instance.do(history.last_row, undoing) == undone
    log(instance, undoing, "", "undo", undone)
    instance.finish(undoing)
    turn = instance.start("c")
    assert [content for content in seen(instance, turn) if content] == ["a"]
    assert instance.do(history.last_row, turn) == undone - 1


def test_an_undo_that_failed_undoes_nothing(instance: Instance) -> None:
    undone = exchange(instance, "b")
    undoing = instance.start("/undo")
    log(instance, undoing, "", "undo", undone)
    instance.fail(undoing)
    assert "b" in seen(instance, instance.start("c"))


def test_a_summary_stands_for_all_before_it(instance: Instance) -> None:
    exchange(instance, "a")
    compacting = instance.start("b")
    log(instance, compacting, "summary of a", "summary")
    log(instance, compacting, "b")
    instance.finish(compacting)
    assert seen(instance, instance.start("c")) == ["summary of a", "b"]


def test_who_lost_the_guard_can_log_nothing(instance: Instance) -> None:
    turn = instance.start("a")
    instance.finish(turn)
    with pytest.raises(LostGuardError, match="does not hold 42:7"):
        log(instance, turn, "late")
    with pytest.raises(LostGuardError):
        instance.do(ledger.start, turn, "1", "delete")
    with pytest.raises(LostGuardError):
        instance.do(ledger.finish, turn, "1", "delete", "{}")
    assert instance.rows("SELECT id FROM history UNION ALL SELECT pending_id FROM ledger") == []


def test_a_call_that_was_begun_is_known_as_that_until_its_result_is(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(ledger.start, turn, "1", "delete")
    assert instance.do(ledger.calls, turn.row_id) == [Call("1", "delete", 1, None)]
    instance.do(ledger.start, turn, "1", "delete")
    assert instance.do(ledger.calls, turn.row_id) == [Call("1", "delete", 2, None)]
    instance.do(ledger.finish, turn, "1", "delete", "7")
    assert instance.do(ledger.calls, turn.row_id) == [Call("1", "delete", 2, "7")]


def test_the_first_result_of_a_call_stays(instance: Instance) -> None:
    turn = instance.start("a")
    for result in ("1", "2"):
        instance.do(ledger.start, turn, "1", "delete")
        instance.do(ledger.finish, turn, "1", "delete", result)
    assert instance.do(ledger.calls, turn.row_id) == [Call("1", "delete", 1, "1")]
