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

from tgbot import together
from tgbot.model import COMMAND, Address, BotId, Message, Ownership, RowId, SessionKey
from tgbot.store import allowed, fence, inbox, leads, modes
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import listed, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import pending

QUIET_SECONDS = 1.0  # how long without a further row; Telegram usually delivers what was sent at once in less

_FOLLOW_UP = "follow-up"  # in place of a join key: it joined a turn that was running
_AGAIN = "again"  # in place of a join key: rows that ran as one turn, and run as one once more
_ROW = pending.c.id == bindparam("row_id")


def not_due(row: Any) -> ColumnElement[bool]:  # noqa: ANN401 - pending, under any alias
    """Make the SQL condition that a row may not run yet, at the parameter `now`.

    No lead row waits as long as a minute: a later time was written before the clock was set back.
    """
    now: ColumnElement[float] = bindparam("now")
    # Never NULL, because NOT NULL is NULL in SQL: a row without a time is due.
    due_at = func.coalesce(row.c.not_before, literal("0"))
    return and_(due_at > now, or_(row.c.join_key.is_(None), due_at < now + literal("60")))


_BECOME_LEAD = Statement(
    update(pending)
    .where(_ROW)
    .values(
        join_key=func.coalesce(bindparam("join_key"), pending.c.join_key), not_before=bindparam("not_before")
    )
)
_JOIN = Statement(
    update(pending)
    .where(_ROW)
    .values(state=literal("'joined'"), lead_id=bindparam("lead_id"), ended_at=bindparam("now"))
)
_PUSH_ALL = Statement(
    update(pending)
    .where(*leads.WAITS, pending.c.attempt == literal("0"))
    .values(not_before=bindparam("not_before"))
)
_WAITING = Statement(
    select(
        *(pending.c.id, pending.c.raw, pending.c.join_key, not_due(pending).label("not_due")),
        *(pending.c.bot_id, pending.c.chat_id, pending.c.user_id),
    )
    .where(
        pending.c.session_key == bindparam("session_key"),
        pending.c.state == literal("'queued'"),
        pending.c.attempt == literal("0"),
    )
    .order_by(pending.c.place, pending.c.id)
)
_TAKE = Statement(
    update(pending)
    .where(pending.c.id.in_(select(listed("row_ids", int).c.value)))
    .values(
        state=literal("'joined'"),
        lead_id=bindparam("row_id"),
        join_key=bindparam("join_key"),
        ended_at=bindparam("now"),
    )
)
_TAKE_JOINED = Statement(
    update(pending)
    .where(pending.c.lead_id.in_(select(listed("row_ids", int).c.value)))
    .values(lead_id=bindparam("row_id"), join_key=bindparam("join_key"))
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


def receive(conn: Connection, message: Message, queue_max: int) -> list[inbox.Stored]:
    """(nothing) -> joined, where its lead row still waits; else queued, as a lead row if more may come.

    Returns what `inbox.receive` returns: nothing for a message that joined.
    """
    if lead := leads.find(conn, message):
        _join(conn, lead, message.join_key)
        return []
    stored = inbox.receive(conn, [message], queue_max)
    for entry in stored if message.join_key else ():
        if not entry.refused:
            _BECOME_LEAD(conn, row_id=entry.row_id, join_key=message.join_key, not_before=_quiet_at())
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
    """Take what waits, texts with all their pieces, up to the first that may not join or is not complete.

    An album, and what was forwarded, keeps a turn of its own. Whoever may not talk any more joins nobody's
    turn: their row waits for its own, which says so.
    """
    waiting = _WAITING(conn, session_key=session_key, now=time.time())
    texts = [*takewhile(lambda row: _is_whole_text(row) and may_join(row.raw), waiting)]
    if not texts:
        return
    first, senders = texts[0], {row.user_id for row in texts}
    may_talk = allowed.may_talk(conn, first.bot_id, first.chat_id, senders)
    if taken := [row.id for row in takewhile(lambda row: row.user_id in may_talk, texts)]:
        row_ids = json.dumps(taken)
        _TAKE(conn, row_ids=row_ids, row_id=lead_id, join_key=join_key, now=time.time())
        _TAKE_JOINED(conn, row_ids=row_ids, row_id=lead_id, join_key=join_key)


def _is_whole_text(row: Any) -> bool:  # noqa: ANN401 - a row of _WAITING
    return not row.not_due and (row.join_key is None or together.is_of_text(row.join_key))


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


def _join(conn: Connection, lead: leads.Lead, join_key: str | None) -> None:
    row_id = inbox.store(conn, lead.part, "queued")
    if row_id is None:  # a known update
        return
    _JOIN(conn, row_id=row_id, lead_id=lead.row_id, now=time.time())
    not_before = None if lead.is_last else _quiet_at()
    _BECOME_LEAD(conn, row_id=lead.row_id, join_key=join_key, not_before=not_before)


def _quiet_at() -> float:
    return time.time() + QUIET_SECONDS
