"""Two workers on one PostgreSQL, each with one transaction, of which a test decides every step.

A step is a statement or the commit. What interleaved has to have the outcome of one after the other: `Stage`
plays both, from the same content of the database, and compares.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Semaphore
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import event, text

from tests import postgres
from tests.store.instance import Instance, said_in
from tgbot.intake.batch import Received
from tgbot.model import Part, Turn
from tgbot.store import claims
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.hints import CHANNEL
from tgbot.store.engine.postgres import opening
from tgbot.store.engine.postgres.database import PostgresDatabase
from tgbot.store.engine.writer import Operation, Outcome
from tgbot.store.turns import Ended

Change = Callable[[Connection], object]
State = dict[str, Any]

LOOK_SECONDS = 0.001  # between the looks whether a statement waits for the other worker
ALL = math.inf
TRY_LOCK = "pg_try_advisory_xact_lock"
# What a change may have changed. With whom a chat is that is idle makes no difference.
ROWS = """
    SELECT id, lead_id, held_by, session_key, chat_id, state, attempt, crashes, place FROM pending
    ORDER BY session_key, place, id
"""
GUARDS = """
    SELECT pending_id, session_key, guard.instance_id FROM guard JOIN turn ON turn.id = turn_id
    ORDER BY session_key
"""
PARTS = """
    SELECT pending_id, part, kind, state, chat_id, message_id, reply_to, floor, text FROM outbox
    ORDER BY chat_id, id
"""
ALLOWED = "SELECT chat_id, role FROM allowed ORDER BY chat_id"
# What no outcome may show, one after the other or not. Each gives the rows for which it is so.
WRONG = {
    "a row runs without a guard": """
        SELECT id FROM pending WHERE state = 'claimed' AND id NOT IN (
            SELECT pending_id FROM turn JOIN guard ON guard.turn_id = turn.id)
    """,
    "a guard is held for what does not run there": """
        SELECT turn_id FROM guard JOIN turn ON turn.id = turn_id JOIN pending ON pending.id = pending_id
        WHERE state NOT IN ('claimed', 'stopped') OR pending.session_key != guard.session_key
            OR turn.instance_id != guard.instance_id
    """,
    "a live worker runs a turn in a chat that is not with it": """
        SELECT turn_id FROM guard JOIN turn ON turn.id = turn_id JOIN pending ON pending.id = pending_id
        JOIN instance ON instance.id = guard.instance_id AND lease_until > 0
        LEFT JOIN chat_lease USING (bot_id, chat_id)
        WHERE chat_lease.instance_id IS DISTINCT FROM guard.instance_id
    """,
}
STUCK = """
    SELECT id FROM pending WHERE state = 'queued' AND not_before IS NULL AND session_key NOT IN (
        SELECT session_key FROM guard UNION SELECT session_key FROM pending WHERE state = 'asking')
