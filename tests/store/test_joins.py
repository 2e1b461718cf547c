"""Rows that join a lead row: which belong together, until when, and that they run and end as one."""

import time
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.life import Life, StartLife
from tgbot.model import Turn, UserId
from tgbot.store import turns
from tgbot.store.outbox import GIVEN_UP

ALBUM: dict[str, Any] = {"media_group_id": "g"}
OF_FIVE = ("1", "2", "3", "4", "5")


def begin(life: Life, *parts: str) -> Turn:
    """Send parts of one album to an idle session, and let its time come; returns its turn."""
    assert life.say(*parts, **ALBUM).claimed == []
    [turn] = life.due()
    return turn


def texts(turn: Turn | None) -> list[str]:
    assert turn
    return [message["text"] for message in turn.messages]


def seconds_left(life: Life) -> float:
    """Say how long the only row that waits for its time still does."""
    due_at = life.do(turns.next_due)
    assert due_at is not None
    return due_at - time.time()


def time_passes(life: Life, seconds: float) -> None:
    life.rows(
        "UPDATE pending SET received_at = received_at - :s, not_before = not_before - :s RETURNING id",
        s=seconds,
    )


# One turn


def test_an_album_is_one_turn_with_all_its_messages_in_order(life: Life) -> None:
    received = life.say(*OF_FIVE, **ALBUM)
    assert [address.message_id for address in received.waiting] == [received.waiting[0].message_id]
    assert received.timed
    [turn] = life.due()
    assert texts(turn) == [*OF_FIVE]
    assert life.finish(turn) is None
    assert life.states() == {"1": "done"} | dict.fromkeys(OF_FIVE[1:], "joined")
    assert life.answers() == ["re: 1"]


def test_an_ordinary_message_is_a_turn_of_one_message(life: Life) -> None:
    turn = life.start("a")
    assert turn.messages == [turn.message]


def test_the_text_of_an_album_is_the_first_there_is(life: Life) -> None:
    part: dict[str, Any] = {"chat": 7, **ALBUM}
    life.receive(
        raw_message(1, "", **part),
        raw_message(2, "", caption="look", **part),
        raw_message(3, "", caption="at this", **part),
    )
    [turn] = life.due()
    assert turn.text == "look"


@pytest.mark.parametrize(
    ("state", "before", "behind"),
    [("queued", (), ()), ("queued", ("busy",), ("next",)), ("held", ("busy",), ("/stop", "next"))],
)
def test_a_part_joins_its_album_whatever_that_waits_for(
    life: Life, state: str, before: tuple[str, ...], behind: tuple[str, ...]
) -> None:
    life.say(*before)
    life.say("1", **ALBUM)
    life.say(*behind)
    received = life.say("2", **ALBUM)
    assert (received.claimed, received.waiting) == ([], [])
    assert (life.states()["1"], life.states()["2"]) == (state, "joined")


def test_a_part_that_comes_again_joins_once(life: Life) -> None:
    parts = [raw_message(n, str(n), **ALBUM) for n in (1, 2, 3)]
    life.receive(*parts, parts[1])
    life.receive(*parts)
    [turn] = life.due()
    assert texts(turn) == ["1", "2", "3"]
    again = life.receive(*parts)
    assert (again.claimed, again.waiting) == ([], [])
    assert life.states() == {"1": "claimed", "2": "joined", "3": "joined"}


def test_what_comes_after_the_claim_is_a_turn_of_its_own(life: Life) -> None:
    turn = begin(life, "1", "2")
    life.say("3", "4", **ALBUM)
    assert life.finish(turn) is None
    [following] = life.due()
    assert texts(following) == ["3", "4"]


def test_an_album_has_ten_parts_at_most(life: Life) -> None:
    parts = [f"p{n}" for n in range(12)]
    [turn] = life.say(*parts, **ALBUM).claimed
    assert texts(turn) == parts[:10], "a full one waits for nothing"
    life.finish(turn)
    [rest] = life.due()
    assert texts(rest) == parts[10:]


def test_an_unreadable_part_is_not_in_its_album(life: Life) -> None:
    bad = raw_message(2, "", **ALBUM)
    bad["message"]["text"] = 5
    life.receive(raw_message(1, "1", **ALBUM), bad, raw_message(3, "3", **ALBUM))
    [turn] = life.due()
    assert texts(turn) == ["1", "3"]


# What belongs together

OTHERS: dict[str, dict[str, Any]] = {
    "sender": {"from": {"id": 8, "is_bot": False, "first_name": "Bob"}},
    "reply target": {"reply_to_message": {"message_id": 5}},
    "album": {"media_group_id": "h"},
    "topic": {"message_thread_id": 3, "is_topic_message": True},
}


@pytest.mark.parametrize("other", OTHERS)
def test_merging_never_crosses_sender_or_reply_target(life: Life, other: str) -> None:
    life.say("1", chat=-7, **ALBUM)
    life.say("2", chat=-7, **ALBUM | OTHERS[other])
    life.say("3", chat=-7, **ALBUM)
    assert life.states(-7) == {
        "1": "queued",
        "2": "queued",
        "3": "joined",
    }


def test_parts_with_one_reply_target_are_merged(life: Life) -> None:
    life.say("1", "2", **ALBUM | OTHERS["reply target"])
    assert life.states() == {"1": "queued", "2": "joined"}


def test_an_album_of_another_chat_is_another_album(life: Life) -> None:
    begin(life, "1")
    life.say("1", chat=8, **ALBUM)
    assert life.states(8) == {"1": "queued"}


