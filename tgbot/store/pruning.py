"""Deletes what ended long ago, a few rows at a time, and never what something still needs.

A row goes with its turns, parts, questions and calls of tools. One that the model's history is of stays,
without its words. The newest message ids of a box stay: a send of unknown outcome is looked for above them.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, or_, select, union_all, update

from tgbot.model import RowId
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import listed, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.erasure import NO_WORDS
from tgbot.store.inbox import REDELIVERED_ROWS
from tgbot.store.outbox import newest_id
from tgbot.store.schema import (
    box_of,
    file,
    guard,
    history,
    ledger,
    outbox,
    pending,
    question,
    second_look,
    turn,
)
from tgbot.store.settling import MARGIN

ROWS_MAX = 100  # of one transaction, so that no claim waits long behind it

_NO_WORDS = literal(f"'{NO_WORDS}'")
_ENDED = [literal(f"'{state}'") for state in ("done", "failed", "stopped", "dropped")]
_lead, _other = pending.alias("lead"), pending.alias("other")
_newest = pending.alias("newest")
_NEXT = Statement(
    select(pending.c.id, pending.c.received_at)
    .where(
        pending.c.id > bindparam("after"),
        # Only rows since tell how old an update is whose time was noted by a clock that was wrong.
        pending.c.id <= select(func.max(_newest.c.id)).scalar_subquery() - literal(str(REDELIVERED_ROWS)),
    )
    .order_by(pending.c.id)
    .limit(literal(str(ROWS_MAX)))
)
_row = select(listed("row_ids", int).c.value)
_OVER = or_(
    pending.c.state.in_(_ENDED),
    exists().where(
        *(pending.c.state == literal("'joined'"), _lead.c.id == pending.c.lead_id),
        *(_lead.c.state.in_(_ENDED), _lead.c.ended_at < bindparam("before")),
    ),
)
_UNSETTLED = exists().where(
    outbox.c.pending_id == pending.c.id,
    or_(
        outbox.c.state != literal("'sent'"),
        outbox.c.reaction_due,
        outbox.c.uncertain_until.is_not(None),
    ),
)
_RUNS = exists().where(turn.c.pending_id == pending.c.id, guard.c.turn_id == turn.c.id)
_LOGGED = or_(
    *(exists().where(column == pending.c.id) for column in (history.c.pending_id, history.c.target_id))
)
# A lead row is deleted after those that are joined to it.
_STAYS = or_(_LOGGED, exists().where(_other.c.lead_id == pending.c.id))
_OLD = Statement(
    select(
        *(pending.c.id, pending.c.bot_id, pending.c.box, pending.c.message_id),
        _STAYS.label("stays"),
    )
    .where(
        *(pending.c.id.in_(_row), or_(pending.c.raw != _NO_WORDS, ~_STAYS)),
        *(pending.c.ended_at < bindparam("before"), pending.c.received_at < bindparam("before")),
        *(_OVER, ~_UNSETTLED, ~_RUNS),
        ~exists().where(_other.c.held_by == pending.c.id),
        *(~exists().where(table.c.pending_id == pending.c.id) for table in (file, second_look)),
    )
    .order_by(pending.c.id)
)
_SHOWN = Statement(
    select(outbox.c.pending_id, outbox.c.bot_id, outbox.c.box, outbox.c.message_id).where(
        outbox.c.pending_id.in_(_row), outbox.c.message_id.is_not(None)
    )
)
_NEWEST = Statement(select(newest_id(bindparam("bot_id"), bindparam("box"))))
_FLOORS = Statement(
    union_all(
        select(outbox.c.bot_id, outbox.c.box, outbox.c.floor).where(
            outbox.c.state.in_([literal("'sending'"), literal("'unknown'")])
        ),
        select(second_look.c.bot_id, box_of(second_look.c.chat_id), second_look.c.floor),
    )
)
_OF_ROWS = tuple(
    Statement(delete(table).where(table.c.pending_id.in_(_row))) for table in (question, ledger, outbox, turn)
)
_TAKE_WORDS = Statement(update(pending).where(pending.c.id.in_(_row)).values(raw=_NO_WORDS))
_DELETE = Statement(delete(pending).where(pending.c.id.in_(_row)))


class Old(NamedTuple):
    """What can be pruned of the rows that were looked at, and the last one of those; None: that was all."""

    row_ids: list[RowId]
    last: RowId | None


def find(conn: Connection, before: float, after: RowId) -> Old:
    """Find what ended before a time (Unix time in seconds) among the next ROWS_MAX rows behind `after`."""
    window = _NEXT(conn, after=after).rows
    if not any(row.received_at < before for row in window):
        return Old([], None)
    return Old([row.id for row in _old(conn, before, [row.id for row in window])], window[-1].id)


def prune(conn: Connection, before: float, row_ids: Sequence[RowId]) -> int:
    """Delete those of the rows that ended before a time (as above), with what belongs to them.

    What has not ended, is dead, held, unsent or parked, or is needed to tell whether an update is new, stays.
    Returns how many rows are gone.
    """
    old = _old(conn, before, row_ids)
    for step in _OF_ROWS:
        step(conn, row_ids=json.dumps([row.id for row in old]))
    _TAKE_WORDS(conn, row_ids=json.dumps([row.id for row in old if row.stays]))
    return _DELETE(conn, row_ids=json.dumps([row.id for row in old if not row.stays])).rowcount


def _old(conn: Connection, before: float, row_ids: Sequence[RowId]) -> list[Any]:
    return _not_needed(conn, _OLD(conn, row_ids=json.dumps(row_ids), before=before).rows)


def _not_needed(conn: Connection, rows: list[Any]) -> list[Any]:
    """Leave out the rows with a message id that must stay known."""
    oldest = _oldest_needed(conn)
    shown = _SHOWN(conn, row_ids=json.dumps([row.id for row in rows]))
    needed = {part.pending_id for part in shown if part.message_id >= oldest(part.bot_id, part.box)}
    return [
        row
        for row in rows
        if row.id not in needed
        and (row.box is None or row.message_id is None or row.message_id < oldest(row.bot_id, row.box))
    ]


def _oldest_needed(conn: Connection) -> Callable[[int, int], int]:
    """Give the function that finds the oldest id of a bot's box which a search may still compare with."""
    floors = _FLOORS(conn).rows

    @cache
    def oldest(bot_id: int, box: int) -> int:
        known: list[int] = [_NEWEST(conn, bot_id=bot_id, box=box).scalar()]
        known += [floor for of, where, floor in floors if (of, where) == (bot_id, box)]
        return min(known) - MARGIN

    return oldest