"""


class Writer:
    """The writer of one worker: the real one, whose every step waits until it is let."""

    def __init__(self, url: str, aside: psycopg.Connection[Any]) -> None:
        self.outcome: Outcome | None = None
        self.gave_way = False
        self._db = PostgresDatabase(url)
        self._db._open()
        self._aside = aside
        self._thread = ThreadPoolExecutor(1)
        self._arrivals: SimpleQueue[Outcome | None] = SimpleQueue()  # at a step, or at the end
        self._may_go = Semaphore(0)
        self._is_paused = self._goes_on = False
        self._pid = self._intercept()

    def _intercept(self) -> int:
        assert self._db._conn
        writer, driver = self, opening.driver_of(self._db._conn)
        driver.execute("SET idle_in_transaction_session_timeout = 0; SET deadlock_timeout = '10ms'")

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, *words: Any, **options: Any) -> "Cursor":  # noqa: ANN401 - as the driver has them
                writer._pause()
                super().execute(*words, **options)
                if TRY_LOCK in words[0]:
                    writer.gave_way |= not all(row[0] for row in self.fetchall())
                    self.scroll(0, "absolute")
                return self

        driver.cursor_factory = Cursor
        event.listen(self._db._conn, "commit", lambda _: writer._pause())
        return driver.info.backend_pid

    def _pause(self) -> None:
        if not self._goes_on:
            self._arrivals.put(None)
            self._may_go.acquire()

    def begin(self, change: Change) -> None:
        """Run a change up to its first step."""
        self.gave_way = False
        operation = Operation(change, None)  # type: ignore[arg-type]  # who waits is here
        self._thread.submit(lambda: self._arrivals.put(self._db._commit([operation])[0]))
        self._note(self._arrivals.get())

    def go(self, other: "Writer", steps: float = ALL) -> int:
        """Do so many steps, fewer if it ends or has to wait for the other one. Returns how many."""
        for done in itertools.count():
            if self.outcome or done >= steps:
                return done
            if self._is_paused:
                self._is_paused = False
                self._may_go.release()
            if not self._arrives(other):
                return done
        raise AssertionError("it counts for ever")

    def _arrives(self, other: "Writer") -> bool:
        while True:
            with contextlib.suppress(Empty):
                self._note(self._arrivals.get(timeout=LOOK_SECONDS))
                return True
            if self._waits_for(other):
                return False

    def _waits_for(self, other: "Writer") -> bool:
        row = self._aside.execute("SELECT %s = ANY(pg_blocking_pids(%s))", (other._pid, self._pid)).fetchone()
        return bool(row and row[0])

    def _note(self, arrival: Outcome | None) -> None:
        self.outcome, self._is_paused = arrival, arrival is None

    @property
    def is_waiting(self) -> bool:
        """Whether it is in the middle of a step, as it has to wait for the other one."""
        return not self.outcome and not self._is_paused

    @property
    def wakes(self) -> bool:
        """Whether its worker looks at once for what it may claim."""
        received = self.outcome and self.outcome.value
        return isinstance(received, Received) and bool(received.timed or received.controls)

    def go_on(self) -> None:
        """Do not pause any more: where a test failed, it may be in the middle of something."""
        self._goes_on = True
        self._may_go.release()

    def close(self) -> None:
        self._thread.shutdown()
        self._db._close_writer()
        self._db._close_reader()


class Schedule(NamedTuple):
    """One writer, 0 or 1, does so many steps, then the other one; then each goes on to its end."""

    first: int
    steps: float = ALL
    other_steps: float = ALL


class World:
    """Two workers, and one that may die, on one database."""

    def __init__(self, database: postgres.Database) -> None:
        self.database = database
        self.mortal, self.a, self.b = (Instance(database.engine) for _ in range(3))
        self.a.rows("UPDATE instance SET lease_until = 1e12 RETURNING id")

    def die(self) -> None:
        """Let the lease of the mortal one be over."""
        dead = self.mortal.owner.instance_id
        self.a.rows("UPDATE instance SET lease_until = 0 WHERE id = :dead RETURNING id", dead=dead)

    def poll(self, max_turns: int | None = None) -> None:
        """Do what each worker does every few seconds, whatever hints it got."""
        for worker in (self.a, self.b):
            worker.recover()
            slots = worker.owner.max_turns if max_turns is None else max_turns
            worker.do(claims.claim_waiting, replace(worker.owner, max_turns=slots))

    def state(self) -> State:
        """Describe all that a change may have changed; rows by their words, as ids depend on the order.

        Raises AssertionError where something is so that may never be.
        """
        return self.a.do(_state)

    def is_stuck(self) -> bool:
        """Say whether a row waits that no worker with a free slot claims when it looks."""
        self.poll(max_turns=64)
        return bool(self.a.rows(STUCK))


def _state(conn: Connection) -> State:
    def rows(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in conn.execute(text(sql))]

    for what, sql in WRONG.items():
        assert not rows(sql), what
    found = rows("SELECT id, update_id, raw FROM pending")
    names = {None: None} | {row_id: f"{said_in(raw)} #{number}" for row_id, number, raw in found}
    return {
        "rows": [(*map(names.get, row[:3]), *row[3:]) for row in rows(ROWS)],
        "guards": [(names[row[0]], *row[1:]) for row in rows(GUARDS)],
        "parts": [(names[row[0]], *row[1:]) for row in rows(PARTS)],
        "allowed": rows(ALLOWED),
        "waits": bool(rows(STUCK)),
    }


class Played(NamedTuple):
    """How many steps each writer did before the first one went on, whether the other waited, and the end.

    `looks_again`: somebody left a row to whoever had locked its chat, or will look at once for what waits.
    `later`: the state once each worker has looked, where a row waits that nobody runs.
    """

    steps: int
    other_steps: int
    waited: bool
    looks_again: bool
    state: State
    results: list[object]
    hints: set[str]
    later: State | None

    def is_as(self, serial: "Played") -> bool:
        """Say whether all is as after this. A hint too many costs a look in vain; one too few is a fault.

        Where somebody looks again they need no hint, and it is so once they have, whichever of the two runs
        what waited.
        """
        if (self.state, self.results) == (serial.state, serial.results):
            return self.looks_again or self.hints >= serial.hints
        return self.looks_again and self._in_the_end() == serial._in_the_end()

    def _in_the_end(self) -> State:
        state = self.later or self.state
        return state | {"guards": [(row, session) for row, session, _ in state["guards"]]}


def explore(play: Callable[[Schedule], Played], *, thorough: bool) -> None:
    """Play every schedule in which one writer is left once, by itself or at a lock.

    Where the other one waits for a lock, it will do so until the first one ends: to be left later is the same
    then, as neither sees what the other has not committed. `thorough` plays that all the same, and those
    schedules in which the other one is left, too.
    """
    for first in (0, 1):
        for steps in itertools.count(1):
            played = play(Schedule(first, steps))
            if played.steps < steps or (played.waited and not thorough):
                break
            for other_steps in range(1, played.other_steps if thorough else 1):
                play(Schedule(first, steps, other_steps))


class Stage:
    """Plays changes of two workers, each time from the same state of the world."""

    def __init__(self, world: World, writers: tuple[Writer, Writer], aside: psycopg.Connection[Any]) -> None:
        self._world = world
        self._content = world.database.content()
        self.writers = writers
        self._aside = aside

    def compare(self, change: Change, other: Change, *, thorough: bool = False) -> None:
        """Play both in every order. Raises AssertionError where it is not as if one came after the other."""
        serial = [self._play((change, other), Schedule(first)) for first in (0, 1)]

        def play(schedule: Schedule) -> Played:
            played = self._play((change, other), schedule)
            assert any(map(played.is_as, serial)), f"{schedule}: {played}, which is neither of {serial}"
            return played

        explore(play, thorough=thorough)

    def _play(self, changes: tuple[Change, Change], schedule: Schedule) -> Played:
        self._world.database.put_back(self._content)
        for writer, change in zip(self.writers, changes, strict=True):
            writer.begin(change)
        steps = self._run(schedule)
        results = [_described(writer.outcome) for writer in self.writers]
        looks_again = any(writer.gave_way or writer.wakes for writer in self.writers)
        end = self._world.state(), results, self._hints()
        return Played(*steps, looks_again, *end, self._later() if end[0]["waits"] else None)

    def _later(self) -> State:
        self._world.poll()
        later = self._world.state()
        assert not self._world.is_stuck(), "a row waits, and nobody will claim it"
        return later

    def _run(self, schedule: Schedule) -> tuple[int, int, bool]:
        first, other = self.writers[schedule.first], self.writers[1 - schedule.first]
        steps, other_steps = first.go(other, schedule.steps), other.go(first, schedule.other_steps)
        waited = other.is_waiting
        while first.outcome is None or other.outcome is None:
            first.go(other)
            other.go(first)
        return steps, other_steps, waited

    def _hints(self) -> set[str]:
        """Take the hints that were sent since the last look."""
        self._aside.execute(f"NOTIFY {CHANNEL}, 'the last'")  # they come in the order of the commits
        payloads = (note.payload for note in self._aside.notifies())
        return set(itertools.takewhile(lambda payload: payload != "the last", payloads))


@contextmanager
def stage(world: World) -> Iterator[Stage]:
    """Give the stage of a world, which is to begin as it is now."""
    url = world.database.engine.url
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as aside:
        aside.execute(f"LISTEN {CHANNEL}")
        writers = tuple(Writer(url.render_as_string(hide_password=False), aside) for _ in range(2))
        try:
            yield Stage(world, (writers[0], writers[1]), aside)
        finally:
            for writer in writers:
                writer.go_on()
            for writer in writers:
                writer.close()


def _described(outcome: Outcome | None) -> object:
    assert outcome
    return type(outcome.error).__name__ if outcome.error else _words(outcome.value)


def _words(result: Any) -> object:  # noqa: ANN401 - of any operation
    match result:
        case Received():
            return [turn.text for turn in result.claimed]
        case Ended():
            return result.state, _words(result.following), _words(result.part)
        case Turn():
            return result.text
        case Part():
            return result.state, result.text
        case list() | tuple():
            return [*map(_words, result)]
    return result
