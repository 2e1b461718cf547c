"""Reactions that are due: noted with the answer, so that a process that dies before it reacts owes them."""

from tests.house import BOT
from tests.store.instance import Instance, StartInstance, new_id
from tgbot.model import BotId, InstanceId
from tgbot.render import Text
from tgbot.store import outbox, reactions, sending

SUPERGROUP = -1_000_000_000_005


def due(instance: Instance) -> list[tuple[object, ...]]:
    return [
        (one.chat_id, one.message_id, one.part_state, one.row_state)
        for one in instance.do(reactions.due, BOT, instance.owner.instance_id)
    ]


def test_the_next_process_sees_which_reactions_an_earlier_one_owes(start_instance: StartInstance) -> None:
    instance = start_instance()
    done, failed = instance.start("a"), instance.start("b", chat=8)
    instance.answer(done, "re: a")
    instance.fail(failed)
    for chat in (7, 8):
        instance.do(sending.sent, instance.the_next(chat), new_id(), react=True)
    assert due(start_instance()) == [
        (7, done.address.message_id, "sent", "done"),
        (8, failed.address.message_id, "sent", "failed"),
    ]
    assert start_instance().do(reactions.due, BotId(5), InstanceId(1)) == []


def test_what_was_parked_gets_a_reaction_too(instance: Instance) -> None:
    turn = instance.start("a")
    instance.answer(turn, "re: a")
    instance.do(sending.park, instance.the_next(), "refused", react=True)
    assert due(instance) == [(7, turn.address.message_id, "parked", "done")]


def test_where_a_part_could_not_be_shown_the_rest_of_the_answer_owes_nothing_better(
    instance: Instance,
) -> None:
    turn = instance.start("a")
    instance.answer(turn, "one", "two")
    instance.do(sending.park, instance.the_next(), "refused", react=True)
    instance.do(sending.sent, instance.the_next(), new_id(), react=True)
    assert due(instance) == [(7, turn.address.message_id, "parked", "done")]


def test_a_part_that_is_complete_while_its_turn_runs_owes_none(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("one"))
    instance.do(sending.sent, instance.the_next(), new_id(), react=True)
    assert due(instance) == []
    instance.answer(turn, "two", first=1)
    instance.do(sending.sent, instance.the_next(), new_id(), react=True)
    assert due(instance) == [(7, turn.address.message_id, "sent", "done")]


def test_a_reaction_that_was_shown_is_not_due_any_more(instance: Instance) -> None:
    instance.answer(instance.start("a"), "re: a")
    part = instance.the_next()
    instance.do(sending.sent, part, new_id(), react=True)
    instance.do(reactions.shown, [part.part_id])
    assert due(instance) == []


def test_without_receipts_nothing_is_due(instance: Instance) -> None:
    instance.answer(instance.start("a"), "re: a")
    instance.do(sending.sent, instance.the_next(), new_id())
    assert due(instance) == []


def test_a_question_of_the_chat_before_it_moved_gets_none(instance: Instance) -> None:
    """Its id means another message in the new one."""
    instance.answer(instance.start("a", chat=-5), "re: a")
    instance.rows("UPDATE outbox SET chat_id = :id, box = :id RETURNING id", id=SUPERGROUP)
    instance.do(sending.sent, instance.the_next(SUPERGROUP), new_id(), react=True)
    assert due(instance) == []
