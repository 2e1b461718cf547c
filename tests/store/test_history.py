"""What the model was sent and said, and the ledger of its tools."""

import pytest

from tests.store.instance import Instance, StartInstance
from tgbot.agents.llm.log import Log, read
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


def remember(instance: Instance, said: str, *texts: str, chat: int = 7) -> None:
    """Say something whose turn remembers these texts, one after the other."""
    turn = instance.start(said, chat=chat)
    for text in texts:
        log(instance, turn, text, "memory")
    instance.finish(turn)


def recalled(instance: Instance, turn: Turn, most: int = 50) -> list[str]:
    return instance.do(history.remembered, turn, most)


def test_a_turn_recalls_the_last_that_each_earlier_one_of_its_session_remembered(instance: Instance) -> None:
    remember(instance, "a", "first a", "a")
    remember(instance, "secret", "secret", chat=8)
    exchange(instance, "a model's")
    remember(instance, "b", "b")
    turn = instance.start("c")
    assert recalled(instance, turn) == ["a", "b"]
    assert recalled(instance, turn, most=1) == ["b"]


def test_a_turn_that_runs_again_does_not_recall_its_own_and_remembers_anew(
    instance: Instance, start_instance: StartInstance
) -> None:
    remember(instance, "a", "a")
    log(instance, instance.start("b"), "b, the first time", "memory")
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    assert recalled(another, again) == ["a"]
    log(another, again, "b", "memory")
    another.finish(again)
    assert recalled(another, another.start("c")) == ["a", "b"]


def test_what_an_agent_remembers_is_nothing_to_a_model(instance: Instance) -> None:
    remember(instance, "a", "no message of a model")
    turn = instance.start("b")
    entries = instance.do(history.seen, turn)
    assert read(entries, turn.row_id) == Log([], [])


def test_a_turn_that_lost_its_guard_recalls_nothing(instance: Instance) -> None:
    turn = instance.start("a")
    instance.finish(turn)
    with pytest.raises(LostGuardError):
        recalled(instance, turn)


def test_what_a_given_up_turn_remembered_is_not_recalled(start_instance: StartInstance) -> None:
    first = start_instance(crashes_max=1)
    log(first, first.start("a"), "a", "memory")
    another = start_instance(crashes_max=1)
    assert another.recover() == ["dead"]
    assert recalled(another, another.start("b")) == []


def interrupted(instance: Instance, start_instance: StartInstance) -> tuple[Instance, Turn]:
    """Let the process die, and the next one claim the row that ran."""
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    return another, again


def test_to_start_afresh_twice_is_to_do_it_once(instance: Instance, start_instance: StartInstance) -> None:
    exchange(instance, "a")
    instance.do(history.start_afresh, instance.start("/new"))
    another, again = interrupted(instance, start_instance)
    another.do(history.start_afresh, again)
    another.finish(again)
    assert another.rows("SELECT count(*) FROM history WHERE kind = 'fresh'") == [(1,)]
    assert seen(another, another.start("b")) == [""]


def test_to_undo_twice_is_to_undo_one_exchange(instance: Instance, start_instance: StartInstance) -> None:
    exchange(instance, "a")
    last = exchange(instance, "b")
    assert instance.do(history.undo_last, instance.start("/undo")) == last
    another, again = interrupted(instance, start_instance)
    assert another.do(history.undo_last, again) == last
    another.finish(again)
    assert [said for said in seen(another, another.start("c")) if said] == ["a"]


def test_there_is_nothing_to_undo_at_the_beginning_and_behind_a_fresh_start(instance: Instance) -> None:
    turn = instance.start("/undo")
    assert instance.do(history.undo_last, turn) is None
    instance.finish(turn)
    exchange(instance, "a")
    fresh = instance.start("/new")
    instance.do(history.start_afresh, fresh)
    instance.finish(fresh)
    assert instance.do(history.undo_last, instance.start("/undo")) is None


def test_what_a_summary_stands_for_cannot_be_undone(instance: Instance) -> None:
    exchange(instance, "a")
    compacting = instance.start("/compact")
    instance.do(history.sum_up, compacting, "summary")
    instance.finish(compacting)
    assert instance.do(history.undo_last, instance.start("/undo")) is None


def test_what_a_row_logged_before_its_summary_goes_on_behind_it(
    instance: Instance, start_instance: StartInstance
) -> None:
    exchange(instance, "a")
    turn = instance.start("b")
    log(instance, turn, "b1")
    log(instance, turn, "b2")
    instance.do(history.sum_up, turn, "summary")
    log(instance, turn, "b3")
    instance.do(history.sum_up, turn, "shorter summary")
    another, again = interrupted(instance, start_instance)
    assert seen(another, again) == ["shorter summary", "b1", "b2", "b3"]
    another.finish(again)
    assert seen(another, another.start("c")) == ["shorter summary", "b1", "b2", "b3"]


def test_an_exchange_is_undone_with_the_summary_that_it_made(instance: Instance) -> None:
    exchange(instance, "a")
    turn = instance.start("b")
    instance.do(history.sum_up, turn, "summary of a")
    log(instance, turn, "b")
    instance.finish(turn)
    undoing = instance.start("/undo")
    assert instance.do(history.undo_last, undoing) == turn.row_id
    instance.finish(undoing)
    assert [said for said in seen(instance, instance.start("c")) if said] == ["a"]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_turn_that_was_to_undo_something_and_broke_off_has_changed_nothing(
    instance: Instance,
    stopped: bool,  # noqa: FBT001 - a parameter
) -> None:
    last = exchange(instance, "a")
    retrying = instance.start("/retry")
    instance.do(history.undo_last, retrying)
    log(instance, retrying, "half of it", "partial")
    if stopped:
        instance.say("/stop")
        instance.release(retrying)
    else:
        instance.fail(retrying)
    again = instance.start("/retry")
    assert seen(instance, again) == ["a"]
    assert instance.do(history.undo_last, again) == last


def test_what_a_row_has_logged_is_found_also_when_it_was_undone_but_not_in_another_session(
    instance: Instance,
) -> None:
    last = exchange(instance, "a")
    undoing = instance.start("/undo")
    instance.do(history.undo_last, undoing)
    assert [entry.content for entry in instance.do(history.of_row, undoing, last)] == ["a"]
    assert instance.do(history.of_row, instance.start("b", chat=8), last) == []
