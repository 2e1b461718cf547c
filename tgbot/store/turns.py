"""Ends turns and hands guards over.

Each ending names the turn's token. An owner that lost its guard gets LostGuardError, and the
writer rolls back all that its operation wrote.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import (
    and_,
    bindparam,
    delete,
    update,
)

from tgbot.model import Album, File, Owner, Ownership, Part, RowId, Turn
from tgbot.store import claims, fence, outbox, questions
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.fence import lost
from tgbot.store.parts import Asked, Content, Said
from tgbot.store.schema import FRONT, guard, pending

_QUEUED = literal("'queued'")
_CLAIMED = literal("'claimed'")
_OF_TOKEN = guard.c.turn_id == bindparam("token")
_ROW = and_(pending.c.id == bindparam("row_id"), pending.c.state == _CLAIMED)

_PASS = Statement(update(guard).where(_OF_TOKEN).values(turn_id=bindparam("next_token")))
_LEAVE = Statement(delete(guard).where(_OF_TOKEN))
_END = Statement(
    update(pending)
    .where(_ROW)
    .values(state=bindparam("state"), ended_at=bindparam("now"), error_id=bindparam("error_id"))
)
_ASK = Statement(update(pending).where(_ROW).values(state=literal("'asking'")))
_REQUEUE = Statement(update(pending).where(_ROW).values(state=_QUEUED, place=literal(str(FRONT))))

Outcome = Literal["done", "failed", "dropped", "interrupted", "asking"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn ended.

    `said` is what the agent said, in order, from its part `first` on: those before it are on screen already,
    or will be. `closing` is what follows: an apology, a notice. Whether a turn was `interrupted` by a /stop
    or a shutdown, only its row knows. `error_id` is the id that the apology and the log line have in common.
    `asks` are the questions of a turn that is `asking`. `replaces` is the row whose answer disappears if this
    turn is done.
    """

    outcome: Outcome
    said: Sequence[Said] = ()
    closing: Sequence[Content] = ()
    error_id: str | None = None
    first: int = 0
    asks: Sequence[Asked] = ()
    replaces: RowId | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of a committed ending.

    The new state of the row, the turn that follows, if any, and the part that may be sent at once.
    """

    state: str
    following: Turn | None
    part: Part | None = None


def end(conn: Connection, owner: Owner, ended: Ownership, ending: Ending) -> Ended:
    """Claimed -> done, failed, dropped, asking, or queued again (a shutdown), and hand the guard over.

    A row that was stopped before stays stopped; its answer is what was said until then. Raises
    LostGuardError if the turn does not hold its guard any more.
    """
    fence.hold(conn, ended.token, ended.session_key)
    state = _end_row(conn, ended, ending)
    part = _answer(conn, ended, ending, state)
    if state == "done" and ending.replaces is not None:
        outbox.remove(conn, ending.replaces, fence.session_of(conn, ended))
    return Ended(state, _hand_over(conn, owner, ended), part)


def _answer(conn: Connection, ended: Ownership, ending: Ending, state: str) -> Part | None:
    if state == "queued":  # it will run again, and answer then
        return None
    loud = questions.first_part(conn, ended.row_id) if ending.first else 0
    if state != "stopped":
        if ending.first:
            questions.make_way(conn, ended.row_id)
        part = outbox.answer(conn, ended.row_id, [*_kept(ending), *ending.closing], ending.first, loud)
        return _ask(conn, ended, ending) or part if ending.asks else part
    if ending.said or ending.first > loud:
        return outbox.answer(conn, ended.row_id, outbox.stopped(_kept(ending)), ending.first, loud)
    # Nothing was said: the reply to the /stop is enough.
    questions.close(conn, ended.row_id, outbox.STOPPED)
    return None


def _ask(conn: Connection, ended: Ownership, ending: Ending) -> Part | None:
    """Write the questions, as messages of their own: what is on screen would be edited, and notify nobody."""
    number = max(ending.first, outbox.next_number(conn, ended.row_id))
    asks = questions.ask(conn, ended.row_id, ending.asks, number)
    return outbox.answer(conn, ended.row_id, asks, number, number)


def _kept(ending: Ending) -> list[Content]:
    assert not any(isinstance(one, File | Album) for one in ending.said), "its files are kept before"
    return [one for one in ending.said if not isinstance(one, File | Album)]


def _end_row(conn: Connection, ended: Ownership, ending: Ending) -> str:
    """Write the row's new state and return it; "stopped" if a /stop came first."""
    if ending.outcome == "asking":
        return "asking" if _ASK(conn, row_id=ended.row_id).rowcount else "stopped"
    if ending.outcome == "interrupted":
        return "queued" if _REQUEUE(conn, row_id=ended.row_id).rowcount else "stopped"
    changed = _END(
        conn, row_id=ended.row_id, state=ending.outcome, now=time.time(), error_id=ending.error_id
    ).rowcount
    return ending.outcome if changed else "stopped"


def _hand_over(conn: Connection, owner: Owner, ended: Ownership) -> Turn | None:
    """Pass the guard to the session's next row, or the slot to a session that waits for one.

    This happens in the transaction of the ending: a message that arrives meanwhile is either seen here, or
    finds the guard gone and claims for itself.
    """
    slots = claims.free_slots(conn, owner)
    if slots < 0:  # draining: claim nothing more
        _leave(conn, ended)
        return None
    elsewhere = claims.next_in_line(conn, owner) if slots == 0 else None
    if elsewhere:
        _leave(conn, ended)
        return claims.seize_unlocked(conn, elsewhere, owner)
    following = claims.take_next(conn, owner, ended.token)
    if following is None:
        _leave(conn, ended)
        return None
    _check_ownership(ended, _PASS(conn, token=ended.token, next_token=following.token).rowcount)
    return following


def _leave(conn: Connection, ended: Ownership) -> None:
    _check_ownership(ended, _LEAVE(conn, token=ended.token).rowcount)


def _check_ownership(ended: Ownership, guards: int) -> None:
    """Raise LostGuardError if there was no guard of this token; the writer then rolls the ending back."""
    if guards != 1:
        raise lost(ended)
