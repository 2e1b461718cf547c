"""Rows that join a lead row: which belong together, until when, and that they run and end as one."""

import json
import time
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tgbot.model import RowId, Turn, UserId
from tgbot.store import claims, joins, modes
from tgbot.store.fence import LostGuardError
from tgbot.store.outbox import GIVEN_UP

ALBUM: dict[str, Any] = {"media_group_id": "g"}
OF_FIVE = ("1", "2", "3", "4", "5")


def begin(instance: Instance, *parts: str) -> Turn:
    """Send parts of one album to an idle session, and make it due; returns its turn."""
    assert instance.say(*parts, **ALBUM).claimed == []
    [turn] = instance.due()
    return turn


def texts(turn: Turn | None) -> list[str]:
    assert turn
    return [message["text"] for message in turn.messages]


def seconds_left(instance: Instance) -> float:
    """Compute in how many seconds the only row that waits is due."""
    due_at = instance.do(claims.next_due, instance.owner)
    assert due_at is not None
    return due_at - time.time()


def time_passes(instance: Instance, seconds: float) -> None:
    instance.rows(
        "UPDATE pending SET received_at = received_at - :s, not_before = not_before - :s RETURNING id",
        s=seconds,
    )


# One turn


def test_an_album_is_one_turn_with_all_its_messages_in_order(instance: Instance) -> None:
    received = instance.say(*OF_FIVE, **ALBUM)
    assert [address.message_id for address in received.waiting] == [received.waiting[0].message_id]
    assert received.timed
    [turn] = instance.due()
    assert texts(turn) == [*OF_FIVE]
    assert instance.finish(turn) is None
    assert instance.states() == {"1": "done"} | dict.fromkeys(OF_FIVE[1:], "joined")
    assert instance.answers() == ["re: 1"]


def test_an_ordinary_message_is_a_turn_of_one_message(instance: Instance) -> None:
    turn = instance.start("a")
    assert turn.messages == [turn.message]


def test_the_text_of_an_album_is_the_first_there_is(instance: Instance) -> None:
    part: dict[str, Any] = {"chat": 7, **ALBUM}
    instance.receive(
        raw_message(1, "", **part),
        raw_message(2, "", caption="look", **part),
        raw_message(3, "", caption="at this", **part),
    )
    [turn] = instance.due()
    assert turn.text == "look"


@pytest.mark.parametrize(
    ("state", "before", "behind"),
    [("queued", (), ()), ("queued", ("busy",), ("next",)), ("held", ("busy",), ("/stop", "next"))],
)
def test_a_part_joins_its_album_whatever_that_waits_for(
    instance: Instance, state: str, before: tuple[str, ...], behind: tuple[str, ...]
) -> None:
    instance.say(*before)
    instance.say("1", **ALBUM)
    instance.say(*behind)
    received = instance.say("2", **ALBUM)
    assert (received.claimed, received.waiting) == ([], [])
    assert (instance.states()["1"], instance.states()["2"]) == (state, "joined")


def test_a_part_that_comes_again_joins_once(instance: Instance) -> None:
    parts = [raw_message(n, str(n), **ALBUM) for n in (1, 2, 3)]
    instance.receive(*parts, parts[1])
    instance.receive(*parts)
    [turn] = instance.due()
    assert texts(turn) == ["1", "2", "3"]
    again = instance.receive(*parts)
    assert (again.claimed, again.waiting) == ([], [])
    assert instance.states() == {"1": "claimed", "2": "joined", "3": "joined"}


def test_what_comes_after_the_claim_is_a_turn_of_its_own(instance: Instance) -> None:
    turn = begin(instance, "1", "2")
    instance.say("3", "4", **ALBUM)
    assert instance.finish(turn) is None
    [following] = instance.due()
    assert texts(following) == ["3", "4"]


def test_an_album_has_ten_parts_at_most(instance: Instance) -> None:
    parts = [f"p{n}" for n in range(12)]
    [turn] = instance.say(*parts, **ALBUM).claimed
    assert texts(turn) == parts[:10], "a full one waits for nothing"
    instance.finish(turn)
    [rest] = instance.due()
    assert texts(rest) == parts[10:]


def test_an_unreadable_part_is_not_in_its_album(instance: Instance) -> None:
    bad = raw_message(2, "", **ALBUM)
    bad["message"]["text"] = 5
    instance.receive(raw_message(1, "1", **ALBUM), bad, raw_message(3, "3", **ALBUM))
    [turn] = instance.due()
    assert texts(turn) == ["1", "3"]


# What belongs together

