"""The inbox: each update once and in order; what /stop, /resume and /drop do to what waits."""

from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, pressed
from tgbot.intake.batch import UNREADABLE, Received
from tgbot.model import BotId, UserId
from tgbot.store.inbox import REDELIVERED_ROWS, REDELIVERED_SECONDS
from tgbot.store.strangers import STRANGERS_A_MINUTE

UNREADABLE_RAW = {"message_id": 1, "chat": {"id": 7, "type": "private"}, "from": {"id": "seven"}, "text": "x"}

# Receive


def test_messages_wait_in_the_order_they_arrived_not_in_that_of_their_ids(instance: Instance) -> None:
    """An update_id restarts at a random number after a quiet week."""
    instance.receive(raw_message(900, "a"), raw_message(901, "b"), raw_message(3, "c"))
    assert list(instance.states()) == ["a", "b", "c"]


def test_kill_between_commit_and_ack_redelivers_and_is_deduplicated_by_update_id(
    start_instance: StartInstance,
) -> None:
    first, second, third = (raw_message(n, f"m{n}") for n in (1, 2, 3))
    start_instance().receive(first, second)
    instance = start_instance()
    instance.recover()
    received = instance.receive(first, second, third)
    assert [address.message_id for address in received.waiting] == [3]
    assert [turn.text for turn in received.claimed] == ["m1"]
    assert instance.states() == {"m1": "claimed", "m2": "queued", "m3": "queued"}


def test_an_update_twice_in_one_batch_is_stored_once(instance: Instance) -> None:
    instance.receive(raw_message(1, "a"), raw_message(1, "a"), raw_message(2, "b"))
    assert instance.rows("SELECT update_id FROM pending ORDER BY id") == [(1,), (2,)]


def test_a_finished_message_that_comes_again_does_not_run_again(instance: Instance) -> None:
    raw = raw_message(1, "a")
    instance.finish(instance.receive(raw).claimed[0])
    again = instance.receive(raw)
    assert (again.claimed, again.waiting, again.replied) == ([], [], set())
    assert instance.answers() == ["re: a"]


def test_another_token_on_the_same_database_has_update_ids_of_its_own(start_instance: StartInstance) -> None:
    raw = raw_message(1, "a")
    start_instance().receive(raw)
    assert len(start_instance(bot_id=BotId(5)).receive(raw).claimed) == 1


def test_one_update_that_cannot_be_read_is_parked_and_reported_and_the_others_go_on(
    instance: Instance,
) -> None:
    bad = {"update_id": 2, "message": UNREADABLE_RAW}
    received = instance.receive(raw_message(1, "a", chat=7), bad, raw_message(3, "b", chat=8))
    assert [turn.text for turn in received.claimed] == ["a", "b"]
    assert instance.rows("SELECT update_id FROM pending WHERE state = 'dead'") == [(2,)]
    assert UNREADABLE.text in instance.answers()
    assert instance.receive(bad).replied == set(), "reported once"


def test_an_update_that_is_unreadable_and_nowhere_is_parked_without_a_word(instance: Instance) -> None:
    received = instance.receive({"update_id": 1, "message": {"text": "x", "from": {}}})
    assert received.replied == set()
    assert instance.rows("SELECT state, chat_id FROM pending") == [("dead", None)]


def test_a_full_queue_says_so_to_the_user(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=2)
    instance.start("running")
    instance.say("a", "b")
    received = instance.say("c")
    assert received.replied == {7}
    assert received.waiting == []
    assert instance.states() == {"running": "claimed", "a": "queued", "b": "queued", "c": "dropped"}
    assert instance.answers() == [
        "The queue is full (2): I did not take this, and take no more until there is room. See /queue."
    ]


def test_what_is_on_hold_takes_a_place_in_the_queue(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=2)
    instance.start("running", "a", "b")
    instance.say("/stop", "runs next", "refused")
    states = instance.states()
    assert (states["runs next"], states["refused"]) == ("queued", "dropped")
    assert "The queue is full" in instance.answers()[-1]
    instance.say("/drop", "c")
    assert instance.states()["c"] == "queued"


