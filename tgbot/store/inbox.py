"""Stores updates as pending rows, and refuses what a full queue has no place for."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, func, select, update

from tgbot.model import (
    Control,
    Message,
    RowId,
    SessionKey,
    Unreadable,
    box,
)
from tgbot.store import queue
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert, listed, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import pending

REDELIVERED_SECONDS = 3 * 86400.0  # Telegram keeps an update for 24 hours (Bot API, "Getting updates")
REDELIVERED_ROWS = 1_000  # only the last batches, of 100 updates at most, can be delivered again

_QUEUED = literal("'queued'")
_HELD = literal("'held'")
_KINDS = {Message: "message", Control: "control", Unreadable: "unreadable"}
_OF_SESSION = pending.c.session_key == bindparam("session_key")

_INSERT = Statement(
    insert(pending)
    .values(
        {
            column: bindparam(column)
            for column in (
                *("bot_id", "update_id", "kind", "state", "session_key", "chat_id", "box", "topic_id"),
                *("user_id", "message_id", "received_at", "ended_at", "raw"),
            )
        }
    )
    .on_conflict_do_nothing(index_elements=["bot_id", "update_id"])
)
_sessions = listed("session_keys", str)


def _number(state: ColumnElement[str]) -> ScalarSelect[int]:
    """Make the SQL expression that counts the rows of a session in one state, by the index of that state."""
    of_session = pending.c.session_key == _sessions.c.value
    return select(func.count()).where(of_session, pending.c.state == state).scalar_subquery()


_WAITING = Statement(
    select(
        _sessions.c.value.label("session_key"),
        (_number(_QUEUED) + _number(literal("'held'"))).label("number"),
    )
)
_REFUSE = Statement(
    update(pending)
    .where(pending.c.id == bindparam("row_id"), pending.c.state == _QUEUED)
    .values(state=literal("'dropped'"), ended_at=bindparam("now"))
)
_KNOWN = Statement(
    select(pending.c.update_id, pending.c.id).where(
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.update_id.between(bindparam("low"), bindparam("high")),
    )
)
_newest = pending.alias("newest")
_FORGET_IDS = Statement(
    update(pending)
    .where(
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.update_id.in_(select(listed("update_ids", int).c.value)),
        pending.c.received_at < bindparam("before"),
        pending.c.id <= select(func.max(_newest.c.id)).scalar_subquery() - REDELIVERED_ROWS,
    )
    .values(update_id=-pending.c.id)
)
_PASS_ID_ON = Statement(
    update(pending).where(pending.c.id == bindparam("row_id")).values(update_id=-pending.c.id)
)


class Stored(NamedTuple):
    """A message that is now in the table; `refused`: the queue of its session was full."""

    message: Message
    row_id: RowId
    refused: bool


def receive(conn: Connection, messages: Sequence[Message], queue_max: int) -> list[Stored]:
    """(nothing) -> queued, or dropped where the session's queue is full; known updates are skipped.

    `messages` are those of one bot, in arrival order; `queue_max` is in rows per session.
    """
    # Of one alone, which most are, the insert itself finds out whether it is known.
    known = _known(conn, messages) if len(messages) > 1 else {}
    again = [m.update.update_id for m in messages if m.update.update_id in known]
    if again and _forget_old_ids(conn, messages[0].update.bot_id, again):
        known = _known(conn, messages)
    fresh = {m.update.update_id: m for m in messages if m.update.update_id not in known}
    if not fresh:
        return []
    refused = _over_limit(conn, fresh.values(), queue_max)
    now = time.time()
    rows = [_row(m, "dropped" if i in refused else "queued", now) for i, m in fresh.items()]
    row_ids = _inserted(conn, list(fresh.values()), rows)
    return [Stored(fresh[i], row_id, i in refused) for i, row_id in row_ids.items()]


def refuse(conn: Connection, row_id: RowId) -> None:
    """Queued -> dropped: a message that was just stored is over a limit of its sender."""
    _REFUSE(conn, row_id=row_id, now=time.time())


def has_room(conn: Connection, session_key: SessionKey, queue_max: int) -> bool:
    """Whether a session takes one more row."""
    return _fits(conn, session_key, _waiting(conn, [session_key])[session_key] + 1, queue_max)


def _fits(conn: Connection, session_key: SessionKey, count: int, queue_max: int) -> bool:
    # Where nothing runs, or only a stopped turn winds down, the first message does not wait: it runs.
    return count <= queue_max or count <= queue_max + (queue.running(conn, session_key) is None)


def _inserted(
    conn: Connection, messages: Sequence[Message], rows: Sequence[dict[str, object]]
) -> dict[int, RowId]:
    """Insert rows, and map the update ids to the new row ids; one alone may be known."""
    if len(rows) == 1:
        row_id = _insert(conn, rows[0])
        return {messages[0].update.update_id: row_id} if row_id else {}
    _INSERT.many(conn, rows)
    row_ids = _known(conn, messages)
    return {message.update.update_id: row_ids[message.update.update_id] for message in messages}


def _insert(conn: Connection, row: dict[str, object]) -> RowId | None:
    """Insert a row; None if its update is known."""
    inserted = _INSERT(conn, **row)
    if not inserted.rowcount and _forget_old_ids(conn, row["bot_id"], [row["update_id"]]):
        inserted = _INSERT(conn, **row)
    return RowId(inserted.lastrowid) if inserted.rowcount else None


def _forget_old_ids(conn: Connection, bot_id: object, update_ids: Sequence[object]) -> bool:
    """Free those of the ids that are of updates so old that Telegram cannot send them again.

    After a quiet week Telegram continues at a random number, so an old id may come back as another update.
    A row is old only by the clock and by the number of rows since: the clock may jump, and an update must
    not run twice.
    """
    before = time.time() - REDELIVERED_SECONDS
    old = _FORGET_IDS(conn, bot_id=bot_id, update_ids=json.dumps(update_ids), before=before)
    return old.rowcount > 0


def pass_id_on(conn: Connection, row_id: RowId) -> None:
    """Free the update id of a command for the message that the words behind it make.

    The id is unique, and the row that has it recognizes the update when it is delivered again.
    """
    _PASS_ID_ON(conn, row_id=row_id)


def _known(conn: Connection, messages: Sequence[Message]) -> dict[int, RowId]:
    """Find the rows of those that are stored, by update id."""
    ids = [m.update.update_id for m in messages]
    return dict(_KNOWN(conn, bot_id=messages[0].update.bot_id, low=min(ids), high=max(ids)))


def _over_limit(conn: Connection, messages: Iterable[Message], queue_max: int) -> set[int]:
    """Find the update ids for which the queue of their session has no place."""
    count = _waiting(conn, {message.address.session_key for message in messages})
    refused = set()
    for message in messages:
        key = message.address.session_key
        count[key] += 1
        if not _fits(conn, key, count[key], queue_max):
            refused.add(message.update.update_id)
    return refused


def store(conn: Connection, arrival: Message | Control | Unreadable, state: str) -> RowId | None:
    """(nothing) -> `state`, for what takes no place in the queue. Returns None if the update is known."""
    return _insert(conn, _row(arrival, state, time.time()))


def _row(arrival: Message | Control | Unreadable, state: str, now: float) -> dict[str, object]:
    address = None if isinstance(arrival, Unreadable) else arrival.address
    chat_id = arrival.chat_id if isinstance(arrival, Unreadable) else arrival.address.chat_id
    # A button names a message of ours, perhaps one that is still to be settled: it must not count as known.
    presses = isinstance(arrival, Control) and arrival.callback_id is not None
    return {
        "bot_id": arrival.update.bot_id,
        "update_id": arrival.update.update_id,
        "kind": _KINDS[type(arrival)],
        "state": state,
        "session_key": address and address.session_key,
        "chat_id": chat_id,
        "box": None if chat_id is None or presses else box(chat_id),
        "topic_id": arrival.topic_id if isinstance(arrival, Unreadable) else arrival.address.topic_id,
        "user_id": address and address.user_id,
        "message_id": address and address.message_id,
        "received_at": now,
        "ended_at": None if state == "queued" else now,
        "raw": arrival.update.raw,
    }


def _waiting(conn: Connection, session_keys: Iterable[SessionKey]) -> dict[SessionKey, int]:
    """Count the rows of each session that are queued or held: each takes a place."""
    return dict(_WAITING(conn, session_keys=json.dumps(list(session_keys))))
