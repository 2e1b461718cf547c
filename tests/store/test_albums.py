"""Albums: which parts belong together, until when one may join, and that they live and end as one."""

import time
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.life import Life, StartLife
from tgbot.model import AlbumTurn, Turn, UserId
from tgbot.store import albums, turns
from tgbot.store.turns import LostGuardError

ALBUM: dict[str, Any] = {"media_group_id": "g"}
OF_FIVE = ("1", "2", "3", "4", "5")


def begin(life: Life, *parts: str) -> AlbumTurn:
    """Send parts of one album to an idle session; returns its turn."""
    [turn] = life.say(*parts, **ALBUM).claimed
    assert isinstance(turn, AlbumTurn)
    return turn


def texts(turn: Turn) -> list[str]:
    return [message["text"] for message in turn.messages]


def seconds_left(life: Life, turn: AlbumTurn, quiet_seconds: float = 100) -> float:
    left = life.do(albums.close, turn, quiet_seconds)
    assert isinstance(left, float)
    return left


def age(life: Life, seconds: float) -> None:
    """Make all that is stored so much older."""
    life.rows("UPDATE pending SET received_at = received_at - :s RETURNING id", s=seconds)
    life.rows("UPDATE instance SET started_at = started_at - :s RETURNING id", s=seconds)


# One turn


def test_an_album_is_one_turn_with_all_its_messages_in_order(life: Life) -> None:
    received = life.say(*OF_FIVE, **ALBUM)
    assert received.waiting == [], "no part waits by itself"
    [turn] = received.claimed
    assert texts(life.close(turn)) == [*OF_FIVE]
    assert life.finish(turn) is None
    assert life.states() == {"1": "done"} | dict.fromkeys(OF_FIVE[1:], "joined")
    assert life.answers() == ["re: 1"]


def test_an_ordinary_message_is_a_turn_of_one_message(life: Life) -> None:
    turn = life.start("a")
    assert turn.messages == [turn.message]
    assert not isinstance(turn, AlbumTurn)


def test_the_text_of_an_album_is_the_first_there_is(life: Life) -> None:
    part: dict[str, Any] = {"chat": 7, **ALBUM}
    [turn] = life.receive(
        raw_message(1, "", **part),
        raw_message(2, "", caption="look", **part),
        raw_message(3, "", caption="at this", **part),
    ).claimed
    assert life.close(turn).text == "look"


@pytest.mark.parametrize(
    ("state", "before", "behind"),
    [("claimed", (), ()), ("queued", ("busy",), ("next",)), ("held", ("busy",), ("/stop", "next"))],
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
    [turn] = life.receive(*parts, parts[1]).claimed
    life.receive(*parts)
    assert texts(life.close(turn)) == ["1", "2", "3"]
    again = life.receive(*parts)
    assert (again.claimed, again.waiting) == ([], [])
    assert life.states() == {"1": "claimed", "2": "joined", "3": "joined"}


def test_what_comes_after_the_close_is_a_turn_of_its_own(life: Life) -> None:
    turn = begin(life, "1", "2")
    life.close(turn)
    life.say("3", "4", **ALBUM)
    following = life.finish(turn)
    assert texts(life.close(following)) == ["3", "4"]


def test_an_album_has_ten_parts_at_most(life: Life) -> None:
    parts = [f"p{n}" for n in range(12)]
    turn = begin(life, *parts)
    closed = life.do(albums.close, turn, 100)
    assert isinstance(closed, AlbumTurn), "a full one waits for nothing"
    assert texts(closed) == parts[:10]
    assert texts(life.close(life.finish(turn))) == parts[10:]


def test_an_unreadable_part_is_not_in_its_album(life: Life) -> None:
    bad = raw_message(2, "", **ALBUM)
    bad["message"]["text"] = 5
    [turn] = life.receive(raw_message(1, "1", **ALBUM), bad, raw_message(3, "3", **ALBUM)).claimed
    assert texts(life.close(turn)) == ["1", "3"]


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
        "1": "claimed",
        "2": "claimed" if other == "topic" else "queued",
        "3": "joined",
    }


def test_parts_with_one_reply_target_are_merged(life: Life) -> None:
    life.say("1", "2", **ALBUM | OTHERS["reply target"])
    assert life.states() == {"1": "claimed", "2": "joined"}


def test_an_album_of_another_chat_is_another_album(life: Life) -> None:
    begin(life, "1")
    assert len(life.say("1", chat=8, **ALBUM).claimed) == 1


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
    following: Turn | None = life.receive(
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
    ).claimed[0]
    ran = []
    while following:
        ran += texts(life.close(following)) if isinstance(following, AlbumTurn) else [following.text]
        following = life.finish(following)
    assert ran == ["a", "b", "1", "2", "c", "d"]


