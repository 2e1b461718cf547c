"""Reads for /status, /metrics and the doctor, also while the bot runs: counts, and what runs."""

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select

from tgbot.model import RowId, SessionKey
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import guard, outbox, pending, turn

_STATE = {state: pending.c.state == literal(f"'{state}'") for state in ("queued", "asking", "held", "dead")}
_UNSENT = outbox.c.state.in_([literal(f"'{state}'") for state in ("ready", "sending", "unknown")])
_PARKED = outbox.c.state == literal("'parked'")

_RUNNING = (
    select(
        *(guard.c.session_key, pending.c.id, pending.c.state, pending.c.attempt),
        *(turn.c.started_at, pending.c.raw),
    )
    .join(turn, turn.c.id == guard.c.turn_id)
    .join(pending, pending.c.id == turn.c.pending_id)
    .order_by(turn.c.started_at)
)
_ALL_RUNNING = Statement(_RUNNING)
_SESSION_RUNNING = Statement(_RUNNING.where(guard.c.session_key == bindparam("session_key")))
_COUNT = {
    state: Statement(select(func.count()).select_from(pending).where(_STATE[state])) for state in _STATE
}
_SESSION_COUNT = {
    state: Statement(
        select(func.count())
        .select_from(pending)
        .where(pending.c.session_key == bindparam("session_key"), _STATE[state])
    )
    for state in ("queued", "held")
}
_SESSION_ASKING = Statement(
    select(pending.c.raw).where(pending.c.session_key == bindparam("session_key"), _STATE["asking"])
)
_OLDEST_QUEUED = Statement(select(func.min(pending.c.received_at)).where(_STATE["queued"]))
_COUNT_UNSENT = Statement(select(func.count()).select_from(outbox).where(_UNSENT))
_COUNT_PARKED = Statement(select(func.count()).select_from(outbox).where(_PARKED))


@dataclass(frozen=True, slots=True)
class Running:
    """One turn that holds its session: `seconds` since it was claimed, `state` of its row.

    A stopped turn holds its session until its agent has ended.
    """

    session_key: SessionKey
    row_id: RowId
    state: str
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SessionReport:
    """One session, as /status shows it; `raw` is the update whose turn runs, `asking` of one that asks."""

    running: Running | None
    raw: str | None
    asking: str | None
    queued: int
    held: int


@dataclass(frozen=True, slots=True)
class Report:
    """The whole database in numbers; `running` has as many entries as turns may run.

    `waiting_seconds` is how long the queued row has waited that was received first; 0 where none is queued.
    """

    running: list[Running]
    queued: int
    waiting_seconds: float
    asking: int
    held: int
    dead: int
    unsent: int
    parked: int


def session(conn: Connection, session_key: SessionKey) -> SessionReport:
    """Report what runs and waits in one session."""
    row = _SESSION_RUNNING(conn, session_key=session_key).first()
    asking: str | None = _SESSION_ASKING(conn, session_key=session_key).scalar()
    queued, held = (_SESSION_COUNT[s](conn, session_key=session_key).scalar() for s in ("queued", "held"))
    return SessionReport(_running(row) if row else None, row.raw if row else None, asking, queued, held)


def everything(conn: Connection) -> Report:
    """Report what runs, and count what waits, was given up or is unsent, over all sessions."""
    return Report(
        running=[_running(row) for row in _ALL_RUNNING(conn)],
        queued=_COUNT["queued"](conn).scalar(),
        waiting_seconds=longest_wait_seconds(conn) or 0.0,
        asking=_COUNT["asking"](conn).scalar(),
        held=_COUNT["held"](conn).scalar(),
        dead=_COUNT["dead"](conn).scalar(),
        unsent=_COUNT_UNSENT(conn).scalar(),
        parked=_COUNT_PARKED(conn).scalar(),
    )


def longest_wait_seconds(conn: Connection) -> float | None:
    """Give how long the queued row has waited that was received first; None if none is queued."""
    at: float | None = _OLDEST_QUEUED(conn).scalar()
    return None if at is None else _since(at)


def _running(row: Any) -> Running:  # noqa: ANN401 - a Row has its columns as attributes only at run time
    return Running(row.session_key, row.id, row.state, row.attempt, _since(row.started_at))


def _since(at: float) -> float:
    return max(0.0, time.time() - at)