def test_a_stranger_joins_no_album(live: StartLife) -> None:
    life = live(allowed_users=frozenset([UserId(8)]))
    life.say("1", "2", chat=-7, **ALBUM)
    assert life.states(-7) == {}


# The queue


def test_joined_parts_take_no_place_in_the_queue(live: StartLife) -> None:
    life = live(queue_max=2)
    life.start("busy")
    life.say(*OF_FIVE, **ALBUM)
    life.say("second", "one too many")
    life.say("6", **ALBUM)
    states = [life.states()[said] for said in ("1", "second", "one too many", "6")]
    assert states == ["queued", "queued", "dropped", "joined"]


def test_a_full_queue_refuses_all_of_an_album_and_says_it_once(live: StartLife) -> None:
    life = live(queue_max=1)
    life.start("busy", "waits")
    life.say(*OF_FIVE, **ALBUM)
    assert set(list(life.states().values())[2:]) == {"dropped"}
    assert life.answers() == ["1 messages wait already, so I did not take these 5. Send them again later."]


def test_messages_around_an_album_keep_their_order(life: Life) -> None:
    [turn] = life.receive(
        *(
            raw_message(n, said, **more)
            for n, said, more in (
                (1, "a", {}),
                (2, "b", {}),
                (3, "1", ALBUM),
                (4, "c", {}),
                (5, "2", ALBUM),
                (6, "d", {}),
            )
        )
    ).claimed
    ran = []
    following: Turn | None = turn
    while following:
        ran += texts(following)
        following = life.finish(following) or next(iter(life.due()), None)
    assert ran == ["a", "b", "1", "2", "c", "d"]


# /stop


def test_stop_while_an_album_waits_holds_it_and_takes_in_the_rest(life: Life) -> None:
    life.say("1", "2", **ALBUM)
    life.say("/stop")
    assert life.states() == {"1": "held", "2": "joined"}
    life.say("3", **ALBUM)
    assert life.due() == []
    [resumed] = life.say("/resume").claimed
    assert texts(resumed) == ["1", "2", "3"]


def test_what_comes_behind_the_stop_of_a_running_album_is_a_turn_of_its_own(life: Life) -> None:
    turn = begin(life, "1", "2")
    life.say("/stop")
    assert life.release(turn) is None
    life.say("3", **ALBUM)
    assert life.states() == {"1": "stopped", "2": "joined", "3": "queued"}


def test_what_stop_holds_of_an_album_is_named_once_and_resumed_as_one(life: Life) -> None:
    turn = life.start("busy")
    life.say("1", "2", **ALBUM)
    life.say("/stop")
    life.say("3", **ALBUM)
    assert ("“1”" in life.answers()[-1], "“2”" in life.answers()[-1]) == (True, False)
    life.release(turn)
    time_passes(life, 100)
    [resumed] = life.say("/resume").claimed
    assert life.answers()[-1] == "Running 1 message now."
    assert texts(resumed) == ["1", "2", "3"]


def test_status_counts_an_album_as_one(life: Life) -> None:
    life.start("busy")
    life.say(*OF_FIVE, **ALBUM)
    life.say("/status")
    assert "Waiting: 1." in life.answers()[-1]


# Time


def test_a_row_is_not_claimed_before_its_time(life: Life) -> None:
    life.say("1", **ALBUM)
    assert life.say("behind it").claimed == []
    assert life.claim_waiting() == []
    assert 40 < seconds_left(life) <= 50
    [turn] = life.due()
    assert (turn.text, life.do(turns.next_due)) == ("1", None)


def test_a_further_part_pushes_the_time(life: Life) -> None:
    life.say("1", **ALBUM)
    time_passes(life, 30)
    assert seconds_left(life) <= 20
    life.say("2", **ALBUM)
    assert 40 < seconds_left(life) <= 50


def test_an_album_that_waits_keeps_no_other_chat_waiting(life: Life) -> None:
    life.say("1", **ALBUM)
    assert len(life.say("other", chat=8).claimed) == 1


def test_the_window_begins_anew_with_the_process_for_what_was_sent_while_it_was_down(live: StartLife) -> None:
    live().say("1", "2", **ALBUM)
    time_passes(live(), 1000)
    life = live()
    life.recover()
    assert life.claim_waiting() == []
    assert 40 < seconds_left(life) <= 50
    life.say("3", **ALBUM)
    [turn] = life.due()
    assert texts(turn) == ["1", "2", "3"]


@pytest.mark.parametrize("seconds", [1e9, 500])
def test_a_clock_that_was_set_back_keeps_no_album_waiting(life: Life, seconds: float) -> None:
    life.say("1", "2", **ALBUM)
    time_passes(life, -seconds)
    [turn] = life.claim_waiting()
    assert texts(turn) == ["1", "2"]


# Deaths and owners


def test_an_attempt_after_a_crash_has_exactly_the_same_parts(live: StartLife) -> None:
    begin(live(), "1", "2")
    new = live()
    new.recover()
    [again] = new.say("3", **ALBUM).claimed
    assert (texts(again), again.attempt) == (["1", "2"], 2)
    new.finish(again)
    [rest] = new.due()
    assert texts(rest) == ["3"]


def test_an_album_that_is_given_up_is_said_once_and_takes_nobody_in(live: StartLife) -> None:
    begin(live(), "1", "2")
    life = live(crashes_max=1)
    assert life.recover() == ["dead"]
    assert life.answers() == [GIVEN_UP.text]
    life.say("3", **ALBUM)
    assert life.states() == {"1": "dead", "2": "joined", "3": "queued"}
