"""Keeps what the model was sent and said, or what an agent remembers: a log which is only appended to.

What a turn sees of it is decided by the states of the rows: an exchange counts once its row has ended, and a
turn that runs again sees what its own earlier attempts have logged.
"""

import time
from typing import Literal, NamedTuple

from sqlalchemy import BigInteger, Text, and_, bindparam, exists, func, insert, literal_column, or_, select

from tgbot.model import Ownership, RowId
from tgbot.store import fence
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import history, pending

Kind = Literal["step", "partial", "fresh", "undo", "summary", "memory"]

_APPEND = Statement(
    insert(history).values(
        session_key=bindparam("session_key"),
        pending_id=bindparam("row_id"),
        turn_id=bindparam("token"),
        kind=bindparam("kind"),
        target_id=bindparam("target"),
        content=bindparam("content"),
        at=bindparam("now"),
    )
)
_DONE = pending.c.state == literal("'done'")
_BROKEN_OFF = pending.c.state.in_([literal("'failed'"), literal("'stopped'")])
_undoes = history.alias("undoes")
# A turn that was to undo something, and was broken off, has changed nothing.
_UNDOES = exists().where(_undoes.c.pending_id == pending.c.id, _undoes.c.kind == literal("'undo'"))
# One that was given up may run again, but what its tools did until then is done.
_NOT_DONE = pending.c.state.in_([literal(f"'{state}'") for state in ("failed", "stopped", "dead")])
_COUNTS = or_(_DONE, and_(_NOT_DONE, ~_UNDOES), pending.c.id == bindparam("row_id"))
_undo, _undoing = history.alias("undo"), pending.alias("undoing")
_UNDONE = exists().where(
    _undo.c.session_key == history.c.session_key,
    _undo.c.id > history.c.id,
    _undo.c.target_id == history.c.pending_id,
    _undoing.c.id == _undo.c.pending_id,
    or_(_undoing.c.state == literal("'done'"), _undoing.c.id == bindparam("row_id")),
)
_OF_SESSION = history.c.session_key == bindparam("session_key")
_BOUNDARY = Statement(
    select(func.max(history.c.id))
    .join(pending, pending.c.id == history.c.pending_id)
    .where(_OF_SESSION, history.c.kind.in_([literal("'fresh'"), literal("'summary'")]), _COUNTS, ~_UNDONE)
)
_ENTRY = (history.c.id, history.c.pending_id, history.c.kind, history.c.content, history.c.target_id)
_SINCE = Statement(
    select(*_ENTRY)
    .join(pending, pending.c.id == history.c.pending_id)
    .where(_OF_SESSION, history.c.id >= bindparam("since"), _COUNTS, ~_UNDONE)
    .order_by(history.c.id)
)
_after, _summary = history.alias("after"), history.alias("summary")
_ROWS_AFTER = select(_after.c.pending_id).where(
    _after.c.session_key == bindparam("session_key"), _after.c.id >= bindparam("since")
)
# A row that was given up, and tried again later, may have begun before the boundary.
_BEFORE = Statement(
    select(*_ENTRY)
    .where(
        # By their rows, and not by the session: that may have a long history.
        history.c.pending_id.in_(_ROWS_AFTER.union(select(bindparam("row_id", type_=BigInteger)))),
        history.c.id < bindparam("since"),
        history.c.kind == literal("'step'"),
        # Behind a summary that it has made itself all is logged again.
        ~exists().where(
            _summary.c.pending_id == history.c.pending_id,
            _summary.c.id > history.c.id,
            _summary.c.kind == literal("'summary'"),
        ),
        ~_UNDONE,
    )
    .order_by(history.c.id)
)
_LAST_ROW = Statement(
    select(history.c.pending_id)
    .join(pending, pending.c.id == history.c.pending_id)
    .where(
        _OF_SESSION,
        history.c.id > bindparam("since"),
        history.c.kind.in_([literal("'step'"), literal("'partial'")]),
        _COUNTS,
        pending.c.id != bindparam("row_id"),
        ~_UNDONE,
    )
    .order_by(history.c.id.desc())
    .limit(literal_column("1"))
)
_later = history.alias("later")
_LAST_OF_ITS_ROW = ~exists().where(
    _later.c.pending_id == history.c.pending_id,
    _later.c.id > history.c.id,
    _later.c.kind == literal("'memory'"),
)
_REMEMBERED = Statement(
    select(history.c.content)
    .join(pending, pending.c.id == history.c.pending_id)
    .where(
        _OF_SESSION,
        history.c.kind == literal("'memory'"),
        or_(_DONE, _BROKEN_OFF),
        pending.c.id != bindparam("row_id"),
        _LAST_OF_ITS_ROW,
    )
    .order_by(history.c.id.desc())
    .limit(bindparam("most"))
)
_OF_ROW = history.c.pending_id == bindparam("row_id")
_OWN = Statement(
    select(history.c.id, history.c.target_id)
    .where(_OF_ROW, history.c.kind == bindparam("kind"))
    .order_by(history.c.id.desc())
    .limit(literal_column("1"))
)
_LOGGED = Statement(
    select(*_ENTRY)
    .where(
        *(_OF_ROW, _OF_SESSION, history.c.id > bindparam("since")),
        history.c.kind.in_([literal("'step'"), literal("'partial'")]),
    )
    .order_by(history.c.id)
)
_LOG_AGAIN = Statement(
    insert(history).from_select(
        ["session_key", "pending_id", "turn_id", "kind", "content", "at"],
        select(
            *(
                bindparam("session_key", type_=Text),
                history.c.pending_id,
                bindparam("token", type_=BigInteger),
            ),
            *(history.c.kind, history.c.content, history.c.at),
        )
        .where(_OF_ROW, history.c.kind == literal("'step'"), history.c.id > bindparam("since"))
        .order_by(history.c.id),
    )
)


