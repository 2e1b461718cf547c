"""Reads for /status and `tgbot status`, also while the bot runs."""

import json
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select

from tgbot.model import ChatId, RowId, SessionKey, message_text
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, literal
from tgbot.store.schema import guard, outbox, pending, turn

LISTED_MAX = 100  # rows of each kind that `tgbot status` lists; the counts are exact
WORDS_MAX_CHARACTERS = 60  # of a dead row's text

_LISTED = literal(str(LISTED_MAX))
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
_DEAD = Statement(
    select(pending.c.id, pending.c.kind, pending.c.chat_id, pending.c.received_at, pending.c.raw)
    .where(_STATE["dead"])
    .order_by(pending.c.id)
    .limit(_LISTED)
)
_OLDEST_QUEUED = Statement(select(func.min(pending.c.received_at)).where(_STATE["queued"]))
_COUNT_UNSENT = Statement(select(func.count()).select_from(outbox).where(_UNSENT))
_COUNT_PARKED = Statement(select(func.count()).select_from(outbox).where(_PARKED))
_LIST_PARKED = Statement(
    select(outbox.c.pending_id, outbox.c.part, outbox.c.chat_id, outbox.c.error)
    .where(_PARKED)
    .order_by(outbox.c.id)
    .limit(_LISTED)
)


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
class DeadRow:
    """A row that was given up, or whose `kind` is unreadable: then possibly without a `chat_id`.

    `seconds` since it was received; `text`: its first words as they were written, "" if it has none.
    """

    row_id: RowId
    kind: str
    chat_id: ChatId | None
    seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class ParkedPart:
    """A part of an answer that will not be sent, and why."""

    row_id: RowId
    part: int
    chat_id: ChatId
    error: str


@dataclass(frozen=True, slots=True)
class Report:
    """The whole database, as `tgbot status` shows it.

    `running` has as many entries as turns may run, the other lists LISTED_MAX at most.
    """

    running: list[Running]
    queued: int
    asking: int
    held: int
    dead: int
    unsent: int
    parked: int
    dead_rows: list[DeadRow]
    parked_parts: list[ParkedPart]


def session(conn: Connection, session_key: SessionKey) -> SessionReport:
    """Report what runs and waits in one session."""
    row = _SESSION_RUNNING(conn, session_key=session_key).first()
    asking: str | None = _SESSION_ASKING(conn, session_key=session_key).scalar()
    queued, held = (_SESSION_COUNT[s](conn, session_key=session_key).scalar() for s in ("queued", "held"))
    return SessionReport(_running(row) if row else None, row.raw if row else None, asking, queued, held)


def everything(conn: Connection) -> Report:
    """Report what runs, waits, was given up or is unsent, over all sessions."""
    return Report(
        running=[_running(row) for row in _ALL_RUNNING(conn)],
        queued=_COUNT["queued"](conn).scalar(),
        asking=_COUNT["asking"](conn).scalar(),
        held=_COUNT["held"](conn).scalar(),
        dead=_COUNT["dead"](conn).scalar(),
        unsent=_COUNT_UNSENT(conn).scalar(),
        parked=_COUNT_PARKED(conn).scalar(),
        dead_rows=[_dead(row) for row in _DEAD(conn)],
        parked_parts=[
            ParkedPart(row.pending_id, row.part, row.chat_id, row.error) for row in _LIST_PARKED(conn)
        ],
    )


def longest_wait_seconds(conn: Connection) -> float | None:
    """Give how long the queued row has waited that was received first; None if none is queued."""
    at: float | None = _OLDEST_QUEUED(conn).scalar()
    return None if at is None else _since(at)


def _running(row: Any) -> Running:  # noqa: ANN401 - a Row has its columns as attributes only at run time
    return Running(row.session_key, row.id, row.state, row.attempt, _since(row.started_at))


def _dead(row: Any) -> DeadRow:  # noqa: ANN401 - as above
    return DeadRow(row.id, row.kind, row.chat_id, _since(row.received_at), _first_words(row.raw))


def _since(at: float) -> float:
    return max(0.0, time.time() - at)


def _first_words(raw: str) -> str:
    try:
        text = message_text(json.loads(raw)["message"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return ""  # not a message, or one that cannot be read
    return text if len(text) <= WORDS_MAX_CHARACTERS else text[: WORDS_MAX_CHARACTERS - 1] + "…"
