"""Guards and turns: every arrow that claims a row or ends an ownership, and who may draw it."""

import dataclasses

import pytest

from tests.house import raw_message
from tests.store.life import Life, StartLife, key
from tgbot.model import BotId, Turn
from tgbot.render import Text
from tgbot.store import recovery, sending, turns
from tgbot.store.outbox import GIVEN_UP
from tgbot.store.turns import Ended, Ending, LostGuardError, Outcome


def texts(claimed: list[Turn]) -> list[str]:
    return [turn.text for turn in claimed]


# Claim


def test_a_claim_takes_the_oldest_row_of_an_idle_session_and_counts_the_attempt(life: Life) -> None:
    turn = life.start("a", "b")
    assert (turn.text, turn.attempt, turn.chat_id, turn.user_id) == ("a", 1, 7, 7)
    assert life.states() == {"a": "claimed", "b": "queued"}
    assert life.guards() == {"42:7": turn.token}


def test_a_session_with_a_guard_is_not_claimed_again(life: Life) -> None:
    life.start("a", "b")
    assert life.do(turns.claim, key(), life.owner) is None
    assert life.claim_waiting() == []
    assert life.states() == {"a": "claimed", "b": "queued"}


def test_a_claim_of_nothing_leaves_no_guard(life: Life) -> None:
    assert life.do(turns.claim, key(), life.owner) is None
    assert life.claim_waiting() == []
    assert life.guards() == {}


def test_no_more_turns_are_claimed_than_there_are_slots(live: StartLife) -> None:
    life = live(max_turns=2)
    claimed = [life.say("x", chat=chat).claimed for chat in (1, 2, 3, 4)]
    assert [len(turns) for turns in claimed] == [1, 1, 0, 0]
    assert life.claim_waiting() == []
    assert len(life.guards()) == 2


def test_one_batch_from_many_chats_claims_for_the_idle_ones_in_their_order_while_slots_last(
    live: StartLife,
) -> None:
    life = live(max_turns=3)
    life.start("busy", chat=9)
    batch = life.receive(*(raw_message(1_000_000 + n, "x", chat) for n, chat in enumerate((9, 4, 2, 4, 7))))
    assert [turn.chat_id for turn in batch.claimed] == [4, 2]
    assert [address.chat_id for address in batch.waiting] == [9, 4, 7]


def test_each_claim_has_a_token_that_no_claim_had_before(live: StartLife) -> None:
    life = live(max_turns=1)
    tokens = []
    for _ in range(3):
        turn = life.start("x")
        tokens.append(turn.token)
        life.finish(turn)
        life = live(max_turns=1)
    assert tokens == sorted(set(tokens))


def test_topics_of_one_chat_are_sessions_of_their_own(life: Life) -> None:
    first = life.say("a", chat=-5, message_thread_id=1, is_topic_message=True).claimed
    second = life.say("b", chat=-5, message_thread_id=2, is_topic_message=True).claimed
    assert [turn.session_key for turn in first + second] == ["42:-5:1", "42:-5:2"]


def test_the_same_session_reached_by_two_routes_is_still_serialized(life: Life) -> None:
    """A message and a button of one chat name one session, so the button's claim finds it guarded."""
    turn = life.start("a", "b")
    life.say("/stop")
    life.say("c")
    assert life.say("/resume").claimed == []
    assert life.guards() == {"42:7": turn.token}


# Endings


def test_finish_writes_the_answer_and_frees_the_session(life: Life) -> None:
    assert life.finish(life.start("a")) is None
    assert life.states() == {"a": "done"}
    assert life.outbox() == [("ready", "re: a")]
    assert life.guards() == {}


def test_a_failed_turn_frees_the_session_and_the_next_row_runs(life: Life) -> None:
    following = life.fail(life.start("a", "b"))
    assert following
    assert following.text == "b"
    assert life.states() == {"a": "failed", "b": "claimed"}
    assert life.answers() == ["sorry"]
    assert life.rows("SELECT error_id FROM pending WHERE state = 'failed'") == [("e1d",)]


def test_a_refused_turn_tells_its_sender_and_hands_over(life: Life) -> None:
    turn = life.start("a", "b")
    ending = Ending("dropped", closing=[Text("not you", ())])
    following = life.do(turns.end, life.owner, turn, ending).following
    assert following
    assert life.states() == {"a": "dropped", "b": "claimed"}
    assert life.answers() == ["not you"]


def test_a_released_row_stands_where_it_stood_and_runs_as_attempt_2(live: StartLife) -> None:
    life = live()
    turn = life.start("a", "b")
    draining = dataclasses.replace(life.owner, max_turns=0)
    assert life.do(turns.end, draining, turn, Ending("interrupted")) == Ended("queued", None)
    assert life.states() == {"a": "queued", "b": "queued"}
    [again] = live().claim_waiting()
    assert (again.text, again.attempt) == ("a", 2)


