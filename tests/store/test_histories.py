"""Random histories against a model: whatever people, agents and deaths do, the promises hold.

The model is a few lists. It never asks the database what to expect, it checks what the database did.
"""

import itertools
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.house import raw_message
from tests.store.instance import Instance, key, pressed
from tgbot.model import Raw, Turn
from tgbot.store import turns
from tgbot.store.engine.connection import writing_engine
from tgbot.store.leads import TOGETHER_MAX
from tgbot.store.outbox import GIVEN_UP, STOPPED
from tgbot.store.queue import DROPPED

CHATS = (1, 2, 3)
CRASHES_MAX = 2
QUEUE_MAX = 4
STATES = "SELECT json_extract(raw, '$.message.text'), state FROM pending WHERE kind = 'message'"
SHOWN = (
    "SELECT json_extract(raw, '$.message.text'), text FROM outbox JOIN pending ON pending.id = pending_id"
    " WHERE pending.kind = 'message' AND outbox.kind != 'surplus'"
)


@dataclass
class Session:
    """What the model knows of one chat; a message is its number, which is also its text."""

    queued: list[int] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)  # message -> row id of the /stop
    running: Turn | None = None
    orphan: bool = False  # the running turn belongs to an earlier instance
    full: bool = False  # and its people know that nothing more is taken
    album: int | None = None  # the first message of the last one that others can still join

    def take_back(self, message: int) -> None:
        """Queue a message again, in its place in the order of arrival."""
        self.queued = sorted([*self.queued, message])


