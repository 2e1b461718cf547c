"""A group that becomes a supergroup: all that waits, runs or is unsent follows it, once."""

from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, key, new_id
from tgbot.intake.commands.registry import NOTHING
from tgbot.model import Choice, Turn
from tgbot.render import Text
from tgbot.store import fence, interrupted, outbox, sending, settling, turns, workers
from tgbot.store.engine.locks import shared
from tgbot.store.fence import LostGuardError
from tgbot.store.outbox import GIVEN_UP
from tgbot.store.parts import Asked
from tgbot.store.turns import Ending

OLD, NEW = -5, -1000000000005


def upgraded(update_id: int, *, in_the_new_one: bool = False) -> dict[str, Any]:
    if in_the_new_one:
        return raw_message(update_id, "", NEW, migrate_from_chat_id=OLD)
    return raw_message(update_id, "", OLD, migrate_to_chat_id=NEW)


def run_all(instance: Instance, turn: Turn | None) -> list[str]:
    ran = []
    while turn:
        ran.append(turn.text)
        turn = instance.finish(turn)
    return ran


@pytest.mark.parametrize("in_the_new_one", [False, True])
def test_what_runs_and_waits_follows_the_chat(instance: Instance, in_the_new_one: bool) -> None:  # noqa: FBT001
    running = instance.start("a", "b", "c", chat=OLD)
    received = instance.receive(upgraded(1, in_the_new_one=in_the_new_one))
    assert received.replied == {NEW}
    assert instance.guards() == {key(NEW): running.token}
    assert instance.say("d", chat=NEW).claimed == []
    assert run_all(instance, running) == ["a", "b", "c", "d"]
    assert instance.guards() == {}
    assert instance.states(OLD) == {}
    assert [text for _, text in instance.outbox(NEW)] == ["re: a", "re: b", "re: c", "re: d"]


def test_both_service_messages_and_what_comes_again_move_it_once(instance: Instance) -> None:
    running = instance.start("a", "b", chat=OLD)
    both = upgraded(1), upgraded(2, in_the_new_one=True)
    instance.receive(*both)
    instance.say("c", chat=NEW)
    instance.receive(*both)
    assert run_all(instance, running) == ["a", "b", "c"]


def test_a_turn_that_began_in_the_old_chat_keeps_others_out_of_the_new_one(instance: Instance) -> None:
    running = instance.start("a", chat=OLD)
    instance.receive(upgraded(1))
    with instance.engine.begin() as conn:
        fence.hold(conn, running.token, running.session_key)
        if shared(conn):  # else nobody else can even begin
            with instance.engine.begin() as others:
                assert not workers.try_lock_chat(others, key(NEW))


def test_what_was_held_is_resumed_in_the_new_chat(instance: Instance) -> None:
    turn = instance.start("a", "held", chat=OLD)
    instance.say("/stop", chat=OLD)
    instance.release(turn)
    instance.receive(upgraded(1))
    [resumed] = instance.say("/resume", chat=NEW).claimed
    assert (resumed.text, resumed.chat_id) == ("held", NEW)


def test_topics_keep_their_own_sessions(instance: Instance) -> None:
    instance.start("x", chat=OLD)
    instance.say("y", chat=OLD, message_thread_id=3, is_topic_message=True)
    instance.receive(upgraded(1))
    assert set(instance.guards()) == {key(NEW), f"{key(NEW)}:3"}


def test_a_group_whose_id_starts_alike_stays(instance: Instance) -> None:
    instance.start("mine", chat=-51)
    instance.receive(upgraded(1))
    assert instance.states(-51) == {"mine": "claimed"}
    assert instance.guards() == {key(-51): 1}


@pytest.mark.parametrize("state", ["ready", "sending", "unknown", "searched for"])
def test_what_is_unsent_is_a_new_message_in_the_new_chat(instance: Instance, state: str) -> None:
    """Message ids of the old chat mean other messages there."""
    turn = instance.start("a", "b", chat=OLD)
    instance.begin(turn, "first words")
    asked_for = instance.the_next(OLD)
    if state == "ready":
        instance.sent(asked_for)
    elif state != "sending":
        instance.do(interrupted.lost, asked_for)
    instance.answer(turn, "one", "two")
    if state == "searched for":
        instance.do(settling.placed, instance.the_next(OLD), new_id())
    instance.receive(upgraded(1))
    columns = "chat_id, box, message_id, reply_to, floor, ceiling, sent_text, state"
    nothing = (None,) * 5
    found = instance.rows(f"SELECT {columns} FROM outbox ORDER BY part")
    assert found == [(NEW, NEW, *nothing, "ready")] * 2
    assert instance.send_all(NEW) == ["one", "two"]