class Entry(NamedTuple):
    """One entry of the log: the row it was written for, and its content, which is JSON."""

    id: int
    row_id: RowId
    kind: Kind
    content: str
    target: RowId | None


def append(conn: Connection, turn: Ownership, kind: Kind, content: str, target: RowId | None = None) -> None:
    """Add an entry for a running turn. Raises LostGuardError."""
    session_key = fence.session_of(conn, turn)
    entry = {"kind": kind, "content": content, "target": target, "now": time.time()}
    _APPEND(conn, session_key=session_key, row_id=turn.row_id, token=turn.token, **entry)


def seen(conn: Connection, turn: Ownership) -> list[Entry]:
    """Read what a turn sees: all since the last summary (which comes first) or /new, without what was undone.

    What an exchange has logged stands together, where its last attempt was; its own entries, of earlier
    attempts, come last. Raises LostGuardError.
    """
    of = {"session_key": fence.session_of(conn, turn), "row_id": turn.row_id}
    since = _BOUNDARY(conn, **of).scalar() or 0
    before = _BEFORE(conn, **of, since=since) if since else ()
    entries = [Entry(*row) for row in [*before, *_SINCE(conn, **of, since=since)]]
    last_ids = {_exchange(entry): entry.id for entry in entries}
    own = turn.row_id, False
    return sorted(entries, key=lambda one: (_exchange(one) == own, last_ids[_exchange(one)], one.id))


def _exchange(entry: Entry) -> tuple[RowId, bool]:
    """Name what an entry belongs to: a row, or the summary that it has made of what was before it."""
    return entry.row_id, entry.kind == "summary"


def last_row(conn: Connection, turn: Ownership) -> RowId | None:
    """Find the row of the last exchange that a turn sees; None if there is none. Raises LostGuardError."""
    session_key = fence.session_of(conn, turn)
    since = _BOUNDARY(conn, session_key=session_key, row_id=turn.row_id).scalar() or 0
    row_id: RowId | None = _LAST_ROW(conn, session_key=session_key, row_id=turn.row_id, since=since).scalar()
    return row_id


def remembered(conn: Connection, turn: Ownership, most: int) -> list[str]:
    """Read what earlier turns of an agent of one's own remember: the last entry of each, the oldest first.

    `most` turns at most, the latest ones. Raises LostGuardError.
    """
    session_key = fence.session_of(conn, turn)
    rows = _REMEMBERED(conn, session_key=session_key, row_id=turn.row_id, most=most)
    return [row.content for row in rows][::-1]


def of_row(conn: Connection, turn: Ownership, row_id: RowId) -> list[Entry]:
    """Read what a row of the session has logged, whether or not it counts any more. Raises LostGuardError."""
    session_key = fence.session_of(conn, turn)
    since = _OWN(conn, row_id=row_id, kind="summary").scalar() or 0  # behind it all is logged again
    return [Entry(*row) for row in _LOGGED(conn, session_key=session_key, row_id=row_id, since=since)]


# Each of these may run again, after a crash: it finds its own entry, and adds no second one.


def start_afresh(conn: Connection, turn: Ownership) -> None:
    """Let nothing before this row count any more. Raises LostGuardError."""
    if _OWN(conn, row_id=turn.row_id, kind="fresh").scalar() is None:
        append(conn, turn, "fresh", "")


def undo_last(conn: Connection, turn: Ownership) -> RowId | None:
    """Let the last exchange not count any more, once this row is done.

    Returns its row, None if there is none. Raises LostGuardError.
    """
    own = _OWN(conn, row_id=turn.row_id, kind="undo").first()
    if own:
        return RowId(own.target_id)
    last = last_row(conn, turn)
    if last is not None:
        append(conn, turn, "undo", "", last)
    return last


def sum_up(conn: Connection, turn: Ownership, content: str) -> None:
    """Let a summary stand for all before it; what this row has logged itself goes on behind it.

    Raises LostGuardError.
    """
    since = _OWN(conn, row_id=turn.row_id, kind="summary").scalar() or 0
    session_key = fence.session_of(conn, turn)
    append(conn, turn, "summary", content)
    _LOG_AGAIN(conn, session_key=session_key, row_id=turn.row_id, token=turn.token, since=since)