class Histories(RuleBasedStateMachine):
    """`instance` is the process that runs now; `recovered`: it has dealt with what the last death left."""

    def __init__(self, template: Path, folder: Path) -> None:
        super().__init__()
        self.path = folder / "history.db"
        for old in folder.glob("history.db*"):
            old.unlink(missing_ok=True)  # a log goes with its last connection, which may be now
        shutil.copyfile(template, self.path)
        self.sessions = {chat: Session() for chat in CHATS}
        self.ends: dict[int, str] = {}
        self.shown: dict[int, str] = {}  # what each message is answered with
        self.attempts: dict[int, int] = {}
        self.crashes: dict[int, int] = {}
        self.waiting: set[int] = set()  # first messages of albums that are not due yet
        self.albums: dict[int, list[int]] = {}  # first message -> all that belong to it
        self.sent: list[Raw] = []
        self.stale: list[tuple[Instance, Turn]] = []
        self.instances: list[Instance] = []
        self.recovered = True
        self.numbers = itertools.count(1)

    @initialize(max_turns=st.integers(1, 3))
    def begin(self, max_turns: int) -> None:
        self.max_turns = max_turns
        self.start_instance()

    def start_instance(self) -> None:
        self.instance = Instance(
            writing_engine(self.path),
            max_turns=self.max_turns,
            crashes_max=CRASHES_MAX,
            queue_max=QUEUE_MAX,
        )
        self.instances.append(self.instance)

    # What people do

    @rule(chat=st.sampled_from(CHATS))
    def say(self, chat: int, **more: str) -> None:
        number, session = next(self.numbers), self.sessions[chat]
        if len(session.queued) >= QUEUE_MAX and session.running is None:
            return  # idle for want of a slot: the next one would neither wait nor run
        if len(session.queued) >= QUEUE_MAX:
            self.end(number, "dropped", None if session.full else f"{QUEUE_MAX} messages wait already")
            session.full = True
        else:
            session.full = False
            session.queued.append(number)
            if more:
                session.album, self.albums[number] = number, [number]
                self.waiting.add(number)
        self.receive(raw_message(number, str(number), chat, **more))

    @rule(chat=st.sampled_from(CHATS))
    def send_a_part_of_an_album(self, chat: int) -> None:
        album = self.sessions[chat].album
        if album is None or album in self.ends or len(self.albums[album]) == TOGETHER_MAX:
            self.say(chat, media_group_id="g")
            return
        number = next(self.numbers)
        self.albums[album].append(number)
        self.waiting.add(album)
        complete = len(self.albums[album]) == TOGETHER_MAX
        if complete:
            self.waiting.discard(album)
        self.end(number, "joined", None)
        self.receive(raw_message(number, str(number), chat, media_group_id="g"))
        if complete and self.recovered:  # it waits no longer, and the dispatcher was woken
            self.begin_turns(self.instance.claim_waiting())

    @rule(chat=st.sampled_from(CHATS), words=st.booleans())
    def stop(self, chat: int, *, words: bool) -> None:
        """Words behind a /stop are a message of their own that follows it."""
        number, session = next(self.numbers), self.sessions[chat]
        if session.running and self.message(session.running) not in self.ends:
            self.end(self.message(session.running), "stopped", None)
        session.full = session.full and not words
        held, session.queued = session.queued, [number] if words else []
        self.receive(raw_message(number, f"/stop {number}" if words else "/stop", chat))
        [(row_id,)] = self.instance.rows("SELECT max(id) FROM pending WHERE kind = 'control'")
        session.held |= dict.fromkeys(held, row_id)

    @rule(chat=st.sampled_from(CHATS))
    def resume(self, chat: int) -> None:
        self.resume_held(chat, lambda _: True)
        self.receive(raw_message(next(self.numbers), "/resume", chat))

    @rule(chat=st.sampled_from(CHATS))
    def drop(self, chat: int) -> None:
        self.drop_held(chat, lambda _: True)
        self.receive(raw_message(next(self.numbers), "/drop", chat))

    @precondition(lambda self: self.held_by())
    @rule(data=st.data(), resume=st.booleans())
    def press(self, data: st.DataObject, *, resume: bool) -> None:
        """A button of any /stop, pressed in any chat, reaches only the rows of its own /stop."""
        stop_id, chat = data.draw(st.sampled_from(self.held_by())), data.draw(st.sampled_from(CHATS))
        (self.resume_held if resume else self.drop_held)(chat, lambda held_by: held_by == stop_id)
        name = "resume" if resume else "drop"
        self.receive(pressed(next(self.numbers), f"{name}:{stop_id}", chat=chat))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """Telegram repeats what was not confirmed: it has no effect."""
        again = self.instance.receive(*self.sent[data.draw(st.integers(0, len(self.sent) - 1)) :])
        assert (again.claimed, again.waiting, again.controls, again.replied) == ([], [], [], set())

    # What agents do

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), fails=st.booleans())
    def turn_ends(self, data: st.DataObject, *, fails: bool) -> None:
        session = data.draw(st.sampled_from(self.busy()))
        turn, number = session.running, self.message(session.running)
        if number not in self.ends:
            self.end(number, *(("failed", "sorry") if fails else ("done", f"re: {number}")))
        else:  # a /stop was first: what was said stays
            said = "sorry" if fails else f"re: {number}"
            self.shown[number] = f"{said}\n\n{STOPPED.text}"
        self.hand_over(session, self.instance.fail(turn) if fails else self.instance.finish(turn))

    @precondition(lambda self: any(self.was_stopped(s) for s in self.busy()))
    @rule(data=st.data())
    def stopped_turn_is_released(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from([s for s in self.busy() if self.was_stopped(s)]))
        self.mark_stopped(session)
        self.hand_over(session, self.instance.release(session.running))

    @precondition(lambda self: any(not self.was_stopped(s) for s in self.busy()))
    @rule(data=st.data())
    def first_words_are_shown(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from([s for s in self.busy() if not self.was_stopped(s)]))
        turn, number = session.running, self.message(session.running)
        self.instance.send_all(turn.chat_id)
        part = self.instance.begin(turn, "first words")
        assert (part is None) == (number in self.shown), "a second attempt finds those of the first"
        if part:
            self.instance.sent(part)
            self.shown[number] = "first words"

    @rule(chat=st.sampled_from(CHATS))
    def all_is_sent(self, chat: int) -> None:
        self.instance.send_all(chat)

    # What happens to processes, and to time

    @rule()
    def time_passes(self) -> None:
        self.waiting.clear()
        self.begin_turns(self.instance.due())

    @rule()
    def die(self) -> None:
        """SIGKILL; the next instance begins, and may hear of people before it has recovered."""
        self.stale += [(self.instance, session.running) for session in self.busy()]
        for session in self.busy():
            session.orphan = True
        for session in self.sessions.values():
            session.full = False
        self.recovered = False
        self.start_instance()
        waiting = [n for s in self.sessions.values() for n in (*s.queued, *s.held)]
        self.waiting |= {n for n in waiting if n in self.albums and n not in self.attempts}

    @rule()
    def recover(self) -> None:
        self.instance.recover()
        for session in [s for s in self.sessions.values() if s.orphan]:
            self.mark_stopped(session)
            number, session.running, session.orphan = self.message(session.running), None, False
            if number in self.ends:
                continue
            self.crashes[number] = self.crashes.get(number, 0) + 1
            if self.crashes[number] < CRASHES_MAX:
                session.take_back(number)
            else:
                self.end(number, "dead", GIVEN_UP.text)
        self.recovered = True
        self.begin_turns(self.instance.claim_waiting())

    @precondition(lambda self: self.stale and self.recovered)
    @rule(data=st.data())
    def stale_owner_writes(self, data: st.DataObject) -> None:
        instance, turn = data.draw(st.sampled_from(self.stale))
        ending: Callable[[Turn], object] = data.draw(
            st.sampled_from([instance.finish, instance.fail, instance.release])
        )
        with pytest.raises(turns.LostGuardError):
            ending(turn)

    # What holds at any moment

    @invariant()
    def every_message_is_where_the_model_has_it_and_ends_once(self) -> None:
        expected = dict(self.ends)
        for session in self.sessions.values():
            expected |= dict.fromkeys(session.queued, "queued") | dict.fromkeys(session.held, "held")
            if session.running and self.message(session.running) not in self.ends:
                expected[self.message(session.running)] = "claimed"
        assert {int(text): state for text, state in self.instance.rows(STATES)} == expected

    @invariant()
    def a_session_has_one_guard_and_there_are_no_more_than_slots(self) -> None:
        guards = self.instance.guards()
        assert guards == {key(c): s.running.token for c, s in self.sessions.items() if s.running}
        assert len(guards) <= self.max_turns

    @invariant()
    def nothing_is_stranded(self) -> None:
        waiting = [s.queued[0] for s in self.sessions.values() if s.queued and not s.running]
        waiting = [number for number in waiting if number not in self.waiting]
        if self.suspects():
            waiting = [number for number in waiting if number not in self.crashes]
        busy = sum(s.running is not None for s in self.sessions.values())
        assert not waiting or busy == self.max_turns or not self.recovered

    @invariant()
    def a_death_takes_one_message_at_most_for_good(self) -> None:
        assert len(self.suspects()) <= 1

    @invariant()
    def each_message_is_answered_with_what_it_ended_with(self) -> None:
        found = {int(text): shown for text, shown in self.instance.rows(SHOWN)}
        assert found.keys() == self.shown.keys()
        for number, shown in found.items():
            assert shown.startswith(self.shown[number])

    @invariant()
    def one_part_of_a_chat_is_in_flight(self) -> None:
        in_flight = self.instance.rows("SELECT chat_id FROM outbox WHERE state IN ('sending', 'unknown')")
        assert len(in_flight) == len(set(in_flight)), "two of one chat"

    def teardown(self) -> None:
        """At the end, every message gets its ending."""
        if self.instances:
            self.recover()
            for chat in CHATS:
                self.resume(chat)
            self.time_passes()
            while busy := self.busy():
                number = self.message(busy[0].running)
                if number not in self.ends:
                    self.end(number, "done", f"re: {number}")
                self.hand_over(busy[0], self.instance.finish(busy[0].running))
            self.every_message_is_where_the_model_has_it_and_ends_once()
            assert set(self.ends.values()) <= {"done", "failed", "stopped", "dead", "dropped", "joined"}
        for instance in self.instances:
            instance.engine.dispose()

    # The model

    def suspects(self) -> list[Turn]:
        """List the running turns whose next crash would be their last."""
        running = [s.running for s in self.sessions.values() if s.running]
        return [turn for turn in running if self.message(turn) in self.crashes]

    def receive(self, raw: Raw) -> None:
        self.sent.append(raw)
        self.begin_turns(self.instance.receive(raw).claimed)

    def begin_turns(self, claimed: Iterable[Turn]) -> None:
        for turn in claimed:
            session, number = self.sessions[turn.chat_id], self.message(turn)
            assert session.running is None, "two running turns in one session"
            assert session.queued.pop(0) == number, "not the oldest"
            session.running = turn
            assert number not in self.waiting, "before its time"
            assert [int(message["text"]) for message in turn.messages] == self.albums.get(number, [number])
            session.album = None if session.album == number else session.album
            self.attempts[number] = self.attempts.get(number, 0) + 1
            assert turn.attempt == self.attempts[number]

    def hand_over(self, session: Session, following: Turn | None) -> None:
        ended, session.running = session.running, None
        self.begin_turns([following] if following else [])
        if ended and ended.attempt > 1:  # the dispatcher then claims for whoever had to wait for it
            self.begin_turns(self.instance.claim_waiting())

    def end(self, number: int, state: str, shown: str | None) -> None:
        assert number not in self.ends, "ended twice"
        self.ends[number] = state
        if shown:
            self.shown[number] = shown

    def mark_stopped(self, session: Session) -> None:
        """A stopped turn ends that says nothing: words on screen say so, where there are any."""
        number = self.message(session.running)
        if number in self.ends and number in self.shown:
            self.shown[number] = STOPPED.text

    def resume_held(self, chat: int, chosen: Callable[[int], bool]) -> None:
        session = self.sessions[chat]
        for number in [n for n, stop_id in session.held.items() if chosen(stop_id)]:
            del session.held[number]
            session.take_back(number)

    def drop_held(self, chat: int, chosen: Callable[[int], bool]) -> None:
        session = self.sessions[chat]
        for number in [n for n, stop_id in session.held.items() if chosen(stop_id)]:
            del session.held[number]
            # One that an earlier instance began may have left words, which now say so.
            self.end(number, "dropped", DROPPED.text if number in self.shown else None)

    def held_by(self) -> list[int]:
        return sorted({stop_id for session in self.sessions.values() for stop_id in session.held.values()})

    def busy(self) -> list[Any]:
        """List the sessions whose turn runs in this instance."""
        return [s for s in self.sessions.values() if s.running and not s.orphan]

    def was_stopped(self, session: Session) -> bool:
        return self.message(session.running) in self.ends

    @staticmethod
    def message(turn: Turn | None) -> int:
        assert turn
        return int(turn.text)


def run(template: Path, folder: Path, **limits: Any) -> None:  # noqa: ANN401 - settings of Hypothesis
    run_state_machine_as_test(
        lambda: Histories(template, folder),  # type: ignore[arg-type]  # it says: a class or a factory
        settings=settings(report_multiple_bugs=False, **limits),
    )


def test_no_history_breaks_a_promise(migrated_file: Path, tmp_path: Path) -> None:
    run(migrated_file, tmp_path, max_examples=60, stateful_step_count=40)


@pytest.mark.soak
def test_no_long_history_breaks_a_promise(migrated_file: Path, tmp_path: Path) -> None:
    run(migrated_file, tmp_path, max_examples=1000, stateful_step_count=100, derandomize=False)
