"""What comes in: each update once and in order; what /stop, /resume and /drop do to what waits."""

from typing import Any

import pytest

from tests.house import raw_message
from tests.store.life import Life, StartLife, pressed
from tgbot.intake.batch import UNREADABLE, Received
from tgbot.model import BotId, UserId
from tgbot.store.inbox import REDELIVERED_ROWS, REDELIVERED_SECONDS

UNREADABLE_RAW = {"message_id": 1, "chat": {"id": 7, "type": "private"}, "from": {"id": "seven"}, "text": "x"}

# Receive


def test_messages_wait_in_the_order_they_arrived_not_in_that_of_their_ids(life: Life) -> None:
    """An update_id restarts at a random number after a quiet week."""
    life.receive(raw_message(900, "a"), raw_message(901, "b"), raw_message(3, "c"))
    assert list(life.states()) == ["a", "b", "c"]


def test_kill_between_commit_and_ack_redelivers_and_is_deduplicated_by_update_id(live: StartLife) -> None:
    first, second, third = (raw_message(n, f"m{n}") for n in (1, 2, 3))
    live().receive(first, second)
    life = live()
    life.recover()
    received = life.receive(first, second, third)
    assert [address.message_id for address in received.waiting] == [3]
    assert [turn.text for turn in received.claimed] == ["m1"]
    assert life.states() == {"m1": "claimed", "m2": "queued", "m3": "queued"}


def test_an_update_twice_in_one_batch_is_stored_once(life: Life) -> None:
    life.receive(raw_message(1, "a"), raw_message(1, "a"), raw_message(2, "b"))
    assert life.rows("SELECT update_id FROM pending") == [(1,), (2,)]


def test_a_finished_message_that_comes_again_does_not_run_again(life: Life) -> None:
    raw = raw_message(1, "a")
    life.finish(life.receive(raw).claimed[0])
    again = life.receive(raw)
    assert (again.claimed, again.waiting, again.replied) == ([], [], set())
    assert life.answers() == ["re: a"]


def test_another_token_on_the_same_database_has_update_ids_of_its_own(live: StartLife) -> None:
    raw = raw_message(1, "a")
    live().receive(raw)
    assert len(live(bot_id=BotId(5)).receive(raw).claimed) == 1


def test_one_update_that_can_not_be_read_is_parked_and_told_and_the_others_go_on(life: Life) -> None:
    bad = {"update_id": 2, "message": UNREADABLE_RAW}
    received = life.receive(raw_message(1, "a", chat=7), bad, raw_message(3, "b", chat=8))
    assert [turn.text for turn in received.claimed] == ["a", "b"]
    assert life.rows("SELECT update_id FROM pending WHERE state = 'dead'") == [(2,)]
    assert UNREADABLE.text in life.answers()
    assert life.receive(bad).replied == set(), "told once"


def test_an_update_that_is_unreadable_and_nowhere_is_parked_without_a_word(life: Life) -> None:
    received = life.receive({"update_id": 1, "message": {"text": "x", "from": {}}})
    assert received.replied == set()
    assert life.rows("SELECT state, chat_id FROM pending") == [("dead", None)]


def test_a_full_queue_is_told_to_the_user_never_silent(live: StartLife) -> None:
    life = live(queue_max=2)
    life.start("running")
    life.say("a", "b")
    received = life.say("c")
    assert received.replied == {7}
    assert received.waiting == []
    assert life.states() == {"running": "claimed", "a": "queued", "b": "queued", "c": "dropped"}
    assert life.answers() == ["2 messages wait already, so I did not take this one. Send it again later."]


def test_a_full_queue_refuses_only_in_its_own_session_and_only_while_it_is_full(live: StartLife) -> None:
    life = live(queue_max=1)
    turn = life.start("a", chat=7)
    life.say("b", "refused", chat=7)
    life.start("guest", chat=8)
    life.finish(turn)
    life.say("c", chat=7)
    assert life.states() == {"a": "done", "b": "claimed", "refused": "dropped", "c": "queued"}


def test_a_batch_holds_as_many_as_its_messages_one_by_one(live: StartLife) -> None:
    life = live(queue_max=2)
    for said in ("a", "b", "c"):
        life.say(said, chat=7)
    life.say("a", "b", "c", chat=8)
    assert life.states(8) == life.states(7) == {"a": "claimed", "b": "queued", "c": "queued"}


# Strangers


def test_a_stranger_is_told_his_id_once_and_nothing_of_his_runs(live: StartLife) -> None:
    life = live(allowed_users=frozenset([UserId(7)]))
    assert life.say("let me in", chat=8).claimed == []
    assert life.say("please", "/stop", chat=8).replied == set()
    [said] = life.answers(8)
    assert "your user id is 8" in said
    assert life.start("mine", chat=7).text == "mine"


