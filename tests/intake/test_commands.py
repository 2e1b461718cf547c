"""Buttons and notices at their edges: who is answered, in which session a button acts, what is said."""

import time
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.life import Life, StartLife, pressed
from tgbot.model import UserId

GROUP = -100
TOPIC = {"is_topic_message": True, "message_thread_id": 3}


def _stop_id(life: Life) -> int:
    """Tell the row of the last /stop, which its buttons name."""
    [(row_id,)] = life.rows("SELECT max(id) FROM pending WHERE kind = 'control'")
    return int(row_id)


def _row_id(life: Life, said: str) -> int:
    sql = "SELECT id FROM pending WHERE json_extract(raw, '$.message.text') = :said"
    [(row_id,)] = life.rows(sql, said=said)
    return int(row_id)


def _inaccessible(update_id: int, data: str) -> dict[str, Any]:
    raw = pressed(update_id, data, chat=GROUP)
    message = raw["callback_query"]["message"]
    raw["callback_query"]["message"] = {"chat": message["chat"], "message_id": 1, "date": 0}
    return raw


def test_a_strangers_button_is_answered_and_does_nothing_else(live: StartLife) -> None:
    life = live(allowed_users=frozenset([UserId(7)]))
    received = life.receive(pressed(50, "stop:1", chat=8))
    assert received.turned_away == ["q50"]
    assert (received.controls, received.replied) == ([], set())
    assert life.rows("SELECT 1 FROM pending") == []


def test_a_button_on_a_message_that_is_not_accessible_acts_in_its_topic(life: Life) -> None:
    life.say("a", "b", chat=GROUP, **TOPIC)
    life.say("/stop", chat=GROUP, **TOPIC)
    stop = _stop_id(life)
    life.receive(_inaccessible(50, f"resume:{stop}"))
    assert life.states(GROUP) == {"a": "stopped", "b": "queued"}
    assert life.answers(GROUP)[-1].startswith("Running 1 message")


def test_what_a_stop_button_holds_out_of_sight_of_its_topic_can_be_resumed(life: Life) -> None:
    life.say("a", "b", chat=GROUP, **TOPIC)
    life.receive(_inaccessible(50, f"stop:{_row_id(life, 'a')}"))
    assert life.states(GROUP) == {"a": "stopped", "b": "held"}
    assert life.rows("SELECT topic_id FROM outbox WHERE kind = 'reply'") == [(3,)]
    life.receive(_inaccessible(51, f"drop:{_stop_id(life)}"))
    assert life.states(GROUP) == {"a": "stopped", "b": "dropped"}


def test_status_tells_a_turn_that_winds_down_from_one_that_works(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = life.start("a")
    [(began,)] = life.rows("SELECT started_at FROM turn")
    monkeypatch.setattr(time, "time", lambda: began + 65.5)
    life.say("/status", "/stop", "/status")
    life.release(turn)
    life.say("/status")
    said = [answer.partition("\n")[0] for answer in life.answers() if "Waiting" in answer]
    assert said == [
        "Working for 1 min 5 s on: “a”",
        "Stopping after 1 min 5 s on: “a”",
        "Nothing is running.",
    ]


def test_status_of_a_chat_that_waits_for_a_slot_says_that_it_is_not_forgotten(live: StartLife) -> None:
    life = live(max_turns=1)
    life.start("a", chat=8)
    life.say("b", "/status")
    assert life.answers() == ["Nothing is running yet.\nWaiting: 1."]


def test_a_button_of_a_turn_that_winds_down_holds_nothing(life: Life) -> None:
    life.start("a")
    life.say("/stop")
    life.say("later")
    [(_, toast)] = life.press(f"stop:{_row_id(life, 'a')}").controls
    assert toast == "This has ended already."
    assert life.states() == {"a": "stopped", "later": "queued"}


def test_resume_says_when_it_runs(life: Life) -> None:
    turn = life.start("a", "b")
    life.say("/stop")
    life.release(turn)
    following = life.start("c")
    life.say("/resume")
    assert life.answers()[-1] == "Running 1 message after the running one."
    life.finish(following)
    life.say("c", "/stop")  # ends "b", which no longer counts while it winds down
    life.say("/resume")
    assert life.answers()[-1] == "Running 1 message soon."


def test_a_stored_row_that_can_not_be_quoted_does_not_break_stop_and_status(life: Life) -> None:
    life.start("a", "b", "c")
    for said, raw in (("a", '{"message": {"caption": 5}}'), ("b", "[]"), ("c", "no JSON")):
        life.rows("UPDATE pending SET raw = :raw WHERE id = :id RETURNING 1", raw=raw, id=_row_id(life, said))
    life.say("/status", "/stop")
    assert "on: (unreadable)" in life.answers()[0]
    assert "1. (unreadable)\n2. (unreadable)" in life.answers()[1]


def test_a_flood_into_a_full_queue_is_told_once_a_batch_and_session(live: StartLife) -> None:
    life = live(queue_max=1)
    life.start("a", "b")
    life.say("c", "d", "/status", "e")
    full = [said for said in life.answers() if "wait already" in said]
    assert full == ["1 messages wait already, so I did not take these 3. Send them again later."]


def test_only_what_a_control_says_goes_before_answers(live: StartLife) -> None:
    life = live(queue_max=1, allowed_users=frozenset([UserId(7)]))
    life.start("a", "b")
    life.say("too many", "/status")
    life.say("let me in", chat=8)
    life.receive({"update_id": 50, "message": {"chat": {"id": 7}, "from": {}, "text": "x"}})
    kinds = life.rows("SELECT kind, count(*) FROM outbox WHERE state = 'ready' GROUP BY kind ORDER BY kind")
    assert kinds == [("reply", 1), ("text", 3)]


def test_what_is_unreadable_is_told_in_its_topic(life: Life) -> None:
    raw = raw_message(50, "x", GROUP, **TOPIC)
    raw["message"]["from"] = {"id": "seven"}
    life.receive(raw)
    assert life.rows("SELECT topic_id FROM outbox") == [(3,)]
    assert life.rows("SELECT topic_id FROM pending") == [(3,)]


def test_a_full_queue_is_told_in_each_topic_of_a_chat(live: StartLife) -> None:
    life = live(queue_max=1)
    topics: list[dict[str, Any]] = [{"message_thread_id": n, "is_topic_message": True} for n in (3, 4)]
    for topic in topics:
        life.say("a", "b", chat=-7, **topic)
    life.receive(*(raw_message(n, "c", -7, **topic) for n, topic in enumerate(topics, start=1)))
    sql = "SELECT topic_id FROM outbox WHERE text LIKE '1 messages wait%' ORDER BY id"
    assert life.rows(sql) == [(3,), (4,)]


def test_resume_says_when_it_waits_for_a_slot_of_another_chat(live: StartLife) -> None:
    life = live(max_turns=1)
    turn = life.start("a", "b")
    life.say("/stop")
    life.release(turn)
    other = life.start("other", chat=8)
    life.say("/resume")
    assert life.answers()[-1] == "Running 1 message soon."
    life.finish(other)
    assert life.states()["b"] == "claimed"
