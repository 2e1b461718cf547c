"""What turns did in the last day, hour by hour, from the times that their rows and turns have."""

import time
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, exists, func, select

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal, truncated
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import pending, turn

HOUR_SECONDS = 3600
HOURS = 24
TURNS_MAX = 20_000  # that are looked at: on a busier day the oldest are left out
OUTCOMES = ("done", "failed", "stopped", "dead")

_LAST_TURN = Statement(select(func.max(turn.c.id)))
_FROM = Statement(
    select(turn.c.started_at).where(turn.c.id >= bindparam("turn_id")).order_by(turn.c.id).limit(literal("1"))
)


def _hour(at: ColumnElement[float]) -> ColumnElement[int]:
    """Make the SQL expression of the hour of a time, counted since 1970."""
    return truncated(at / literal(str(HOUR_SECONDS)))


_TURNS = turn.c.id >= bindparam("turn_id")
_ENDED = Statement(
    select(_hour(pending.c.ended_at), pending.c.state, func.count(pending.c.id.distinct()))
    .join(turn, turn.c.pending_id == pending.c.id)
    .where(_TURNS, pending.c.ended_at.is_not(None))
    .group_by(_hour(pending.c.ended_at), pending.c.state)
)
_earlier = turn.alias("earlier")
_waited = turn.c.started_at - pending.c.received_at
_began = _hour(turn.c.started_at)
# Only until the first turn of a row: after that it was worked on.
_first_turns = (
    select(
        _began.label("hour"),
        _waited.label("waited"),
        func.cume_dist().over(partition_by=_began, order_by=_waited).label("part"),
    )
    .join(pending, pending.c.id == turn.c.pending_id)
    .where(_TURNS, ~exists().where(_earlier.c.pending_id == turn.c.pending_id, _earlier.c.id < turn.c.id))
    .subquery("first_turn")
)
_WAITED = Statement(
    select(_first_turns.c.hour, func.min(_first_turns.c.waited))
    .where(_first_turns.c.part >= literal("0.9"))
    .group_by(_first_turns.c.hour)
)


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour, from `began` on (Unix time in seconds).

    `ended` counts messages by OUTCOMES; nine in ten of those whose turn began in it had waited for at most
    `waited_seconds`, None if none began.
    """

    began: int
    ended: dict[str, int]
    waited_seconds: float | None


def hours(conn: Connection, now: float | None = None) -> list[Hour]:
    """Give the last HOURS, the oldest first; the last one is not over."""
    last = int((time.time() if now is None else now) // HOUR_SECONDS)
    first = last - HOURS + 1
    # A message whose turn began before the first hour may have ended in it.
    turn_id = _first_turn(conn, (first - 1) * HOUR_SECONDS)
    ended = {(hour, state): number for hour, state, number in _ENDED(conn, turn_id=turn_id)}
    waited: dict[int, float] = dict(_WAITED(conn, turn_id=turn_id).rows)
    return [
        Hour(
            began=hour * HOUR_SECONDS,
            ended={name: ended.get((hour, name), 0) for name in OUTCOMES},
            waited_seconds=max(waited[hour], 0.0) if hour in waited else None,
        )
        for hour in range(first, last + 1)
    ]


def _first_turn(conn: Connection, since: float) -> int:
    """Find the first turn that began since then, by halving: there is no index of their times.

    Their ids grow with the times. Where the clock was set back, a few turns more or less are found.
    """
    high = (_LAST_TURN(conn).scalar() or 0) + 1
    low = max(high - TURNS_MAX, 0)
    while low < high:
        middle = (low + high) // 2
        began = _FROM(conn, turn_id=middle).scalar()
        low, high = (low, middle) if began is None or began >= since else (middle + 1, high)
    return low