# /stop


def test_stop_in_the_quiet_window_stops_all_of_the_album(life: Life) -> None:
    turn = begin(life, "1", "2")
    life.say("/stop")
    assert life.release(turn) is None
    assert life.states() == {"1": "stopped", "2": "joined"}
    [late] = life.say("3", **ALBUM).claimed
    assert texts(life.close(late)) == ["3"], "what comes after a /stop is not what it stopped"


def test_what_stop_holds_of_an_album_is_named_once_and_resumed_as_one(life: Life) -> None:
    turn = life.start("busy")
    life.say("1", "2", **ALBUM)
    life.say("/stop")
    life.say("3", **ALBUM)
    assert ("“1”" in life.answers()[-1], "“2”" in life.answers()[-1]) == (True, False)
    life.release(turn)
    [resumed] = life.say("/resume").claimed
    assert life.answers()[-1] == "Running 1 message now."
    assert texts(life.close(resumed)) == ["1", "2", "3"]


def test_status_counts_an_album_as_one(life: Life) -> None:
    life.start("busy")
    life.say(*OF_FIVE, **ALBUM)
    life.say("/status")
    assert "Waiting: 1." in life.answers()[-1]


# The quiet window


def test_the_window_is_measured_from_the_newest_part(life: Life) -> None:
    turn = begin(life, "1")
    age(life, 60)
    assert 30 < seconds_left(life, turn) <= 40
    life.say("2", **ALBUM)
    assert 90 < seconds_left(life, turn) <= 100
    age(life, 100)
    assert isinstance(life.do(albums.close, turn, 100), AlbumTurn)


def test_the_window_begins_anew_with_the_process_for_what_was_sent_while_it_was_down(live: StartLife) -> None:
    begin(live(), "1", "2")
    life = live()
    life.rows("UPDATE pending SET received_at = received_at - 1000 RETURNING id")
    life.recover()
    [again] = life.claim_waiting()
    assert isinstance(again, AlbumTurn)
    assert 90 < seconds_left(life, again) <= 100
    life.say("3", **ALBUM)
    assert texts(life.close(again)) == ["1", "2", "3"]


@pytest.mark.parametrize("seconds", [1e9, 500])
def test_a_clock_that_was_set_back_keeps_no_album_waiting(life: Life, seconds: float) -> None:
    turn = begin(life, "1", "2")
    age(life, -seconds)
    assert isinstance(life.do(albums.close, turn, 100), AlbumTurn)


def test_a_clock_that_was_set_back_a_little_closes_no_album_early(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = begin(life, "1")
    now = time.time() - 0.01
    monkeypatch.setattr(time, "time", lambda: now)
    assert seconds_left(life, turn) > 90


# Deaths and owners


def test_an_attempt_after_the_close_has_exactly_the_same_parts(live: StartLife) -> None:
    life = live()
    life.close(begin(life, "1", "2"))
    new = live()
    new.say("3", **ALBUM)
    new.recover()
    [again] = new.claim_waiting()
    closed = new.do(albums.close, again, 100)  # type: ignore[arg-type]  # an album's, as the next lines show
    assert isinstance(closed, AlbumTurn), "and does not wait again"
    assert (texts(closed), closed.attempt) == (["1", "2"], 2)
    assert texts(new.close(new.finish(closed))) == ["3"]


def test_a_stale_owner_closes_no_album(live: StartLife) -> None:
    life = live()
    stale = begin(life, "1")
    new = live()
    new.recover()
    [again] = new.claim_waiting()
    with pytest.raises(LostGuardError):
        life.do(albums.close, stale, 0)
    new.say("2", **ALBUM)
    assert texts(new.close(again)) == ["1", "2"]


def test_an_album_that_is_given_up_is_told_once_and_takes_nobody_in(live: StartLife) -> None:
    begin(live(), "1", "2")
    life = live(attempts_max=1)
    assert life.recover() == ["dead"]
    assert life.answers() == ["given up"]
    life.say("3", **ALBUM)
    assert life.states() == {"1": "dead", "2": "joined", "3": "claimed"}


def test_a_released_album_is_still_open(life: Life) -> None:
    turn = begin(life, "1")
    again = life.release(turn)
    assert life.say("2", **ALBUM).claimed == []
    assert [g.state for g in life.do(turns.guards)] == ["claimed"]
    assert texts(life.close(again)) == ["1", "2"]
