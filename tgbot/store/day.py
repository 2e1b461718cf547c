"""What turns did in the last day, hour by hour, from the times that their rows and turns have."""

import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, func, select

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, literal
from tgbot.store.schema import pending, turn

HOUR_SECONDS = 3600
HOURS = 24
TURNS_MAX = 20_000  # that are looked at: on a busier day the oldest are left out
OUTCOMES = ("done", "failed", "stopped", "dead")

_earlier = turn.alias("earlier")
_LAST_TURN = Statement(select(func.max(turn.c.id)))
_FROM = Statement(
    select(turn.c.started_at).where(turn.c.id >= bindparam("turn_id")).order_by(turn.c.id).limit(literal("1"))
)
_TURNS = Statement(
    select(
        *(turn.c.pending_id, turn.c.started_at, pending.c.received_at, pending.c.ended_at, pending.c.state),
        exists().where(_earlier.c.pending_id == turn.c.pending_id, _earlier.c.id < turn.c.id).label("again"),
    )
    .join(pending, pending.c.id == turn.c.pending_id)
    .where(turn.c.id >= bindparam("turn_id"))
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
    now = time.time() if now is None else now
    first = math.floor(now / HOUR_SECONDS - HOURS + 1) * HOUR_SECONDS
    # A message whose turn began before the first hour may have ended in it.
    rows = _TURNS(conn, turn_id=_first_turn(conn, first - HOUR_SECONDS)).rows
    ended, waited = _ended(rows), _waited(rows)
    return [
        Hour(began, {name: ended[began, name] for name in OUTCOMES}, _nine_in_ten(waited[began]))
        for began in range(first, first + HOURS * HOUR_SECONDS, HOUR_SECONDS)
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


def _ended(rows: Iterable[Any]) -> Counter[tuple[int, str]]:
    once = {row.pending_id: row for row in rows if row.ended_at is not None}
    return Counter((_hour(row.ended_at), row.state) for row in once.values())


def _waited(rows: Iterable[Any]) -> defaultdict[int, list[float]]:
    waited: defaultdict[int, list[float]] = defaultdict(list)
    for row in rows:
        if not row.again:  # only until its first turn: after that it was worked on
            waited[_hour(row.started_at)].append(max(0.0, row.started_at - row.received_at))
    return waited


def _nine_in_ten(seconds: list[float]) -> float | None:
    match seconds:
        case []:
            return None
        case [one]:
            return one
        case _:
            return statistics.quantiles(seconds, n=10, method="inclusive")[-1]


def _hour(at: float) -> int:
    return math.floor(at / HOUR_SECONDS) * HOUR_SECONDS