OTHERS: dict[str, dict[str, Any]] = {
    "sender": {"from": {"id": 8, "is_bot": False, "first_name": "Bob"}},
    "reply target": {"reply_to_message": {"message_id": 5}},
    "album": {"media_group_id": "h"},
    "topic": {"message_thread_id": 3, "is_topic_message": True},
}


@pytest.mark.parametrize("other", OTHERS)
def test_merging_never_crosses_sender_or_reply_target(instance: Instance, other: str) -> None:
    instance.say("1", chat=-7, **ALBUM)
    instance.say("2", chat=-7, **ALBUM | OTHERS[other])
    instance.say("3", chat=-7, **ALBUM)
    assert instance.states(-7) == {
        "1": "queued",
        "2": "queued",
        "3": "joined",
    }


def test_parts_with_one_reply_target_are_merged(instance: Instance) -> None:
    instance.say("1", "2", **ALBUM | OTHERS["reply target"])
    assert instance.states() == {"1": "queued", "2": "joined"}


def test_an_album_of_another_chat_is_another_album(instance: Instance) -> None:
    begin(instance, "1")
    instance.say("1", chat=8, **ALBUM)
    assert instance.states(8) == {"1": "queued"}


def test_a_stranger_joins_no_album(start_instance: StartInstance) -> None:
    instance = start_instance(allowed_users=frozenset([UserId(8)]))
    instance.say("1", "2", chat=-7, **ALBUM)
    assert instance.states(-7) == {}


# The queue


def test_joined_parts_take_no_place_in_the_queue(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=2)
    instance.start("busy")
    instance.say(*OF_FIVE, **ALBUM)
    instance.say("second", "one too many")
    instance.say("6", **ALBUM)
    states = [instance.states()[said] for said in ("1", "second", "one too many", "6")]
    assert states == ["queued", "queued", "dropped", "joined"]


