"""Guards and turns: every transition that claims a row or ends a turn, and who may make it."""

import dataclasses
import time

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, key
from tgbot.model import BotId, Turn
from tgbot.render import Text
from tgbot.store import claims, outbox, recovery, turns
from tgbot.store.fence import LostGuardError
from tgbot.store.outbox import GIVEN_UP
from tgbot.store.turns import Ended, Ending, Outcome


def texts(claimed: list[Turn]) -> list[str]:
    return [turn.text for turn in claimed]


# Claim


def test_a_claim_takes_the_oldest_row_of_an_idle_session_and_counts_the_attempt(instance: Instance) -> None:
    turn = instance.start("a", "b")
    assert (turn.text, turn.attempt, turn.chat_id, turn.user_id) == ("a", 1, 7, 7)
    assert instance.states() == {"a": "claimed", "b": "queued"}
    assert instance.guards() == {"42:7": turn.token}


def test_a_session_with_a_guard_is_not_claimed_again(instance: Instance) -> None:
    instance.start("a", "b")
    assert instance.do(claims.claim, key(), instance.owner) is None
    assert instance.claim_waiting() == []
    assert instance.states() == {"a": "claimed", "b": "queued"}


def test_a_claim_of_nothing_leaves_no_guard(instance: Instance) -> None:
    assert instance.do(claims.claim, key(), instance.owner) is None
    assert instance.claim_waiting() == []
    assert instance.guards() == {}


def test_no_more_turns_are_claimed_than_there_are_slots(start_instance: StartInstance) -> None:
    instance = start_instance(max_turns=2)
    claimed = [instance.say("x", chat=chat).claimed for chat in (1, 2, 3, 4)]
    assert [len(turns) for turns in claimed] == [1, 1, 0, 0]
    assert instance.claim_waiting() == []
    assert len(instance.guards()) == 2


def test_one_batch_from_many_chats_claims_for_the_idle_ones_in_their_order_while_slots_last(
    start_instance: StartInstance,
) -> None:
    instance = start_instance(max_turns=3)
    instance.start("busy", chat=9)
    batch = instance.receive(
        *(raw_message(1_000_000 + n, "x", chat) for n, chat in enumerate((9, 4, 2, 4, 7)))
    )
    assert [turn.chat_id for turn in batch.claimed] == [4, 2]
    assert [address.chat_id for address in batch.waiting] == [9, 4, 7]


def test_each_claim_has_a_token_that_no_claim_had_before(start_instance: StartInstance) -> None:
    instance = start_instance(max_turns=1)
    tokens = []
    for _ in range(3):
        turn = instance.start("x")
        tokens.append(turn.token)
        instance.finish(turn)
        instance = start_instance(max_turns=1)
    assert tokens == sorted(set(tokens))


def test_topics_of_one_chat_are_sessions_of_their_own(instance: Instance) -> None:
    first = instance.say("a", chat=-5, message_thread_id=1, is_topic_message=True).claimed
    second = instance.say("b", chat=-5, message_thread_id=2, is_topic_message=True).claimed
    assert [turn.session_key for turn in first + second] == ["42:-5:1", "42:-5:2"]


def test_the_same_session_reached_by_two_routes_is_still_serialized(instance: Instance) -> None:
    """A message and a button of one chat mean one session, so the button's claim finds its guard."""
    turn = instance.start("a", "b")
    instance.say("/stop")
    instance.say("c")
    assert instance.say("/resume").claimed == []
    assert instance.guards() == {"42:7": turn.token}


# Endings


def test_finish_writes_the_answer_and_frees_the_session(instance: Instance) -> None:
    assert instance.finish(instance.start("a")) is None
    assert instance.states() == {"a": "done"}
    assert instance.outbox() == [("sending", "re: a")], "nothing else of its chat is unsent"
    assert instance.guards() == {}


def test_a_failed_turn_frees_the_session_and_the_next_row_runs(instance: Instance) -> None:
    following = instance.fail(instance.start("a", "b"))
    assert following
    assert following.text == "b"
    assert instance.states() == {"a": "failed", "b": "claimed"}
    assert instance.answers() == ["sorry"]
    assert instance.rows("SELECT error_id FROM pending WHERE state = 'failed'") == [("e1d",)]


