"""An answer that takes the place of an earlier one, which disappears with the ending of the turn."""

import pytest

from tests.store.instance import Instance
from tests.store.test_chats import NEW, OLD, upgraded
from tgbot.model import RowId, Turn
from tgbot.render import Text
from tgbot.store import interrupted, turns
from tgbot.store.turns import Ending, Outcome


def answered(instance: Instance, said: str, *parts: str, chat: int = 7) -> RowId:
    turn = instance.start(said, chat=chat)
    instance.answer(turn, *parts)
    instance.send_all(chat)
    return turn.row_id


def end(instance: Instance, turn: Turn, outcome: Outcome, replaces: RowId, chat: int = 7) -> list[str]:
    """End a turn; returns the kinds of the parts of the row that it replaces, "" for an ordinary one."""
    ending = Ending(outcome, [Text("new")], replaces=replaces)
    instance.do(turns.end, instance.owner, turn, ending)
    sql = "SELECT kind FROM outbox WHERE pending_id = :row AND chat_id = :chat ORDER BY part"
    return [kind for (kind,) in instance.rows(sql, row=replaces, chat=chat)]


def test_all_of_the_old_answer_disappears_when_the_new_one_is_done(instance: Instance) -> None:
    old = answered(instance, "a", "one", "two")
    assert end(instance, instance.start("/retry"), "done", old) == ["surplus", "surplus"]
    instance.send_all()
    assert instance.rows("SELECT state, text FROM outbox") == [("sent", "new")]


def test_the_new_answer_is_sent_at_once_and_before_the_old_one_is_removed(instance: Instance) -> None:
    old = answered(instance, "a", "old")
    ending = Ending("done", [Text("new")], replaces=old)
    part = instance.do(turns.end, instance.owner, instance.start("/retry"), ending).part
    assert part
    assert part.text == "new"


@pytest.mark.parametrize("outcome", ["failed", "interrupted", "asking"])
def test_the_old_answer_stays_if_the_turn_is_not_done(instance: Instance, outcome: Outcome) -> None:
    old = answered(instance, "a", "old")
    assert end(instance, instance.start("/retry"), outcome, old) == ["text"]


def test_the_old_answer_stays_if_the_turn_was_stopped(instance: Instance) -> None:
    old = answered(instance, "a", "old")
    turn = instance.start("/retry")
    instance.say("/stop")
    assert end(instance, turn, "done", old) == ["text"]


def test_what_is_not_sent_yet_of_the_old_answer_never_is(instance: Instance) -> None:
    instance.say("/status")  # its reply is on its way, so what follows waits
    turn = instance.start("a", "/retry")
    retry = instance.answer(turn, "one", "two").following
    assert retry
    assert end(instance, retry, "done", turn.row_id) == []


def test_an_answer_of_unknown_fate_is_settled_and_then_removed(instance: Instance) -> None:
    turn = instance.start("a")
    instance.answer(turn, "old")
    instance.do(interrupted.lost, instance.the_next())
    assert end(instance, instance.start("/retry"), "done", turn.row_id) == ["surplus"]
    part = instance.the_next()
    assert (part.state, part.sent_text) == ("unknown", "old")


def test_a_row_of_another_session_keeps_its_answer(instance: Instance) -> None:
    other = answered(instance, "a", "theirs", chat=8)
    assert end(instance, instance.start("/retry"), "done", other, chat=8) == ["text"]


def test_what_stayed_in_the_old_chat_of_a_group_that_moved_is_not_touched(instance: Instance) -> None:
    old = answered(instance, "a", "old", chat=OLD)
    instance.receive(upgraded(1))
    turn = instance.start("/retry", chat=NEW)
    assert end(instance, turn, "done", old, chat=OLD) == ["text"]