def test_a_full_queue_refuses_all_of_an_album_and_says_it_once(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    instance.start("busy", "waits")
    instance.say(*OF_FIVE, **ALBUM)
    assert set(list(instance.states().values())[2:]) == {"dropped"}
    assert instance.answers() == [
        "The queue is full (1): I did not take this, and take no more until there is room. See /queue."
    ]


def test_messages_around_an_album_keep_their_order(instance: Instance) -> None:
    [turn] = instance.receive(
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
        following = instance.finish(following) or next(iter(instance.due()), None)
    assert ran == ["a", "b", "1", "2", "c", "d"]


# /stop


def test_stop_while_an_album_waits_holds_it_and_takes_in_the_rest(instance: Instance) -> None:
    instance.say("1", "2", **ALBUM)
    instance.say("/stop")
    assert instance.states() == {"1": "held", "2": "joined"}
    instance.say("3", **ALBUM)
    assert instance.due() == []
    [resumed] = instance.say("/resume").claimed
    assert texts(resumed) == ["1", "2", "3"]


def test_what_comes_behind_the_stop_of_a_running_album_is_a_turn_of_its_own(instance: Instance) -> None:
    turn = begin(instance, "1", "2")
    instance.say("/stop")
    assert instance.release(turn) is None
    instance.say("3", **ALBUM)
    assert instance.states() == {"1": "stopped", "2": "joined", "3": "queued"}


def test_what_stop_holds_of_an_album_is_named_once_and_resumed_as_one(instance: Instance) -> None:
    turn = instance.start("busy")
    instance.say("1", "2", **ALBUM)
    instance.say("/stop")
    instance.say("3", **ALBUM)
    assert ("“1”" in instance.answers()[-1], "“2”" in instance.answers()[-1]) == (True, False)
    instance.release(turn)
    time_passes(instance, 100)
    [resumed] = instance.say("/resume").claimed
    assert instance.answers()[-1] == "Running 1 message now."
    assert texts(resumed) == ["1", "2", "3"]


def test_status_counts_an_album_as_one(instance: Instance) -> None:
    instance.start("busy")
    instance.say(*OF_FIVE, **ALBUM)
    instance.say("/status")
    assert "Waiting: 1." in instance.answers()[-1]


# Time


def test_a_row_is_not_claimed_before_its_time(instance: Instance) -> None:
    instance.say("1", **ALBUM)
    assert instance.say("behind it").claimed == []
    assert instance.claim_waiting() == []
    assert 40 < seconds_left(instance) <= 50
    [turn] = instance.due()
    assert (turn.text, instance.do(claims.next_due, instance.owner)) == ("1", None)


def test_a_further_part_pushes_the_time(instance: Instance) -> None:
    instance.say("1", **ALBUM)
    time_passes(instance, 30)
    assert seconds_left(instance) <= 20
    instance.say("2", **ALBUM)
    assert 40 < seconds_left(instance) <= 50


def test_an_album_that_waits_keeps_no_other_chat_waiting(instance: Instance) -> None:
    instance.say("1", **ALBUM)
    assert len(instance.say("other", chat=8).claimed) == 1


def test_the_window_begins_anew_with_the_process_for_what_was_sent_while_it_was_down(
    start_instance: StartInstance,
) -> None:
    start_instance().say("1", "2", **ALBUM)
    time_passes(start_instance(), 1000)
    instance = start_instance()
    instance.recover()
    assert instance.claim_waiting() == []
    assert 40 < seconds_left(instance) <= 50
    instance.say("3", **ALBUM)
    [turn] = instance.due()
    assert texts(turn) == ["1", "2", "3"]


@pytest.mark.parametrize("seconds", [1e9, 500])
def test_a_clock_that_was_set_back_keeps_no_album_waiting(instance: Instance, seconds: float) -> None:
    instance.say("1", "2", **ALBUM)
    time_passes(instance, -seconds)
    [turn] = instance.claim_waiting()
    assert texts(turn) == ["1", "2"]


# Deaths and owners


def test_an_attempt_after_a_crash_has_exactly_the_same_parts(start_instance: StartInstance) -> None:
    begin(start_instance(), "1", "2")
    new = start_instance()
    new.recover()
    [again] = new.say("3", **ALBUM).claimed
    assert (texts(again), again.attempt) == (["1", "2"], 2)
    new.finish(again)
    [rest] = new.due()
    assert texts(rest) == ["3"]


def test_an_album_that_is_given_up_is_said_once_and_takes_nobody_in(start_instance: StartInstance) -> None:
    begin(start_instance(), "1", "2")
    instance = start_instance(crashes_max=1)
    assert instance.recover() == ["dead"]
    assert instance.answers() == [GIVEN_UP.text]
    instance.say("3", **ALBUM)
    assert instance.states() == {"1": "dead", "2": "joined", "3": "queued"}


def steers(instance: Instance, turn: Turn) -> None:
    instance.do(modes.choose, turn.session_key, "steer")


def incoming(instance: Instance, turn: Turn, after: int = 0) -> list[str]:
    rows = instance.do(joins.incoming, turn, RowId(after))
    return [json.loads(row.raw)["message"]["text"] for row in rows]


def test_a_follow_up_waits_for_its_own_turn_unless_the_session_steers(instance: Instance) -> None:
    turn = instance.start("a", "b")
    assert incoming(instance, turn) == []
    assert instance.states() == {"a": "claimed", "b": "queued"}


def test_what_waits_joins_the_running_turn_of_a_session_that_steers(instance: Instance) -> None:
    turn = instance.start("a", "b", "c")
    steers(instance, turn)
    assert incoming(instance, turn) == ["b", "c"]
    instance.say("d")
    assert incoming(instance, turn, after=turn.row_id + 2) == ["d"]
    assert instance.finish(turn) is None
    assert instance.states() == {"a": "done", "b": "joined", "c": "joined", "d": "joined"}


def test_an_attempt_after_a_crash_gets_all_that_joined_and_only_an_album_as_its_messages(
    instance: Instance, start_instance: StartInstance
) -> None:
    instance.say(*OF_FIVE, **ALBUM)
    [turn] = instance.due()
    steers(instance, turn)
    instance.say("follow-up")
    assert incoming(instance, turn) == ["follow-up"]
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    assert texts(again) == [*OF_FIVE]
    assert incoming(another, again) == ["follow-up"]


def test_who_lost_the_guard_gets_no_follow_ups(instance: Instance) -> None:
    turn = instance.start("a")
    steers(instance, turn)
    instance.finish(turn)
    instance.start("b", "c")
    with pytest.raises(LostGuardError):
        incoming(instance, turn)
    assert instance.states() == {"a": "done", "b": "claimed", "c": "queued"}


def test_a_command_joins_no_turn_and_nor_does_what_is_behind_it(instance: Instance) -> None:
    turn = instance.start("a", "b", "/new", "c")
    steers(instance, turn)
    assert incoming(instance, turn) == ["b"]
    assert instance.states() == {"a": "claimed", "b": "joined", "/new": "queued", "c": "queued"}


def test_a_photo_joins_no_turn_that_runs(instance: Instance) -> None:
    """Only words would: what it shows would be lost."""
    turn = instance.start("a", "b")
    steers(instance, turn)
    photo = raw_message(new_id(), "", photo=[])
    del photo["message"]["text"]
    instance.receive(photo)
    assert incoming(instance, turn) == ["b"]