def test_nobody_unauthorized_can_press_or_type_into_a_session_also_while_it_is_busy(live: StartLife) -> None:
    life = live(allowed_users=frozenset([UserId(7)]))
    member: Any = {"id": 7, "is_bot": False, "first_name": "Ann"}
    life.say("mine", "waits", chat=-5, **{"from": member})
    life.say("/stop", "theirs", chat=-5)
    assert life.states(-5) == {"mine": "claimed", "waits": "queued"}
    life.say("/stop", chat=-5, **{"from": member})
    [(stop_id,)] = life.rows("SELECT DISTINCT held_by FROM pending WHERE held_by IS NOT NULL")
    life.press(f"drop:{stop_id}", chat=-5)
    assert life.states(-5) == {"mine": "stopped", "waits": "held"}
    assert len(life.answers(-5)) == 1, "the member's; a stranger in a group gets no reply"


# /stop


def test_stop_holds_everything_queued_before_it_and_says_so(life: Life) -> None:
    turn = life.start("running", "a", "b")
    life.say("c")
    life.say("/stop")
    assert life.states() == {"running": "stopped", "a": "held", "b": "held", "c": "held"}
    [reply] = life.answers()
    life.release(turn)
    assert life.answers() == ["⏹ Stopped.", reply]
    assert [name in reply for name in ("“a”", "“b”", "“c”", "/resume", "/drop")] == [True] * 5


def test_the_held_rows_survive_a_restart(live: StartLife) -> None:
    life = live()
    life.start("running", "a")
    life.say("/stop")
    new = live()
    new.recover()
    assert new.claim_waiting() == []
    [turn] = new.say("/resume").claimed
    assert turn.text == "a"


def test_a_long_list_of_held_messages_is_cut_and_counted(life: Life) -> None:
    life.start("running", *(f"m{n}" for n in range(12)))
    life.say("/stop")
    reply = life.answers()[-1]
    assert "“m9”" in reply
    assert "“m10”" not in reply
    assert "and 2 more" in reply


def test_stop_divides_a_batch_into_what_came_before_and_after_it(life: Life) -> None:
    received = life.say("a", "b", "/stop", "c", "d")
    assert [turn.text for turn in received.claimed] == ["c"], "no task is started for what is stopped"
    assert life.states() == {"a": "stopped", "b": "held", "c": "claimed", "d": "queued"}


def test_what_one_batch_resumes_and_stops_leaves_no_guard(live: StartLife) -> None:
    life = live(max_turns=1)
    turn = life.start("a", "b")
    life.say("/stop")
    life.finish(turn)
    received = life.say("/resume", "/stop")
    assert (received.claimed, life.guards()) == ([], {})
    assert life.states() == {"a": "stopped", "b": "stopped"}


def test_stop_ends_only_the_turn_and_the_rows_of_its_own_session(life: Life) -> None:
    life.start("mine", "my next", chat=7)
    life.start("yours", "your next", chat=8)
    life.say("/stop", chat=7)
    assert life.states(7) == {"mine": "stopped", "my next": "held"}
    assert life.states(8) == {"yours": "claimed", "your next": "queued"}


def test_stop_when_idle_answers_and_changes_nothing(life: Life) -> None:
    life.finish(life.start("a"))
    life.say("/stop")
    assert life.states() == {"a": "done"}
    assert life.answers() == ["re: a", "Nothing is running."]
    assert life.guards() == {}


def test_the_guard_stays_until_the_stopped_turn_has_ended(life: Life) -> None:
    """So a follow-up during the reply to /stop runs once, and never beside another."""
    turn = life.start("a")
    life.say("/stop")
    assert life.say("b").claimed == []
    following = life.release(turn)
    assert following
    assert (following.text, following.attempt) == ("b", 1)
    assert life.say("c").claimed == []


def test_a_stop_that_comes_again_acts_once(life: Life) -> None:
    """Redelivered after a crash, when the session has gone on already."""
    turn = life.start("a")
    stop = raw_message(50, "/stop")
    life.receive(stop)
    life.release(turn)
    life.start("b", "c")
    assert life.receive(stop).controls == []
    assert life.states() == {"a": "stopped", "b": "claimed", "c": "queued"}


def test_a_second_stop_leaves_what_the_first_one_holds_to_the_first(life: Life) -> None:
    life.start("a", "b")
    life.say("/stop")
    life.say("c", "/stop")
    held_by = life.rows("SELECT held_by FROM pending WHERE state = 'held' ORDER BY id")
    assert len(held_by) == 2
    assert held_by[0] < held_by[1]


@pytest.mark.parametrize("command", ["/stop", "/status", "/help", "/start", "/resume", "/drop", "/STATUS"])
def test_known_commands_while_busy_are_answered_never_queued_and_never_reach_the_agent(
    life: Life, command: str
) -> None:
    turn = life.start("a")
    received = life.say(command)
    assert (received.claimed, received.waiting, received.replied) == ([], [], {7})
    assert life.rows("SELECT state FROM pending WHERE kind = 'control'") == [("done",)]
    assert life.outbox()[-1][0] == "ready"
    assert life.finish(turn) is None


def test_an_unknown_command_is_text_for_the_agent(life: Life) -> None:
    assert life.start("/frobnicate").text == "/frobnicate"


# /resume and /drop


