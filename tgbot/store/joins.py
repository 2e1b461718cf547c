"""Joins rows that run as one turn: a lead row waits for others, which join it and never run by themselves.

Telegram sends each part of an album as an update of its own, possibly seconds apart. The first one is a row
like any other that may not run before `not_before`; each further part joins it and postpones that time.
Once the lead row is claimed, nothing joins it any more. In a session that collects, all that waits behind a
row joins it when it is claimed.
"""

import json
import time
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update

from tgbot.model import COMMAND, Address, BotId, Message, Ownership, RowId, SessionKey
from tgbot.store import allowed, fence, inbox, modes
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, listed, literal
from tgbot.store.schema import pending

QUIET_SECONDS = 1.0  # how long without a further row; Telegram usually delivers an album in less
TOGETHER_MAX = 10  # parts in one album (Bot API, sendMediaGroup)

_FOLLOW_UP = "follow-up"  # in place of a join key: it joined a turn that was running
_AGAIN = "again"  # in place of a join key: rows that ran as one turn, and run as one once more
_ROW = pending.c.id == bindparam("row_id")
_WAITS = (pending.c.join_key.is_not(None), pending.c.state.in_([literal("'queued'"), literal("'held'")]))
_joined = pending.alias("joined")

_LEAD = Statement(
    select(
        pending.c.id,
        select(func.count()).where(_joined.c.lead_id == pending.c.id).scalar_subquery().label("joined"),
    )
    .where(
        pending.c.session_key == bindparam("session_key"),
        pending.c.join_key == bindparam("join_key"),
        *_WAITS,
        # A further attempt has exactly the same rows as the first.
        pending.c.attempt == literal("0"),
    )
    .order_by(pending.c.id.desc())
    .limit(literal("1"))
)
_BECOME_LEAD = Statement(
    update(pending).where(_ROW).values(join_key=bindparam("join_key"), not_before=bindparam("not_before"))
)
_JOIN = Statement(
    update(pending)
    .where(_ROW)
    .values(state=literal("'joined'"), lead_id=bindparam("lead_id"), ended_at=bindparam("now"))
)
_PUSH = Statement(update(pending).where(_ROW).values(not_before=bindparam("not_before")))
_PUSH_ALL = Statement(
    update(pending)
    .where(*_WAITS, pending.c.attempt == literal("0"))
    .values(not_before=bindparam("not_before"))
)
# Not what waits for its time: an album has to be complete.
_WAITING = Statement(
    select(pending.c.id, pending.c.raw, pending.c.bot_id, pending.c.chat_id, pending.c.user_id)
    .where(
        pending.c.session_key == bindparam("session_key"),
        pending.c.state == literal("'queued'"),
        pending.c.join_key.is_(None),
        pending.c.not_before.is_(None),
        pending.c.attempt == literal("0"),
    )
    .order_by(pending.c.place, pending.c.id)
)
_TAKE = Statement(
    update(pending)
    .where(pending.c.id.in_(select(listed("row_ids").c.value)))
    .values(
        state=literal("'joined'"),
        lead_id=bindparam("row_id"),
        join_key=bindparam("join_key"),
        ended_at=bindparam("now"),
    )
)
_COLLECTS = Statement(
    update(pending).where(_ROW).values(join_key=func.coalesce(pending.c.join_key, literal("'collected'")))
)
_JOINED_SINCE = Statement(
    select(pending.c.id, pending.c.raw)
    .where(
        pending.c.lead_id == bindparam("row_id"),
        pending.c.id > bindparam("after"),
        pending.c.join_key == literal(f"'{_FOLLOW_UP}'"),
    )
    .order_by(pending.c.id)
)
_JOINED_TO = Statement(
    select(pending.c.raw)
    .where(pending.c.lead_id == bindparam("row_id"), pending.c.join_key.is_(None))
    .order_by(pending.c.id)
)


class JoinedRow(NamedTuple):
    """A row that joined a running turn: its update, as JSON."""

    row_id: RowId
    raw: str


def not_due(row: Any) -> ColumnElement[bool]:  # noqa: ANN401 - pending, under any alias
    """Make the SQL condition that a row may not run yet, at the parameter `now`.

    No lead row waits as long as a minute: a later time was written before the clock was set back.
    """
    now: ColumnElement[float] = bindparam("now")
    # Never NULL, because NOT NULL is NULL in SQL: a row without a time is due.
    due_at = func.coalesce(row.c.not_before, literal("0"))
    return and_(due_at > now, or_(row.c.join_key.is_(None), due_at < now + literal("60")))