def test_a_draining_owner_claims_nothing_more(life: Life) -> None:
    turn = life.start("a", "b")
    draining = dataclasses.replace(life.owner, max_turns=0)
    assert life.do(turns.end, draining, turn, Ending("done", [Text("re: a", ())])) == Ended("done", None)
    assert life.do(turns.claim_waiting, draining) == []
    assert life.states() == {"a": "done", "b": "queued"}
    assert life.guards() == {}


def test_a_turn_ends_once(life: Life) -> None:
    turn = life.start("a")
    life.finish(turn)
    for ending in (life.finish, life.fail, life.release):
        with pytest.raises(LostGuardError, match="does not hold 42:7"):
            ending(turn)
    assert life.states() == {"a": "done"}
    assert life.answers() == ["re: a"]


@pytest.mark.parametrize("outcome", ["done", "failed", "interrupted"])
def test_a_stop_that_wins_by_a_hair_keeps_what_was_said(life: Life, outcome: Outcome) -> None:
    """It is on screen already; only what would have stood behind it, an apology or a ping, does not come."""
    turn = life.start("a")
    life.say("/stop")
    ending = Ending(outcome, [Text("half a word", ())], [Text("sorry", ())])
    assert life.do(turns.end, life.owner, turn, ending).state == "stopped"
    assert life.states() == {"a": "stopped"}
    assert life.answers() == ["half a word\n\n⏹ Stopped.", "Stopped."]
    assert life.guards() == {}


def test_a_stop_before_the_first_word_says_only_that_it_stopped(life: Life) -> None:
    turn = life.start("a")
    life.say("/stop")
    life.release(turn)
    assert life.answers() == ["⏹ Stopped.", "Stopped."]


# Hand-over


def test_the_guard_is_the_same_across_a_chain_of_follow_ups(life: Life) -> None:
    turn: Turn | None = life.start("a", "b", "c", "d")
    seen, ran = [], []
    while turn:
        seen += life.rows("SELECT session_key, since FROM guard")
        ran.append(turn.text)
        assert life.guards() == {"42:7": turn.token}
        turn = life.finish(turn)
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert ran == ["a", "b", "c", "d"]


def test_a_message_between_two_endings_waits_for_the_hand_over(life: Life) -> None:
    first = life.start("a", "b")
    second = life.finish(first)
    received = life.say("c")
    assert received.claimed == []
    assert [address.message_id for address in received.waiting]
    assert second
    third = life.finish(second)
    assert third
    assert third.text == "c"


def test_a_message_after_the_last_ending_claims_for_itself(life: Life) -> None:
    life.finish(life.start("a"))
    assert texts(life.say("b").claimed) == ["b"]


def test_a_hand_over_takes_the_rows_that_stand_behind_a_stop(life: Life) -> None:
    turn = life.start("a", "held")
    life.say("/stop")
    life.say("after")
    following = life.release(turn)
    assert following
    assert following.text == "after"
    assert life.states() == {"a": "stopped", "held": "held", "after": "claimed"}


def test_stop_during_a_hand_over_stops_the_new_turn_too(life: Life) -> None:
    """The ending that handed over is committed; the task of the next turn does not exist yet."""
    following = life.finish(life.start("a", "b", "c"))
    life.say("/stop")
    assert following
    assert life.states() == {"a": "done", "b": "stopped", "c": "held"}
    life.finish(following)
    assert life.guards() == {}
    assert life.states() == {"a": "done", "b": "stopped", "c": "held"}


# Fairness


def test_one_chat_with_1000_queued_rows_does_not_starve_another(live: StartLife) -> None:
    """One slot, a hog, two guests: each guest's first turn is at most one round away."""
    life = live(max_turns=1, queue_max=2000)
    turn: Turn | None = life.say(*(f"hog{n}" for n in range(1000)), chat=5).claimed[0]
    life.say("guest3", chat=3)
    life.say("guest9", chat=9)
    ran = []
    for _ in range(5):
        assert turn
        ran.append(turn.text)
        turn = life.finish(turn)
    assert ran == ["hog0", "guest9", "guest3", "hog1", "hog2"]


def test_no_session_starves_between_two_that_never_get_empty(live: StartLife) -> None:
    life = live(max_turns=1)
    turn: Turn | None = life.start("1", chat=1)
    life.say("2", "2b", chat=2)
    life.say("3", chat=3)
    ran: list[int] = []
    while turn and len(ran) < 9:
        ran.append(turn.chat_id)
        for chat in (1, 3):
            life.say(f"more {len(ran)}", chat=chat)
        turn = life.finish(turn)
    assert ran == [1, 2, 3, 1, 2, 3, 1, 3, 1]