def test_a_full_queue_refuses_only_in_its_own_session_and_only_while_it_is_full(
    start_instance: StartInstance,
) -> None:
    instance = start_instance(queue_max=1)
    turn = instance.start("a", chat=7)
    instance.say("b", "refused", chat=7)
    instance.start("guest", chat=8)
    instance.finish(turn)
    instance.say("c", chat=7)
    assert instance.states() == {"a": "done", "b": "claimed", "refused": "dropped", "c": "queued"}


def test_a_queue_that_stays_full_says_so_once(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    turn = instance.start("a", "b", "refused", "refused too")
    instance.say("and this")
    assert len(instance.answers()) == 1
    instance.finish(turn)
    instance.say("c")
    instance.say("refused again")
    notices = [said for said in instance.answers() if "The queue is full" in said]
    assert len(notices) == 2


def test_a_batch_holds_as_many_as_its_messages_one_by_one(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=2)
    for said in ("a", "b", "c"):
        instance.say(said, chat=7)
    instance.say("a", "b", "c", chat=8)
    assert instance.states(8) == instance.states(7) == {"a": "claimed", "b": "queued", "c": "queued"}


# Strangers


def test_a_stranger_gets_their_id_once_and_nothing_they_send_runs(start_instance: StartInstance) -> None:
    instance = start_instance(allowed_users=frozenset([UserId(7)]))
    assert instance.say("let me in", chat=8).claimed == []
    assert instance.say("please", "/stop", chat=8).replied == set()
    [said] = instance.answers(8)
    assert "your user id is 8" in said
    assert instance.start("mine", chat=7).text == "mine"


def test_a_crowd_of_strangers_gets_few_replies_a_minute(start_instance: StartInstance) -> None:
    """Who got none gets it with a later message."""
    instance = start_instance(allowed_users=frozenset([UserId(7)]))
    crowd = range(101, 101 + STRANGERS_A_MINUTE + 1)
    replied = [len(instance.say("hello", chat=chat).replied) for chat in crowd]
    assert replied == [1] * STRANGERS_A_MINUTE + [0]
    instance.rows("UPDATE stranger SET replied_at = replied_at - 61 RETURNING user_id")
    assert instance.say("hello?", chat=crowd[-1]).replied == {crowd[-1]}
    assert instance.say("hello?", chat=crowd[0]).replied == set()


def test_nobody_unauthorized_can_press_or_type_into_a_session_also_while_it_is_busy(
    start_instance: StartInstance,
) -> None:
    instance = start_instance(allowed_users=frozenset([UserId(7)]))
    member: Any = {"id": 7, "is_bot": False, "first_name": "Ann"}
    instance.say("mine", "waits", chat=-5, **{"from": member})
    instance.say("/stop", "theirs", chat=-5)
    assert instance.states(-5) == {"mine": "claimed", "waits": "queued"}
    instance.say("/stop", chat=-5, **{"from": member})
    [(stop_id,)] = instance.rows("SELECT DISTINCT held_by FROM pending WHERE held_by IS NOT NULL")
    instance.press(f"drop:{stop_id}", chat=-5)
    assert instance.states(-5) == {"mine": "stopped", "waits": "held"}
    assert len(instance.answers(-5)) == 1, "the member's; a stranger in a group gets no reply"


# /stop


def test_stop_holds_everything_queued_before_it_and_says_so(instance: Instance) -> None:
    turn = instance.start("running", "a", "b")
    instance.say("c")
    instance.say("/stop")
    assert instance.states() == {"running": "stopped", "a": "held", "b": "held", "c": "held"}
    [reply] = instance.answers()
    instance.release(turn)
    assert instance.answers() == [reply], "it had said nothing"
    assert [name in reply for name in ("“a”", "“b”", "“c”", "/resume", "/drop")] == [True] * 5


def test_the_held_rows_survive_a_restart(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("running", "a")
    instance.say("/stop")
    new = start_instance()
    new.recover()
    assert new.claim_waiting() == []
    [turn] = new.say("/resume").claimed
    assert turn.text == "a"


def test_a_long_list_of_held_messages_is_cut_and_counted(instance: Instance) -> None:
    instance.start("running", *(f"m{n}" for n in range(12)))
    instance.say("/stop")
    reply = instance.answers()[-1]
    assert "“m9”" in reply
    assert "“m10”" not in reply
    assert "and 2 more" in reply


def test_stop_divides_a_batch_into_what_came_before_and_after_it(instance: Instance) -> None:
    received = instance.say("a", "b", "/stop", "c", "d")
    assert [turn.text for turn in received.claimed] == ["c"], "no task is started for what is stopped"
    assert instance.states() == {"a": "stopped", "b": "held", "c": "claimed", "d": "queued"}


def test_what_one_batch_resumes_and_stops_leaves_no_guard(start_instance: StartInstance) -> None:
    instance = start_instance(max_turns=1)
    turn = instance.start("a", "b")
    instance.say("/stop")
    instance.finish(turn)
    received = instance.say("/resume", "/stop")
    assert (received.claimed, instance.guards()) == ([], {})
    assert instance.states() == {"a": "stopped", "b": "stopped"}


def test_stop_ends_only_the_turn_and_the_rows_of_its_own_session(instance: Instance) -> None:
    instance.start("mine", "my next", chat=7)
    instance.start("yours", "your next", chat=8)
    instance.say("/stop", chat=7)
    assert instance.states(7) == {"mine": "stopped", "my next": "held"}
    assert instance.states(8) == {"yours": "claimed", "your next": "queued"}


def test_stop_when_idle_answers_and_changes_nothing(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    instance.say("/stop")
    assert instance.states() == {"a": "done"}
    assert instance.answers() == ["re: a", "Nothing is running."]
    assert instance.guards() == {}


def test_the_guard_stays_until_the_stopped_turn_has_ended(instance: Instance) -> None:
    """So a follow-up during the reply to /stop runs once, and never beside another."""
    turn = instance.start("a")
    instance.say("/stop")
    assert instance.say("b").claimed == []
    following = instance.release(turn)
    assert following
    assert (following.text, following.attempt) == ("b", 1)
    assert instance.say("c").claimed == []


def test_a_stop_that_comes_again_acts_once(instance: Instance) -> None:
    """Redelivered after a crash, when the session has gone on already."""
    turn = instance.start("a")
    stop = raw_message(50, "/stop")
    instance.receive(stop)
    instance.release(turn)
    instance.start("b", "c")
    assert instance.receive(stop).controls == []
    assert instance.states() == {"a": "stopped", "b": "claimed", "c": "queued"}


def test_a_second_stop_leaves_what_the_first_one_holds_to_the_first(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    instance.say("c", "/stop")
    held_by = instance.rows("SELECT held_by FROM pending WHERE state = 'held' ORDER BY id")
    assert len(held_by) == 2
    assert held_by[0] < held_by[1]


@pytest.mark.parametrize("command", ["/stop", "/status", "/help", "/start", "/resume", "/drop", "/STATUS"])
def test_known_commands_while_busy_are_answered_never_queued_and_never_reach_the_agent(
    instance: Instance, command: str
) -> None:
    turn = instance.start("a")
    received = instance.say(command)
    assert (received.claimed, received.waiting, received.replied) == ([], [], {7})
    assert instance.rows("SELECT state FROM pending WHERE kind = 'control'") == [("done",)]
    assert instance.outbox()[-1][0] == "sending"
    assert instance.finish(turn) is None


def test_an_unknown_command_is_text_for_the_agent(instance: Instance) -> None:
    assert instance.start("/frobnicate").text == "/frobnicate"


# /resume and /drop


def test_resume_runs_what_was_held_before_what_came_after_it(instance: Instance) -> None:
    turn = instance.start("a", "b", "c")
    instance.say("/stop", "d")
    following = instance.release(turn)
    assert following
    assert following.text == "d"
    instance.say("e", "/resume")
    ran = []
    while following:
        following = instance.finish(following)
        ran += [following.text] if following else []
    assert ran == ["b", "c", "e"]


def test_resume_of_an_idle_session_claims_at_once(instance: Instance) -> None:
    turn = instance.start("a", "b")
    instance.say("/stop")
    instance.release(turn)
    received = instance.say("/resume")
    assert [turn.text for turn in received.claimed] == ["b"]
    assert instance.answers()[-1] == "Running 1 message now."


def test_drop_forgets_what_was_held_and_nothing_else(instance: Instance) -> None:
    instance.start("a", "b", "c")
    instance.say("/stop")
    instance.say("d")
    instance.say("/drop")
    assert instance.states() == {"a": "stopped", "b": "dropped", "c": "dropped", "d": "queued"}
    assert instance.answers()[-1] == "Dropped 2 messages."


@pytest.mark.parametrize("command", ["/resume", "/drop"])
def test_resume_and_drop_say_when_there_is_nothing_on_hold(instance: Instance, command: str) -> None:
    instance.say(command)
    assert instance.answers() == ["Nothing is on hold."]


def stop_ids(instance: Instance) -> list[int]:
    return [
        row[0] for row in instance.rows("SELECT DISTINCT held_by FROM pending WHERE held_by > 0 ORDER BY 1")
    ]


def test_a_button_acts_on_exactly_the_request_it_was_drawn_for_also_after_a_restart(
    start_instance: StartInstance,
) -> None:
    instance = start_instance()
    instance.start("a", "b")
    instance.say("/stop")
    instance.say("c", "/stop")
    first, second = stop_ids(instance)
    instance = start_instance()
    instance.press(f"drop:{first}")
    assert instance.states() == {"a": "stopped", "b": "dropped", "c": "held"}
    instance.press(f"resume:{second}")
    assert instance.states()["c"] == "queued"


def test_a_button_says_in_its_own_message_what_came_of_it_and_is_gone(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    [stop_id] = stop_ids(instance)
    instance.press(f"drop:{stop_id}")
    assert instance.answers() == ["Dropped 1 message."]
    assert instance.rows("SELECT buttons FROM outbox") == [(None,)]
    instance.press(f"drop:{stop_id}")
    assert instance.answers() == ["Dropped 1 message."], "a second press changes nothing"


def test_a_button_that_comes_again_acts_once(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    press = pressed(90, f"resume:{stop_ids(instance)[0]}")
    instance.receive(press)
    instance.say("/stop")
    assert instance.receive(press).controls == []
    assert instance.states() == {"a": "stopped", "b": "held"}


def test_a_forged_button_reaches_no_other_chat(instance: Instance) -> None:
    instance.start("a", "b", chat=7)
    instance.say("/stop", chat=7)
    before = instance.states(7), instance.outbox(7)
    for data in (f"drop:{stop_ids(instance)[0]}", f"resume:{stop_ids(instance)[0]}"):
        instance.press(data, chat=8)
    assert (instance.states(7), instance.outbox(7)) == before


@pytest.mark.parametrize("data", ["", "resume", "resume:x", "frobnicate:1", "stop: 1"])
def test_a_button_nobody_drew_is_answered_and_does_nothing(instance: Instance, data: str) -> None:
    instance.start("a", "b")
    before = instance.states()
    assert len(instance.press(data).controls) == 1
    assert instance.states() == before


def _age(instance: Instance, seconds: float) -> None:
    instance.rows("UPDATE pending SET received_at = received_at - :seconds RETURNING id", seconds=seconds)


def test_an_id_that_telegram_uses_again_is_another_update(instance: Instance) -> None:
    """After a quiet week the ids go on at a random number; within days the same id is the same update."""
    instance.receive(raw_message(5000, "old"))
    assert instance.receive(raw_message(5000, "the same", 8)) == Received()
    instance.receive(*(raw_message(10_000 + n, "since then", 10) for n in range(REDELIVERED_ROWS)))
    assert instance.receive(raw_message(5000, "the same", 8)) == Received()
    _age(instance, REDELIVERED_SECONDS + 1)
    instance.receive(raw_message(5000, "new", 8), raw_message(5001, "/status", 9))
    assert (instance.states(7), instance.states(8)) == ({"old": "claimed"}, {"new": "claimed"})
    instance.receive(*(raw_message(10_000 + n, "again", 11 + n) for n in (0, 1, 500)))
    assert [instance.states(chat) for chat in (11, 12, 511)] == [{"again": "claimed"}] * 2 + [{}]


def test_a_clock_that_jumps_by_days_makes_no_update_run_twice(instance: Instance) -> None:
    """Only the last batches can come again: so many rows stay known, however old they seem."""
    first, *others = (raw_message(5000 + n, f"m{n}") for n in range(REDELIVERED_ROWS))
    instance.receive(first)
    instance.receive(*others)
    _age(instance, 4 * 86400)
    received = instance.receive(first, *others[-99:], raw_message(9000, "new", 8))
    assert (received.waiting, [turn.text for turn in received.claimed]) == ([], ["new"])
    assert instance.rows("SELECT count(*) FROM pending") == [(REDELIVERED_ROWS + 1,)]
