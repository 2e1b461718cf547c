"""The model of random histories: a few lists. It never asks the database what to expect, it checks it."""

import itertools
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from tests.store.instance import Instance, key
from tests.store.storage import Storages
from tgbot.model import Raw, RowId, Turn
from tgbot.store.edits import RUNNING_AGAIN
from tgbot.store.outbox import STOPPED
from tgbot.store.queue import DROPPED

CHATS = (1, 2, 3)
CRASHES_MAX = 2
QUEUE_MAX = 4
STATES = "SELECT update_id, state FROM pending WHERE kind = 'message'"
SHOWN = (
    "SELECT update_id, text FROM outbox JOIN pending ON pending.id = pending_id"
    " WHERE pending.kind = 'message' AND outbox.kind NOT IN ('surplus', 'card')"
    # What an edit is offered with stays, when the edit has an answer: that is a later part.
    " ORDER BY outbox.part"
)


def words(texts: Iterable[str]) -> list[str]:
    """Split texts into their words; the pieces of a long text are one message, with a line break between."""
    return "\n".join(texts).split()


@dataclass
class Session:
    """What the model knows of one chat; a message is its number, with which its text begins."""

    mode: str = "queue"
    queued: list[int] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)  # message -> row id of the /stop
    running: Turn | None = None
    orphan: bool = False  # the running turn belongs to an earlier instance
    full: bool = False  # and its people know that nothing more is taken
    text: int | None = None  # the first piece of a long one that others can still join
    album: int | None = None  # the first message of the last one that others can still join


class Model(RuleBasedStateMachine):
    """`instance` is the process that runs now; `recovered`: it has dealt with what the last death left."""

    def __init__(self, storages: Storages) -> None:
        super().__init__()
        self.ending = ExitStack()
        self.storage = self.ending.enter_context(storages())
        self.sessions = {chat: Session() for chat in CHATS}
        self.ends: dict[int, str] = {}
        self.shown: dict[int, str] = {}  # what each message is answered with
        self.attempts: dict[int, int] = {}
        self.crashes: dict[int, int] = {}
        self.waiting: set[int] = set()  # first messages of albums that are not due yet
        self.albums: set[int] = set()  # first messages of albums
        self.pastes: set[int] = set()  # first messages of long texts
        self.joined: dict[int, list[int]] = {}  # lead -> all that run as its turn with it, in order
        self.taken: dict[int, list[int]] = {}  # message -> what its agent took in while it ran
        self.offered: set[int] = set()  # edits whose button is there
        self.leads: dict[int, int] = {}  # message that joined another -> that one
        self.texts: dict[int, str] = {}
        self.places: dict[int, int] = {}  # of those that do not run in the order of their numbers
        self.offers: dict[int, int] = {}  # edit that can be run by a button -> the message that it changes
        self.message_ids: dict[int, int] = {}  # of edits, which have that of their message
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
            self.storage.engine(),
            max_turns=self.max_turns,
            crashes_max=CRASHES_MAX,
            queue_max=QUEUE_MAX,
        )
        self.instances.append(self.instance)

    # What holds at any moment

    @invariant()
    def every_message_is_where_the_model_has_it_and_ends_once(self) -> None:
        assert dict(self.instance.rows(STATES)) == self.where()

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
        found = dict(self.instance.rows(SHOWN))
        assert found.keys() == self.shown.keys(), (found, self.shown)
        for number, shown in found.items():
            assert shown.startswith(self.shown[number])

    @invariant()
    def one_part_of_a_chat_is_in_flight(self) -> None:
        in_flight = self.instance.rows("SELECT chat_id FROM outbox WHERE state IN ('sending', 'unknown')")
        assert len(in_flight) == len(set(in_flight)), "two of one chat"

    # The model

    def where(self) -> dict[int, str]:
        """Map each message to its state."""
        states = dict(self.ends)
        for session in self.sessions.values():
            states |= dict.fromkeys(session.queued, "queued") | dict.fromkeys(session.held, "held")
            if session.running and not self.was_stopped(session):
                states[self.message(session.running)] = "claimed"
        return states

    def next_number(self) -> int:
        number = next(self.numbers)
        self.texts[number] = str(number)
        return number

    def has_room(self, session: Session) -> bool:
        works = session.running is not None and not self.was_stopped(session)
        return len(session.queued) + len(session.held) < QUEUE_MAX + (not works)

    def take(self, session: Session, number: int) -> bool:
        """Queue a message, if there is room; the first that is refused hears of it."""
        room = self.has_room(session)
        if room:
            self.enqueue(session, number)
        else:
            self.end(number, "dropped", None if session.full else f"The queue is full ({QUEUE_MAX})")
        session.full = not room
        return room

    def stop_running(self, session: Session) -> None:
        if session.running and not self.was_stopped(session):
            self.end(self.message(session.running), "stopped", None)

    def enqueue(self, session: Session, number: int) -> None:
        """Queue a message in its place."""
        session.queued = sorted([*session.queued, number], key=lambda one: (self.places.get(one, 0), one))

    def row_of(self, number: int) -> RowId:
        [(row_id,)] = self.instance.rows("SELECT id FROM pending WHERE update_id = :number", number=number)
        return RowId(row_id)

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
            assert session.queued.pop(0) == number, "not the first"
            session.running = turn
            assert number not in self.waiting, "before its time"
            session.album = None if session.album == number else session.album
            self.attempts[number] = self.attempts.get(number, 0) + 1
            if session.mode == "collect" and self.attempts[number] == 1:
                self.take_along(session, number, self.joined)
            expected = [self.texts[one] for one in [number, *self.joined.get(number, [])]]
            assert words(message["text"] for message in turn.messages) == words(expected)
            assert turn.attempt == self.attempts[number]

    def take_along(self, session: Session, lead: int, along: dict[int, list[int]]) -> None:
        """All that waits joins a message, up to the first of which something has run, or an album."""
        for number in [*itertools.takewhile(self.may_join, session.queued)]:
            session.queued.remove(number)
            self.leads[number] = lead
            self.end(number, "joined", None)
            pieces = self.joined.pop(number, [])
            self.leads |= dict.fromkeys(pieces, lead)
            along[lead] = sorted([*along.get(lead, []), number, *pieces])

    def may_join(self, number: int) -> bool:
        return not {number} & (self.attempts.keys() | self.albums | self.waiting)

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
        if number in self.ends and self.has_words(number):
            self.shown[number] = STOPPED.text

    def resume_held(self, chat: int, chosen: Callable[[int], bool]) -> None:
        session = self.sessions[chat]
        for number in [n for n, stop_id in session.held.items() if chosen(stop_id)]:
            del session.held[number]
            self.enqueue(session, number)

    def drop_held(self, chat: int, chosen: Callable[[int], bool]) -> None:
        session = self.sessions[chat]
        for number in [n for n, stop_id in session.held.items() if chosen(stop_id)]:
            del session.held[number]
            self.waiting.discard(number)
            self.end_dropped(number)

    def has_words(self, number: int) -> bool:
        """Whether some of an answer is on screen: more than that an edit will be run."""
        return self.shown.get(number, RUNNING_AGAIN.text) != RUNNING_AGAIN.text

    def end_dropped(self, number: int) -> None:
        """One that an earlier instance began may have left words, which now say so."""
        self.end(
            number, "dropped", DROPPED.text if number in self.shown and number in self.attempts else None
        )

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
        return int(turn.messages[0]["text"].split()[0])
