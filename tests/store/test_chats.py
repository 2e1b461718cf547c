"""A group that becomes a supergroup: all that waits, runs or is unsent follows it, once."""

from typing import Any

import pytest

from tests.house import raw_message
from tests.store.life import Life, StartLife, key
from tgbot.model import ChatId, MessageId, Turn
from tgbot.store import sending
from tgbot.store.turns import LostGuardError

OLD, NEW = -5, -1000000000005


def upgraded(update_id: int, *, in_the_new_one: bool = False) -> dict[str, Any]:
    if in_the_new_one:
        return raw_message(update_id, "", NEW, migrate_from_chat_id=OLD)
    return raw_message(update_id, "", OLD, migrate_to_chat_id=NEW)


def run_all(life: Life, turn: Turn | None) -> list[str]:
    ran = []
    while turn:
        ran.append(turn.text)
        turn = life.finish(turn)
    return ran


@pytest.mark.parametrize("in_the_new_one", [False, True])
def test_what_runs_and_waits_follows_the_chat(life: Life, in_the_new_one: bool) -> None:  # noqa: FBT001
    running = life.start("a", "b", "c", chat=OLD)
    received = life.receive(upgraded(1, in_the_new_one=in_the_new_one))
    assert received.replied == {NEW}
    assert life.guards() == {key(NEW): running.token}
    assert life.say("d", chat=NEW).claimed == []
    assert run_all(life, running) == ["a", "b", "c", "d"]
    assert life.guards() == {}
    assert life.states(OLD) == {}
    assert [text for _, text in life.outbox(NEW)] == ["re: a", "re: b", "re: c", "re: d"]


def test_both_service_messages_and_what_comes_again_move_it_once(life: Life) -> None:
    running = life.start("a", "b", chat=OLD)
    both = upgraded(1), upgraded(2, in_the_new_one=True)
    life.receive(*both)
    life.say("c", chat=NEW)
    life.receive(*both)
    assert run_all(life, running) == ["a", "b", "c"]


def test_what_was_held_is_resumed_in_the_new_chat(life: Life) -> None:
    turn = life.start("a", "held", chat=OLD)
    life.say("/stop", chat=OLD)
    life.release(turn)
    life.receive(upgraded(1))
    [resumed] = life.say("/resume", chat=NEW).claimed
    assert (resumed.text, resumed.chat_id) == ("held", NEW)


def test_topics_keep_their_own_sessions(life: Life) -> None:
    life.start("x", chat=OLD)
    life.say("y", chat=OLD, message_thread_id=3, is_topic_message=True)
    life.receive(upgraded(1))
    assert set(life.guards()) == {key(NEW), f"{key(NEW)}:3"}


def test_a_group_whose_id_starts_alike_stays(life: Life) -> None:
    life.start("mine", chat=-51)
    life.receive(upgraded(1))
    assert life.states(-51) == {"mine": "claimed"}
    assert life.guards() == {key(-51): 1}


def test_what_is_unsent_is_a_new_message_in_the_new_chat(life: Life) -> None:
    """Message ids of the old chat mean other messages there."""
    life.finish(life.start("a", chat=OLD))
    part = life.do(sending.next_part, life.owner.bot_id, ChatId(OLD))
    assert part
    life.do(sending.placed, part.part_id, MessageId(55))
    waiting = life.start("b", chat=OLD)
    life.receive(upgraded(1))
    found = life.rows("SELECT chat_id, message_id, reply_to, state FROM outbox ORDER BY id")
    assert found == [(NEW, None, None, "ready"), (NEW, None, None, "open")]
    life.finish(waiting)


def test_a_turn_that_had_begun_in_the_new_chat_runs_again_behind_the_old_ones(live: StartLife) -> None:
    """Its first message came before anybody said that the two are one: never two turns at once."""
    life = live()
    old = life.start("a", "b", chat=OLD)
    early = life.start("c", chat=NEW)
    life.receive(upgraded(1))
    assert life.guards() == {key(NEW): old.token}
    with pytest.raises(LostGuardError):
        life.finish(early)
    assert run_all(life, old) == ["a", "b", "c"]


def test_a_death_after_the_move_recovers_in_the_new_chat(live: StartLife) -> None:
    life = live()
    life.start("a", "b", chat=OLD)
    life.receive(upgraded(1))
    new = live()
    new.recover()
    [turn] = new.claim_waiting()
    assert (turn.chat_id, run_all(new, turn)) == (NEW, ["a", "b"])
