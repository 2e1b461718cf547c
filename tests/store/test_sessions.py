"""Whose a session is: a chat's, a topic's, or a person's in a group."""

import dataclasses
from typing import Any

import pytest

from tests.store.instance import Instance, key

GROUP, SUPERGROUP = -5, -1_000_000_000_005
TOPIC = {"is_topic_message": True, "message_thread_id": 3}


def person(user_id: int) -> dict[str, Any]:
    return {"from": {"id": user_id, "is_bot": False, "first_name": f"Person {user_id}"}}


@pytest.fixture
def bot(instance: Instance) -> Instance:
    instance.rules = dataclasses.replace(instance.rules, group_sessions="user")
    return instance


def test_each_person_in_a_group_may_have_a_session_of_their_own(bot: Instance) -> None:
    bot.say("a", chat=GROUP, **person(1))
    bot.say("b", chat=GROUP, **person(2))
    bot.say("c", chat=GROUP, **person(1))
    bot.say("d", chat=GROUP, **person(1), **TOPIC)
    assert bot.states(GROUP) == {"a": "claimed", "b": "claimed", "c": "queued", "d": "claimed"}
    assert set(bot.guards()) == {f"{key(GROUP)}:u1", f"{key(GROUP)}:u2", f"{key(GROUP)}:3:u1"}


def test_a_stop_in_a_group_of_own_sessions_is_for_its_sender_alone(bot: Instance) -> None:
    bot.say("a", chat=GROUP, **person(1))
    bot.say("b", chat=GROUP, **person(2))
    bot.say("/stop", chat=GROUP, **person(1))
    assert bot.states(GROUP) == {"a": "stopped", "b": "claimed"}


def test_the_stop_button_below_an_answer_stops_that_turn_whoever_presses_it(bot: Instance) -> None:
    [turn] = bot.say("a", chat=GROUP, **person(1)).claimed
    bot.press(f"stop:{turn.row_id}", chat=GROUP, user=2)
    assert bot.states(GROUP) == {"a": "stopped"}


def test_a_private_chat_is_one_session_however_groups_are_shared(bot: Instance) -> None:
    bot.say("a")
    assert set(bot.guards()) == {key()}


def test_the_sessions_of_those_in_a_group_move_with_it(bot: Instance) -> None:
    [turn] = bot.say("a", chat=GROUP, **person(1)).claimed
    bot.say("b", chat=GROUP, **person(1))
    bot.say("", chat=GROUP, migrate_to_chat_id=SUPERGROUP)
    assert set(bot.guards()) == {f"{key(SUPERGROUP)}:u1"}
    following = bot.finish(turn)
    assert following
    assert (following.text, following.session_key) == ("b", f"{key(SUPERGROUP)}:u1")
    bot.say("c", chat=SUPERGROUP, **person(1))
    assert bot.states(SUPERGROUP) == {"a": "done", "b": "claimed", "c": "queued"}