def receive(conn: Connection, part: Message, queue_max: int) -> list[inbox.Stored]:
    """(nothing) -> joined, where its lead row still waits; else queued like any message, as a lead row.

    Returns what `inbox.receive` returns: nothing for a part that joined.
    """
    lead = _LEAD(conn, session_key=part.address.session_key, join_key=part.join_key).first()
    if lead is not None and lead.joined + 1 < TOGETHER_MAX:
        _join(conn, part, lead.id, is_last=lead.joined + 2 == TOGETHER_MAX)
        return []
    stored = inbox.receive(conn, [part], queue_max)
    for entry in stored:
        if not entry.refused:
            _BECOME_LEAD(conn, row_id=entry.row_id, join_key=part.join_key, not_before=_quiet_at())
    return stored


def again(conn: Connection, messages: Sequence[Message], queue_max: int) -> list[inbox.Stored]:
    """(nothing) -> queued, or dropped by a full queue: messages of one update; all but the first join that.

    Of the update's id, which is unique, the last row keeps it, and recognizes the update when it comes again.
    """
    lead, *rest = messages
    stored = inbox.receive(conn, [lead], queue_max)
    for entry in stored:
        if rest and not entry.refused:
            _BECOME_LEAD(conn, row_id=entry.row_id, join_key=_AGAIN, not_before=None)
            _join_again(conn, rest, entry.row_id)
    return stored


def _join_again(conn: Connection, messages: Sequence[Message], lead_id: RowId) -> None:
    last = lead_id
    for message in messages:
        inbox.pass_id_on(conn, last)
        added = inbox.store(conn, message, "queued")
        assert added, "its id is free"
        _JOIN(conn, row_id=added, lead_id=lead_id, now=time.time())
        last = added


def waits_for(conn: Connection, session_key: SessionKey, join_key: str) -> bool:
    """Whether a lead row waits for more of what has this key."""
    return _LEAD(conn, session_key=session_key, join_key=join_key).first() is not None


def incoming(conn: Connection, turn: Ownership, after: RowId) -> list[JoinedRow]:
    """Queued -> joined: what waits behind a running turn joins it, where the session is set so.

    A command (/new) waits on, with what is behind it: it is obeyed between two turns. So does what is no
    text, as only words join. Returns the rows that joined it that way after the row `after`, in order. Raises
    LostGuardError.
    """
    session_key = fence.session_of(conn, turn)
    if modes.of(conn, session_key) == "steer":
        _take(conn, session_key, turn.row_id, _FOLLOW_UP, _is_text)
    return [JoinedRow(*row) for row in _JOINED_SINCE(conn, row_id=turn.row_id, after=after)]


def collect(conn: Connection, bot_id: BotId, address: Address, row_id: RowId, raw: str) -> None:
    """Queued -> joined: all that waits joins the row that was just claimed, if the session collects."""
    if _is_command(raw) or modes.of(conn, address.session_key) != "collect":
        return
    # Else what joins is dropped with it: its sender may not talk any more.
    if allowed.may_talk(conn, bot_id, address.chat_id, {address.user_id}):
        _COLLECTS(conn, row_id=row_id)
        _take(conn, address.session_key, row_id, None, lambda waiting: not _is_command(waiting))


def _take(
    conn: Connection,
    session_key: SessionKey,
    lead_id: RowId,
    join_key: str | None,
    may_join: Callable[[str], bool],
) -> None:
    waiting = [*takewhile(lambda row: may_join(row.raw), _WAITING(conn, session_key=session_key))]
    if not waiting:
        return
    # Whoever may not talk any more joins nobody's turn: the row waits for its own, which says so.
    first, senders = waiting[0], {row.user_id for row in waiting}
    may_talk = allowed.may_talk(conn, first.bot_id, first.chat_id, senders)
    if row_ids := [row.id for row in takewhile(lambda row: row.user_id in may_talk, waiting)]:
        _TAKE(conn, row_ids=json.dumps(row_ids), row_id=lead_id, join_key=join_key, now=time.time())


def _is_text(raw: str) -> bool:
    return "text" in json.loads(raw)["message"] and not _is_command(raw)


def _is_command(raw: str) -> bool:
    return COMMAND.match(json.loads(raw)["message"].get("text") or "") is not None


def wait_for_more(conn: Connection) -> None:
    """Make every lead row wait anew: parts that were sent while no process ran are still to come."""
    _PUSH_ALL(conn, not_before=_quiet_at())


def joined_to(conn: Connection, row_id: RowId) -> list[str]:
    """List the updates of the rows that joined a lead row, as JSON, in order."""
    return _JOINED_TO(conn, row_id=row_id).scalars()


def _join(conn: Connection, part: Message, lead_id: RowId, *, is_last: bool) -> None:
    row_id = inbox.store(conn, part, "queued")
    if row_id is None:  # a known update
        return
    _JOIN(conn, row_id=row_id, lead_id=lead_id, now=time.time())
    _PUSH(conn, row_id=lead_id, not_before=None if is_last else _quiet_at())


def _quiet_at() -> float:
    return time.time() + QUIET_SECONDS