def test_resume_runs_what_was_held_before_what_came_after_it(life: Life) -> None:
    turn = life.start("a", "b", "c")
    life.say("/stop", "d")
    following = life.release(turn)
    assert following
    assert following.text == "d"
    life.say("e", "/resume")
    ran = []
    while following:
        following = life.finish(following)
        ran += [following.text] if following else []
    assert ran == ["b", "c", "e"]


def test_resume_of_an_idle_session_claims_at_once(life: Life) -> None:
    turn = life.start("a", "b")
    life.say("/stop")
    life.release(turn)
    received = life.say("/resume")
    assert [turn.text for turn in received.claimed] == ["b"]
    assert life.answers()[-1] == "Running 1 message now."


def test_drop_forgets_what_was_held_and_nothing_else(life: Life) -> None:
    life.start("a", "b", "c")
    life.say("/stop")
    life.say("d")
    life.say("/drop")
    assert life.states() == {"a": "stopped", "b": "dropped", "c": "dropped", "d": "queued"}
    assert life.answers()[-1] == "Dropped 2 messages."


@pytest.mark.parametrize("command", ["/resume", "/drop"])
def test_resume_and_drop_say_when_there_is_nothing_on_hold(life: Life, command: str) -> None:
    life.say(command)
    assert life.answers() == ["Nothing is on hold."]


def stop_ids(life: Life) -> list[int]:
    return [row[0] for row in life.rows("SELECT DISTINCT held_by FROM pending WHERE held_by > 0 ORDER BY 1")]


def test_a_button_acts_on_exactly_the_request_it_was_drawn_for_also_after_a_restart(live: StartLife) -> None:
    life = live()
    life.start("a", "b")
    life.say("/stop")
    life.say("c", "/stop")
    first, second = stop_ids(life)
    life = live()
    life.press(f"drop:{first}")
    assert life.states() == {"a": "stopped", "b": "dropped", "c": "held"}
    life.press(f"resume:{second}")
    assert life.states()["c"] == "queued"


def test_a_button_says_in_its_own_message_what_came_of_it_and_is_gone(life: Life) -> None:
    life.start("a", "b")
    life.say("/stop")
    [stop_id] = stop_ids(life)
    life.press(f"drop:{stop_id}")
    assert life.answers() == ["Dropped 1 message."]
    assert life.rows("SELECT buttons FROM outbox") == [(None,), (None,)]
    life.press(f"drop:{stop_id}")
    assert life.answers()[-1] == "Dropped 1 message.", "a second press changes nothing"


def test_a_button_that_comes_again_acts_once(life: Life) -> None:
    life.start("a", "b")
    life.say("/stop")
    press = pressed(90, f"resume:{stop_ids(life)[0]}")
    life.receive(press)
    life.say("/stop")
    assert life.receive(press).controls == []
    assert life.states() == {"a": "stopped", "b": "held"}


def test_a_forged_button_reaches_no_other_chat(life: Life) -> None:
    life.start("a", "b", chat=7)
    life.say("/stop", chat=7)
    before = life.states(7), life.outbox(7)
    for data in (f"drop:{stop_ids(life)[0]}", f"resume:{stop_ids(life)[0]}"):
        life.press(data, chat=8)
    assert (life.states(7), life.outbox(7)) == before


@pytest.mark.parametrize("data", ["", "resume", "resume:x", "frobnicate:1", "stop: 1"])
def test_a_button_nobody_drew_is_answered_and_does_nothing(life: Life, data: str) -> None:
    life.start("a", "b")
    before = life.states()
    assert len(life.press(data).controls) == 1
    assert life.states() == before


def _age(life: Life, seconds: float) -> None:
    life.rows("UPDATE pending SET received_at = received_at - :seconds RETURNING id", seconds=seconds)


def test_an_id_that_telegram_uses_again_is_another_update(life: Life) -> None:
    """After a quiet week the ids go on at a random number; within days the same id is the same update."""
    life.receive(raw_message(5000, "old"))
    assert life.receive(raw_message(5000, "the same", 8)) == Received()
    life.receive(*(raw_message(10_000 + n, "since then", 10) for n in range(REDELIVERED_ROWS)))
    assert life.receive(raw_message(5000, "the same", 8)) == Received()
    _age(life, REDELIVERED_SECONDS + 1)
    life.receive(raw_message(5000, "new", 8), raw_message(5001, "/status", 9))
    assert (life.states(7), life.states(8)) == ({"old": "claimed"}, {"new": "claimed"})


def test_a_clock_that_jumps_by_days_makes_no_update_run_twice(life: Life) -> None:
    """What comes again is of the last batches; however old it seems, so few rows are known."""
    first, *others = (raw_message(5000 + n, f"m{n}") for n in range(REDELIVERED_ROWS))
    life.receive(first)
    life.receive(*others)
    _age(life, 4 * 86400)
    received = life.receive(first, *others[-99:], raw_message(9000, "new", 8))
    assert (received.waiting, [turn.text for turn in received.claimed]) == ([], ["new"])
    assert life.rows("SELECT count(*) FROM pending") == [(REDELIVERED_ROWS + 1,)]