def test_a_slot_goes_round_all_waiting_sessions_also_while_another_turn_takes_long(live: StartLife) -> None:
    life = live(max_turns=2)
    life.start("long", chat=1)
    turn: Turn | None = life.start("2", chat=2)
    for chat in (3, 4, 5):
        life.say(f"{chat}", chat=chat)
    ran: list[int] = []
    while turn and len(ran) < 8:
        ran.append(turn.chat_id)
        life.say(f"more {len(ran)}", chat=turn.chat_id)
        turn = life.finish(turn)
    assert ran == [2, 3, 4, 5, 2, 3, 4, 5]


def test_a_slot_goes_to_a_waiting_session_and_its_own_keeps_its_rows(live: StartLife) -> None:
    life = live(max_turns=1)
    turn = life.start("a", "b", chat=7)
    life.say("other", chat=8)
    following = life.finish(turn)
    assert following
    assert (following.text, life.guards()) == ("other", {"42:8": following.token})
    assert life.states(7) == {"a": "done", "b": "queued"}
    back = life.finish(following)
    assert back
    assert back.text == "b"


# Owners


def test_an_old_task_never_releases_a_newer_owners_guard(live: StartLife) -> None:
    old = live()
    stale = old.start("a", "b")
    new = live()
    new.recover()
    [turn] = new.claim_waiting()
    for ending in (old.finish, old.fail, old.release):
        with pytest.raises(LostGuardError):
            ending(stale)
        assert new.guards() == {"42:7": turn.token}


def test_a_stale_owner_can_write_nothing(live: StartLife) -> None:
    """Its row is claimed again by its successor, so only the token tells the two apart."""
    old = live()
    stale = old.start("a", "b")
    new = live()
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


def test_a_stale_owner_does_not_recover_what_was_taken_over(live: StartLife) -> None:
    live().start("a")
    middle, new = live(), live()
    [seen] = middle.do(recovery.guards)
    new.recover()
    [turn] = new.claim_waiting()
    middle.do(recovery.recover, middle.owner, seen)
    assert new.guards() == {"42:7": turn.token}
    assert new.states() == {"a": "claimed"}


# Recovery


def test_an_interrupted_turn_runs_again_before_what_came_after_it(live: StartLife) -> None:
    live().start("a", "b", "c")
    life = live()
    assert life.recover() == ["queued"]
    [turn] = life.claim_waiting()
    ran: list[tuple[str, int]] = []
    following: Turn | None = turn
    while following:
        ran.append((following.text, following.attempt))
        following = life.finish(following)
    assert ran == [("a", 2), ("b", 1), ("c", 1)]
    assert life.answers() == ["re: a", "re: b", "re: c"]


def test_a_killed_turn_is_recovered_whatever_its_age(live: StartLife) -> None:
    life = live()
    life.start("a")
    life.rows("UPDATE turn SET started_at = 0 RETURNING id")
    life.rows("UPDATE guard SET since = 0 RETURNING turn_id")
    new = live()
    assert new.recover() == ["queued"]
    assert texts(new.claim_waiting()) == ["a"]


def test_an_idle_session_is_not_recovered(live: StartLife) -> None:
    life = live()
    life.finish(life.start("a"))
    new = live()
    assert new.recover() == []
    assert new.claim_waiting() == []
    assert new.answers() == ["re: a"]


def test_kill_with_n_queued_loses_0_of_n_and_keeps_order(live: StartLife) -> None:
    said = [f"m{n}" for n in range(11)]
    live().start(*said)
    life = live()
    life.recover()
    following: Turn | None = life.claim_waiting()[0]
    while following:
        following = life.finish(following)
    assert life.answers() == [f"re: {text}" for text in said]


def test_a_stopped_turn_does_not_run_again_after_a_restart(live: StartLife) -> None:
    life = live()
    life.start("a", "b")
    life.say("/stop")
    new = live()
    assert new.recover() == ["stopped"]
    assert new.guards() == {}
    assert new.claim_waiting() == []
    assert new.states() == {"a": "stopped", "b": "held"}
    assert "⏹ Stopped." in new.answers()


def test_a_stop_stored_but_not_acted_on_before_a_crash_counts_after_it(live: StartLife) -> None:
    """Telegram has it, the process died; the next life takes it in before it recovered anything."""
    live().start("a", "b")
    life = live()
    life.say("/stop", "after")
    assert life.recover() == ["stopped"]
    assert texts(life.claim_waiting()) == ["after"]
    assert life.states() == {"a": "stopped", "b": "held", "after": "claimed"}