def test_words_of_a_running_turn_stay_and_it_says_them_again_in_the_new_chat(instance: Instance) -> None:
    turn = instance.start("a", chat=OLD)
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("the first part"))
    instance.send_all(OLD)
    instance.begin(turn, "more words", 1)
    instance.sent(instance.the_next(OLD))
    instance.receive(upgraded(1))
    part = instance.begin(turn, "even more", 1)
    assert part
    assert (part.chat_id, part.floor) == (NEW, 0)
    instance.sent(part)
    instance.answer(turn, "the rest", first=1)
    assert instance.send_all(NEW) == ["the rest"]


def test_what_was_to_disappear_from_the_old_chat_is_forgotten(instance: Instance) -> None:
    instance.finish(instance.start("a", chat=OLD))
    part = instance.the_next(OLD)
    instance.sent(part)
    instance.do(sending.add_surplus, part, new_id())
    instance.receive(upgraded(1))
    assert instance.send_all(NEW) == instance.send_all(OLD) == []


def test_a_turn_that_had_begun_in_the_new_chat_runs_again_behind_the_old_ones(
    start_instance: StartInstance,
) -> None:
    """Its first message came before the bot knew that the two chats are one: never two turns at once."""
    instance = start_instance()
    old = instance.start("a", "b", chat=OLD)
    early = instance.start("c", chat=NEW)
    instance.receive(upgraded(1))
    assert instance.guards() == {key(NEW): old.token}
    with pytest.raises(LostGuardError):
        instance.finish(early)
    assert run_all(instance, old) == ["a", "b", "c"]


def test_a_death_after_the_move_recovers_in_the_new_chat(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("a", "b", chat=OLD)
    instance.receive(upgraded(1))
    new = start_instance()
    new.recover()
    [turn] = new.claim_waiting()
    assert (turn.chat_id, run_all(new, turn)) == (NEW, ["a", "b"])


def test_a_message_id_that_comes_from_the_old_chat_after_the_move_is_not_taken_for_the_new_one(
    instance: Instance,
) -> None:
    """It means another message there."""
    instance.finish(instance.start("a", chat=OLD))
    part = instance.the_next(OLD)
    instance.receive(upgraded(1))
    assert instance.do(sending.sent, part, new_id()) is None
    assert instance.rows("SELECT chat_id, message_id, state FROM outbox") == [(NEW, None, "ready")]


def test_a_sent_answer_of_the_old_chat_is_not_shown_again_in_the_new_one(instance: Instance) -> None:
    turn = instance.start("a", chat=OLD)
    instance.finish(turn)
    instance.sent(instance.the_next(OLD))
    instance.do(interrupted.mark_uncertain, turn.row_id)
    instance.receive(upgraded(1))
    assert instance.rows("SELECT chat_id, uncertain_until FROM outbox") == [(OLD, None)]


def test_a_stopped_turn_of_the_new_chat_gets_its_answer_though_it_loses_its_guard(instance: Instance) -> None:
    instance.start("old", chat=OLD)
    instance.begin(instance.start("new", chat=NEW), "first words")
    instance.sent(instance.the_next(NEW))
    instance.say("/stop", chat=NEW)
    instance.receive(upgraded(1))
    assert instance.states(NEW) == {"old": "claimed", "new": "stopped"}
    assert instance.send_all(NEW) == ["Stopped.", "⏹ Stopped."]


def test_try_again_from_the_old_chat_does_nothing_once_its_message_has_moved(
    start_instance: StartInstance,
) -> None:
    start_instance(crashes_max=1).start("poison", chat=OLD)
    instance = start_instance(crashes_max=1)
    assert instance.recover() == ["dead"]
    [(dead,)] = instance.rows("SELECT id FROM pending")
    instance.receive(upgraded(1))
    pressed = instance.press(f"retry:{dead}", chat=OLD)
    assert (pressed.claimed, [toast for _, toast in pressed.controls]) == ([], [NOTHING.toast])
    assert (instance.states(NEW), instance.answers(NEW)) == ({"poison": "dead"}, [GIVEN_UP.text])
    assert instance.outbox(OLD) == []
    [again] = instance.press(f"retry:{dead}", chat=NEW).claimed
    assert (again.text, again.chat_id) == ("poison", NEW)
    assert instance.guards() == {key(NEW): again.token}


def test_an_open_question_is_asked_again_in_the_new_chat(instance: Instance) -> None:
    """The buttons that stay in the old chat cannot be pressed any more."""
    turn = instance.start("delete it", chat=OLD)
    asks = [Asked("a", Text("May I?"), (Choice("Yes", "yes"),))]
    instance.do(turns.end, instance.owner, turn, Ending("asking", asks=asks))
    instance.rows("UPDATE outbox SET state = 'sent', message_id = 9, floor = NULL RETURNING id")
    instance.receive(upgraded(1))
    [(chat, state, message)] = instance.rows("SELECT chat_id, state, message_id FROM outbox")
    assert (chat, state, message) == (NEW, "ready", None)
    [again] = instance.press("answer:1:1:0", chat=NEW, user=turn.user_id).claimed
    assert again.row_id == turn.row_id