def test_a_refused_turn_notifies_its_sender_and_hands_over(instance: Instance) -> None:
    turn = instance.start("a", "b")
    ending = Ending("dropped", closing=[Text("not you", ())])
    following = instance.do(turns.end, instance.owner, turn, ending).following
    assert following
    assert instance.states() == {"a": "dropped", "b": "claimed"}
    assert instance.answers() == ["not you"]


def test_a_released_row_stands_where_it_stood_and_runs_as_attempt_2(start_instance: StartInstance) -> None:
    instance = start_instance()
    turn = instance.start("a", "b")
    draining = dataclasses.replace(instance.owner, max_turns=0)
    assert instance.do(turns.end, draining, turn, Ending("interrupted")) == Ended("queued", None)
    assert instance.states() == {"a": "queued", "b": "queued"}
    [again] = start_instance().claim_waiting()
    assert (again.text, again.attempt) == ("a", 2)


def test_a_draining_owner_claims_nothing_more(instance: Instance) -> None:
    turn = instance.start("a", "b")
    draining = dataclasses.replace(instance.owner, max_turns=0)
    ended = instance.do(turns.end, draining, turn, Ending("done", [Text("re: a")]))
    assert (ended.state, ended.following) == ("done", None)
    assert instance.do(claims.claim_waiting, draining) == []
    assert instance.states() == {"a": "done", "b": "queued"}
    assert instance.guards() == {}


def test_a_turn_ends_once(instance: Instance) -> None:
    turn = instance.start("a")
    instance.finish(turn)
    for ending in (instance.finish, instance.fail, instance.release):
        with pytest.raises(LostGuardError, match="does not hold 42:7"):
            ending(turn)
    assert instance.states() == {"a": "done"}
    assert instance.answers() == ["re: a"]


@pytest.mark.parametrize("outcome", ["done", "failed", "interrupted"])
def test_a_stop_that_wins_by_a_hair_keeps_what_was_said(instance: Instance, outcome: Outcome) -> None:
    """It is on screen already; only what would have followed it, an apology or a ping, is left out."""
    turn = instance.start("a")
    instance.say("/stop")
    ending = Ending(outcome, [Text("half a word")], [Text("sorry")])
    assert instance.do(turns.end, instance.owner, turn, ending).state == "stopped"
    assert instance.states() == {"a": "stopped"}
    assert sorted(instance.answers()) == ["Stopped.", "half a word\n\n⏹ Stopped."]
    assert instance.guards() == {}


def test_a_stop_before_the_first_word_is_only_replied_to(instance: Instance) -> None:
    turn = instance.start("a")
    instance.say("/stop")
    instance.release(turn)
    assert instance.answers() == ["Stopped."]


def test_a_stop_of_a_long_answer_marks_its_last_part(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("the first part"))
    instance.say("/stop")
    ending = Ending("interrupted", [Text("half a word")], first=1)
    instance.do(turns.end, instance.owner, turn, ending)
    assert instance.send_all() == ["Stopped.", "the first part", "half a word\n\n⏹ Stopped."]