@pytest.mark.parametrize("crashes_max", [1, 2])
def test_a_stop_that_comes_while_recovery_is_under_way_is_not_overruled(
    live: StartLife, crashes_max: int
) -> None:
    live().start("a")
    life = live(crashes_max=crashes_max)
    [seen] = life.do(recovery.guards)
    life.say("/stop")
    assert life.do(recovery.recover, life.owner, seen) == "stopped"
    assert life.states() == {"a": "stopped"}
    assert life.answers() == ["⏹ Stopped.", "Stopped."]


@pytest.mark.parametrize("innocent", [6, 8], ids=["claimed before it", "claimed after it"])
def test_a_row_that_kills_the_process_takes_no_other_along(live: StartLife, innocent: int) -> None:
    """The innocent runs beside the poison and dies with it, but the last attempt of each is its own."""
    life, fates = live(), []
    life.start("innocent", chat=innocent)
    life.start("poison")
    while "dead" not in fates:
        life = live()
        fates += life.recover()
        while (turn := life.claim_waiting()) and {t.text for t in turn} == {"innocent"}:
            life.finish(turn[0])
    assert (life.states(innocent), life.states()) == ({"innocent": "done"}, {"poison": "dead"})
    assert len(fates) <= 6


def test_at_most_one_notice_per_chat_per_boot(live: StartLife) -> None:
    """However many wait in it."""
    live(crashes_max=1).start("poison", *"abcdef")
    for boot in (1, 2, 3):
        life = live(crashes_max=1)
        life.recover()
        assert life.answers().count(GIVEN_UP.text) == boot
        assert len(life.claim_waiting()) == 1


def test_rows_on_their_last_attempt_keep_no_other_waiting(live: StartLife) -> None:
    for life in (live(), live()):
        life.recover()
        life.claim_waiting()
        for chat in (7, 8, 9):
            if not life.states(chat):
                life.start("a", "b", chat=chat)
    life = live(max_turns=3)
    life.recover()
    [last] = life.claim_waiting()
    assert last.attempt == 3
    assert len(life.say("new", chat=10).claimed) == 1
    assert life.say("again", chat=8).claimed == [], "the first in its line still has to wait"
    life.finish(last)
    assert [turn.attempt for turn in life.claim_waiting()] == [3], "the next of them"


def test_a_row_that_kills_the_process_is_parked_after_k_attempts_and_the_rest_goes_on(
    live: StartLife,
) -> None:
    life = live()
    life.start("poison", "b")
    attempts, fates = [1], []
    for _ in range(3):
        life = live()
        fates += life.recover()
        [turn] = life.claim_waiting()
        attempts.append(turn.attempt)
    assert fates == ["queued", "queued", "dead"]
    assert attempts == [1, 2, 3, 1]
    assert (turn.text, life.states()) == ("b", {"poison": "dead", "b": "claimed"})
    assert life.answers() == [GIVEN_UP.text], "said once"


def test_a_guard_of_a_dead_instance_never_blocks(live: StartLife) -> None:
    """It holds the only slot; the first recovery gives it back."""
    live(max_turns=1).start("a", chat=7)
    life = live(max_turns=1)
    assert life.say("b", chat=8).claimed == []
    life.recover()
    assert len(life.claim_waiting()) == 1
    assert texts(life.claim_waiting()) == []


def test_a_finished_answer_that_was_not_sent_is_there_after_a_restart(live: StartLife) -> None:
    life = live()
    life.finish(life.start("a"))
    part = live().do(sending.next_part, life.owner.bot_id, life.start("b").chat_id)
    assert part
    assert part.text == "re: a"


def test_a_second_attempt_writes_into_the_message_that_the_first_one_placed(live: StartLife) -> None:
    life = live()
    turn = life.start("a")
    placeholder = life.do(sending.next_part, life.owner.bot_id, turn.chat_id)
    assert placeholder
    life.do(sending.placed, placeholder.part_id, 55)  # type: ignore[arg-type]  # a message id
    new = live()
    new.recover()
    [again] = new.claim_waiting()
    new.finish(again)
    assert new.rows("SELECT message_id, text, state FROM outbox") == [(55, "re: a", "ready")]


def test_another_token_on_the_same_database_neither_runs_nor_loses_the_first_ones_rows(
    live: StartLife,
) -> None:
    mine = live()
    mine.start("a", "b")
    theirs = live(bot_id=BotId(4))
    theirs.recover()
    assert theirs.claim_waiting() == []
    assert mine.states() == {"a": "queued", "b": "queued"}
    [turn] = theirs.say("a", chat=7).claimed
    assert turn.session_key == "4:7"
    back = live()
    back.recover()
    assert texts(back.claim_waiting()) == ["a"]


def test_a_bot_whose_id_starts_with_anothers_is_another_bot(live: StartLife) -> None:
    live(bot_id=BotId(42), max_turns=1).say("a", "b", chat=7)
    for bot_id in (4, 420, 5):
        stranger = live(bot_id=BotId(bot_id))
        assert stranger.claim_waiting() == []
