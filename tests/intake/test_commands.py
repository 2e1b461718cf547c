"""Edge cases of buttons and notices: who is answered, and in which session a button acts."""

import time
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, pressed
from tgbot.model import UserId

GROUP = -100
TOPIC = {"is_topic_message": True, "message_thread_id": 3}


def _stop_id(instance: Instance) -> int:
    """Find the row of the last /stop, which its buttons name."""
    [(row_id,)] = instance.rows("SELECT max(id) FROM pending WHERE kind = 'control'")
    return int(row_id)


def _row_id(instance: Instance, said: str) -> int:
    sql = "SELECT id FROM pending WHERE json_extract(raw, '$.message.text') = :said"
    [(row_id,)] = instance.rows(sql, said=said)
    return int(row_id)


def _inaccessible(update_id: int, data: str) -> dict[str, Any]:
    raw = pressed(update_id, data, chat=GROUP)
    message = raw["callback_query"]["message"]
    raw["callback_query"]["message"] = {"chat": message["chat"], "message_id": 1, "date": 0}
    return raw


def test_a_strangers_button_is_answered_and_does_nothing_else(start_instance: StartInstance) -> None:
    instance = start_instance(allowed_users=frozenset([UserId(7)]))
    received = instance.receive(pressed(50, "stop:1", chat=8))
    assert received.turned_away == ["q50"]
    assert (received.controls, received.replied) == ([], set())
    assert instance.rows("SELECT 1 FROM pending") == []


def test_a_button_on_a_message_that_is_not_accessible_acts_in_its_topic(instance: Instance) -> None:
    instance.say("a", "b", chat=GROUP, **TOPIC)
    instance.say("/stop", chat=GROUP, **TOPIC)
    stop = _stop_id(instance)
    instance.receive(_inaccessible(50, f"resume:{stop}"))
    assert instance.states(GROUP) == {"a": "stopped", "b": "queued"}
    assert instance.answers(GROUP)[-1].startswith("Running 1 message")


def test_what_a_stop_button_holds_out_of_sight_of_its_topic_can_be_resumed(instance: Instance) -> None:
    instance.say("a", "b", chat=GROUP, **TOPIC)
    instance.receive(_inaccessible(50, f"stop:{_row_id(instance, 'a')}"))
    assert instance.states(GROUP) == {"a": "stopped", "b": "held"}
    assert instance.rows("SELECT topic_id FROM outbox WHERE kind = 'reply'") == [(3,)]
    instance.receive(_inaccessible(51, f"drop:{_stop_id(instance)}"))
    assert instance.states(GROUP) == {"a": "stopped", "b": "dropped"}


def test_status_distinguishes_a_turn_that_winds_down_from_one_that_works(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = instance.start("a")
    [(began,)] = instance.rows("SELECT started_at FROM turn")
    monkeypatch.setattr(time, "time", lambda: began + 65.5)
    instance.say("/status", "/stop", "/status")
    instance.release(turn)
    instance.say("/status")
    said = [answer.partition("\n")[0] for answer in instance.answers() if "Waiting" in answer]
    assert said == [
        "Working for 1 min 5 s on: “a”",
        "Stopping after 1 min 5 s on: “a”",
        "Nothing is running.",
    ]


def test_status_of_a_chat_that_waits_for_a_slot_says_that_it_is_not_forgotten(
    start_instance: StartInstance,
) -> None:
    instance = start_instance(max_turns=1)
    instance.start("a", chat=8)
    instance.say("b", "/status")
    assert instance.answers() == ["Nothing is running yet.\nWaiting: 1."]


def test_a_button_of_a_turn_that_winds_down_holds_nothing(instance: Instance) -> None:
    instance.start("a")
    instance.say("/stop")
    instance.say("later")
    [(_, toast)] = instance.press(f"stop:{_row_id(instance, 'a')}").controls
    assert toast == "This has ended already."
    assert instance.states() == {"a": "stopped", "later": "queued"}


def test_resume_says_when_it_runs(instance: Instance) -> None:
    turn = instance.start("a", "b")
    instance.say("/stop")
    instance.release(turn)
    following = instance.start("c")
    instance.say("/resume")
    assert instance.answers()[-1] == "Running 1 message after the running one."
    instance.finish(following)
    instance.say("c", "/stop")  # ends "b", which no longer counts while it winds down
    instance.say("/resume")
    assert instance.answers()[-1] == "Running 1 message soon."


def test_a_stored_row_that_cannot_be_quoted_does_not_break_stop_and_status(instance: Instance) -> None:
    instance.start("a", "b", "c")
    for said, raw in (("a", '{"message": {"caption": 5}}'), ("b", "[]"), ("c", "no JSON")):
        instance.rows(
            "UPDATE pending SET raw = :raw WHERE id = :id RETURNING 1", raw=raw, id=_row_id(instance, said)
        )
    instance.say("/status", "/stop")
    assert "on: (unreadable)" in instance.answers()[0]
    assert "1. (unreadable)\n2. (unreadable)" in instance.answers()[1]


def test_a_full_queue_is_reported_once_for_as_long_as_it_is_full(
    start_instance: StartInstance,
) -> None:
    instance = start_instance(queue_max=1)
    turn = instance.start("a", "b")
    instance.say("c", "d", "/status", "e")
    instance.say("f")
    full = [said for said in instance.answers() if "The queue is full" in said]
    assert full == [
        "The queue is full (1): I did not take this, and take no more until there is room. See /queue."
    ]
    instance.finish(turn)
    instance.say("g", "h", "i")
    assert len([said for said in instance.answers() if "The queue is full" in said]) == 2, (
        "it had room meanwhile"
    )


def test_only_what_a_control_says_goes_before_answers(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1, allowed_users=frozenset([UserId(7)]))
    instance.start("a", "b")
    instance.say("too many", "/status")
    instance.say("let me in", chat=8)
    instance.receive({"update_id": 50, "message": {"chat": {"id": 7}, "from": {}, "text": "x"}})
    kinds = instance.rows(
        "SELECT kind, count(*) FROM outbox WHERE state IN ('ready', 'sending') GROUP BY kind ORDER BY kind"
    )
    assert kinds == [("notice", 3), ("reply", 1)]


def test_what_is_unreadable_is_reported_in_its_topic(instance: Instance) -> None:
    raw = raw_message(50, "x", GROUP, **TOPIC)
    raw["message"]["from"] = {"id": "seven"}
    instance.receive(raw)
    assert instance.rows("SELECT topic_id FROM outbox") == [(3,)]
    assert instance.rows("SELECT topic_id FROM pending") == [(3,)]


def test_a_full_queue_says_so_in_each_topic_of_a_chat(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    topics: list[dict[str, Any]] = [{"message_thread_id": n, "is_topic_message": True} for n in (3, 4)]
    for topic in topics:
        instance.say("a", "b", chat=-7, **topic)
    instance.receive(*(raw_message(n, "c", -7, **topic) for n, topic in enumerate(topics, start=1)))
    sql = "SELECT topic_id FROM outbox WHERE text LIKE 'The queue is full%' ORDER BY id"
    assert instance.rows(sql) == [(3,), (4,)]


def test_resume_says_when_it_waits_for_a_slot_of_another_chat(start_instance: StartInstance) -> None:
    instance = start_instance(max_turns=1)
    turn = instance.start("a", "b")
    instance.say("/stop")
    instance.release(turn)
    other = instance.start("other", chat=8)
    instance.say("/resume")
    assert instance.answers()[-1] == "Running 1 message soon."
    instance.finish(other)
    assert instance.states()["b"] == "claimed"