def test_a_stop_behind_a_part_that_was_complete_is_marked_below_it(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(outbox.close_part, turn.token, turn.row_id, 0, Text("the first part"))
    instance.say("/stop")
    instance.do(turns.end, instance.owner, turn, Ending("interrupted", first=1))
    assert instance.send_all() == ["Stopped.", "the first part", "⏹ Stopped."]


# Hand-over


def test_the_guard_is_the_same_across_a_chain_of_follow_ups(instance: Instance) -> None:
    turn: Turn | None = instance.start("a", "b", "c", "d")
    seen, ran = [], []
    while turn:
        seen += instance.rows("SELECT session_key, since FROM guard")
        ran.append(turn.text)
        assert instance.guards() == {"42:7": turn.token}
        turn = instance.finish(turn)
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert ran == ["a", "b", "c", "d"]


def test_a_message_between_two_endings_waits_for_the_hand_over(instance: Instance) -> None:
    first = instance.start("a", "b")
    second = instance.finish(first)
    received = instance.say("c")
    assert received.claimed == []
    assert [address.message_id for address in received.waiting]
    assert second
    third = instance.finish(second)
    assert third
    assert third.text == "c"


def test_a_message_after_the_last_ending_claims_for_itself(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    assert texts(instance.say("b").claimed) == ["b"]


def test_a_hand_over_takes_the_rows_that_stand_behind_a_stop(instance: Instance) -> None:
    turn = instance.start("a", "held")
    instance.say("/stop")
    instance.say("after")
    following = instance.release(turn)
    assert following
    assert following.text == "after"
    assert instance.states() == {"a": "stopped", "held": "held", "after": "claimed"}


def test_stop_during_a_hand_over_stops_the_new_turn_too(instance: Instance) -> None:
    """The ending that handed over is committed; the task of the next turn does not exist yet."""
    following = instance.finish(instance.start("a", "b", "c"))
    instance.say("/stop")
    assert following
    assert instance.states() == {"a": "done", "b": "stopped", "c": "held"}
    instance.finish(following)
    assert instance.guards() == {}
    assert instance.states() == {"a": "done", "b": "stopped", "c": "held"}


# Fairness


def test_one_chat_with_1000_queued_rows_does_not_starve_another(start_instance: StartInstance) -> None:
    """One slot, a hog, two guests: each guest's first turn is at most one round away."""
    instance = start_instance(max_turns=1, queue_max=2000)
    turn: Turn | None = instance.say(*(f"hog{n}" for n in range(1000)), chat=5).claimed[0]
    instance.say("guest3", chat=3)
    instance.say("guest9", chat=9)
    ran = []
    for _ in range(5):
        assert turn
        ran.append(turn.text)
        turn = instance.finish(turn)
    assert ran == ["hog0", "guest9", "guest3", "hog1", "hog2"]


def test_no_session_starves_between_two_that_never_get_empty(start_instance: StartInstance) -> None:
    instance = start_instance(max_turns=1)
    turn: Turn | None = instance.start("1", chat=1)
    instance.say("2", "2b", chat=2)
    instance.say("3", chat=3)
    ran: list[int] = []
    while turn and len(ran) < 9:
        ran.append(turn.chat_id)
        for chat in (1, 3):
            instance.say(f"more {len(ran)}", chat=chat)
        turn = instance.finish(turn)
    assert ran == [1, 2, 3, 1, 2, 3, 1, 3, 1]


def test_a_slot_goes_round_all_waiting_sessions_also_while_another_turn_takes_long(
    start_instance: StartInstance,
) -> None:
    instance = start_instance(max_turns=2)
    instance.start("long", chat=1)
    turn: Turn | None = instance.start("2", chat=2)
    for chat in (3, 4, 5):
        instance.say(f"{chat}", chat=chat)
    ran: list[int] = []
    while turn and len(ran) < 8:
        ran.append(turn.chat_id)
        instance.say(f"more {len(ran)}", chat=turn.chat_id)
        turn = instance.finish(turn)
    assert ran == [2, 3, 4, 5, 2, 3, 4, 5]


def test_a_slot_goes_to_a_waiting_session_and_its_own_keeps_its_rows(start_instance: StartInstance) -> None:
    instance = start_instance(max_turns=1)
    turn = instance.start("a", "b", chat=7)
    instance.say("other", chat=8)
    following = instance.finish(turn)
    assert following
    assert (following.text, instance.guards()) == ("other", {"42:8": following.token})
    assert instance.states(7) == {"a": "done", "b": "queued"}
    back = instance.finish(following)
    assert back
    assert back.text == "b"


# Owners


def test_an_old_task_never_releases_a_newer_owners_guard(start_instance: StartInstance) -> None:
    old = start_instance()
    stale = old.start("a", "b")
    new = start_instance()
    new.recover()
    [turn] = new.claim_waiting()
    for ending in (old.finish, old.fail, old.release):
        with pytest.raises(LostGuardError):
            ending(stale)
        assert new.guards() == {"42:7": turn.token}


def test_a_stale_owner_can_write_nothing(start_instance: StartInstance) -> None:
    """Its row is claimed again by its successor, so only the token distinguishes the two."""
    old = start_instance()
    stale = old.start("a", "b")
    new = start_instance()
    new.recover()
    [turn] = new.claim_waiting()
    assert turn.row_id == stale.row_id
    before = new.rows("SELECT * FROM pending"), new.outbox(), new.rows("SELECT * FROM turn")
    for ending in (old.finish, old.fail, old.release):
        with pytest.raises(LostGuardError):
            ending(stale)
    assert (new.rows("SELECT * FROM pending"), new.outbox(), new.rows("SELECT * FROM turn")) == before
    new.finish(turn, "mine")
    assert new.answers() == ["mine"]


def test_a_stale_owner_does_not_recover_what_was_taken_over(start_instance: StartInstance) -> None:
    start_instance().start("a")
    middle, new = start_instance(), start_instance()
    [seen] = middle.do(recovery.guards, middle.owner.instance_id)
    new.recover()
    [turn] = new.claim_waiting()
    middle.do(recovery.recover, middle.owner, seen)
    assert new.guards() == {"42:7": turn.token}
    assert new.states() == {"a": "claimed"}


# Recovery


def test_an_interrupted_turn_runs_again_before_what_came_after_it(start_instance: StartInstance) -> None:
    start_instance().start("a", "b", "c")
    instance = start_instance()
    assert instance.recover() == ["queued"]
    [turn] = instance.claim_waiting()
    ran: list[tuple[str, int]] = []
    following: Turn | None = turn
    while following:
        ran.append((following.text, following.attempt))
        following = instance.finish(following)
    assert ran == [("a", 2), ("b", 1), ("c", 1)]
    assert instance.answers() == ["re: a", "re: b", "re: c"]


def test_a_killed_turn_is_recovered_whatever_its_age(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("a")
    instance.rows("UPDATE turn SET started_at = 0 RETURNING id")
    instance.rows("UPDATE guard SET since = 0 RETURNING turn_id")
    new = start_instance()
    assert new.recover() == ["queued"]
    assert texts(new.claim_waiting()) == ["a"]


def test_an_idle_session_is_not_recovered(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.finish(instance.start("a"))
    new = start_instance()
    assert new.recover() == []
    assert new.claim_waiting() == []
    assert new.answers() == ["re: a"]


def test_kill_with_n_queued_loses_0_of_n_and_keeps_order(start_instance: StartInstance) -> None:
    said = [f"m{n}" for n in range(11)]
    start_instance().start(*said)
    instance = start_instance()
    instance.recover()
    following: Turn | None = instance.claim_waiting()[0]
    while following:
        following = instance.finish(following)
    assert instance.answers() == [f"re: {text}" for text in said]


def test_a_stopped_turn_does_not_run_again_after_a_restart(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("a", "b")
    instance.say("/stop")
    new = start_instance()
    assert new.recover() == ["stopped"]
    assert new.guards() == {}
    assert new.claim_waiting() == []
    assert new.states() == {"a": "stopped", "b": "held"}
    assert len(new.answers()) == 1, "the reply to the /stop: nothing else was on screen"


def test_a_stop_stored_but_not_acted_on_before_a_crash_counts_after_it(start_instance: StartInstance) -> None:
    """The process died before it took the /stop in; the next one does so before it recovers anything."""
    start_instance().start("a", "b")
    instance = start_instance()
    instance.say("/stop", "after")
    assert instance.recover() == ["stopped"]
    assert texts(instance.claim_waiting()) == ["after"]
    assert instance.states() == {"a": "stopped", "b": "held", "after": "claimed"}


@pytest.mark.parametrize("crashes_max", [1, 2])
def test_a_stop_that_comes_while_recovery_is_under_way_is_not_overruled(
    start_instance: StartInstance, crashes_max: int
) -> None:
    start_instance().start("a")
    instance = start_instance(crashes_max=crashes_max)
    [seen] = instance.do(recovery.guards, instance.owner.instance_id)
    instance.say("/stop")
    assert instance.do(recovery.recover, instance.owner, seen) == "stopped"
    assert instance.states() == {"a": "stopped"}
    assert instance.answers() == ["Stopped."]


@pytest.mark.parametrize("innocent", [6, 8], ids=["claimed before it", "claimed after it"])
def test_a_row_that_kills_the_process_takes_no_other_along(
    start_instance: StartInstance, innocent: int
) -> None:
    """The innocent runs beside the poison and dies with it, but the last attempt of each is its own."""
    instance, fates = start_instance(), []
    instance.start("innocent", chat=innocent)
    instance.start("poison")
    while "dead" not in fates:
        instance = start_instance()
        fates += instance.recover()
        while (turn := instance.claim_waiting()) and {t.text for t in turn} == {"innocent"}:
            instance.finish(turn[0])
    assert (instance.states(innocent), instance.states()) == ({"innocent": "done"}, {"poison": "dead"})
    assert len(fates) <= 6


def test_at_most_one_notice_per_chat_per_boot(start_instance: StartInstance) -> None:
    """However many messages wait in the chat."""
    start_instance(crashes_max=1).start("poison", *"abcdef")
    for boot in (1, 2, 3):
        instance = start_instance(crashes_max=1)
        instance.recover()
        assert instance.answers().count(GIVEN_UP.text) == boot
        assert len(instance.claim_waiting()) == 1


def test_rows_on_their_last_attempt_keep_no_other_waiting(start_instance: StartInstance) -> None:
    for instance in (start_instance(), start_instance()):
        instance.recover()
        instance.claim_waiting()
        for chat in (7, 8, 9):
            if not instance.states(chat):
                instance.start("a", "b", chat=chat)
    instance = start_instance(max_turns=3)
    instance.recover()
    [last] = instance.claim_waiting()
    assert last.attempt == 3
    assert len(instance.say("new", chat=10).claimed) == 1
    assert instance.say("again", chat=8).claimed == [], "the first in its line still has to wait"
    instance.finish(last)
    assert [turn.attempt for turn in instance.claim_waiting()] == [3], "the next of them"


def test_a_row_that_kills_the_process_is_parked_after_k_attempts_and_the_rest_goes_on(
    start_instance: StartInstance,
) -> None:
    instance = start_instance()
    instance.start("poison", "b")
    attempts, fates = [1], []
    for _ in range(3):
        instance = start_instance()
        fates += instance.recover()
        [turn] = instance.claim_waiting()
        attempts.append(turn.attempt)
    assert fates == ["queued", "queued", "dead"]
    assert attempts == [1, 2, 3, 1]
    assert (turn.text, instance.states()) == ("b", {"poison": "dead", "b": "claimed"})
    assert instance.answers() == [GIVEN_UP.text], "said once"


def test_a_guard_of_a_dead_instance_never_blocks(start_instance: StartInstance) -> None:
    """It holds the only slot; the first recovery frees it."""
    start_instance(max_turns=1).start("a", chat=7)
    instance = start_instance(max_turns=1)
    assert instance.say("b", chat=8).claimed == []
    instance.recover()
    assert len(instance.claim_waiting()) == 1
    assert texts(instance.claim_waiting()) == []


def test_a_finished_answer_that_was_not_sent_is_there_after_a_restart(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.finish(instance.start("a"))
    instance.start("b")
    assert start_instance().the_next().text == "re: a"


def test_words_of_an_interrupted_turn_say_that_it_was_stopped_after_a_restart(
    start_instance: StartInstance,
) -> None:
    instance = start_instance()
    instance.begin(instance.start("a"), "first words")
    message_id = instance.sent(instance.the_next())
    instance.say("/stop")
    new = start_instance()
    new.recover()
    shown = {part.text: part.message_id for part in iter(new.next_part, None) if new.sent(part)}
    assert shown["⏹ Stopped."] == message_id


def test_another_token_on_the_same_database_neither_runs_nor_loses_the_first_ones_rows(
    start_instance: StartInstance,
) -> None:
    mine = start_instance()
    mine.start("a", "b")
    theirs = start_instance(bot_id=BotId(4))
    theirs.recover()
    assert theirs.claim_waiting() == []
    assert mine.states() == {"a": "queued", "b": "queued"}
    [turn] = theirs.say("a", chat=7).claimed
    assert turn.session_key == "4:7"
    back = start_instance()
    back.recover()
    assert texts(back.claim_waiting()) == ["a"]


def test_a_bot_whose_id_starts_with_anothers_is_another_bot(start_instance: StartInstance) -> None:
    start_instance(bot_id=BotId(42), max_turns=1).say("a", "b", chat=7)
    for bot_id in (4, 420, 5):
        stranger = start_instance(bot_id=BotId(bot_id))
        assert stranger.claim_waiting() == []


def test_a_clock_that_steps_back_between_the_look_and_the_claim_breaks_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.say("part", media_group_id="g")
    due = time.time() + 51
    times = iter([due])
    monkeypatch.setattr(time, "time", lambda: next(times, due - 2))
    assert instance.claim_waiting() == []


def test_a_session_that_may_not_run_yet_takes_no_slot_from_the_next(start_instance: StartInstance) -> None:
    instance = start_instance(max_turns=1)
    instance.say("part", media_group_id="g")
    claimed = instance.receive(raw_message(9_000_001, "x", 7), raw_message(9_000_002, "y", 8)).claimed
    assert [turn.text for turn in claimed] == ["y"]
