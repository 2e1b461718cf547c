"""Keeps what requests to models cost: reserved before each, settled after it, so that no limit is overrun.

An open reservation counts as spent, whoever made it: a turn that runs beside this one, or a process that
died. Days are those of UTC.
"""

import math
import operator
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, NewType

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, cast, delete, func, insert, select, update

from tgbot.model import Ownership
from tgbot.store import fence
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import lock
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import history, pending, usage

DAY_SECONDS = 86400

ReservationId = NewType("ReservationId", int)
Scope = Literal["turn", "user", "chat"]
Unit = Literal["steps", "tokens", "cost"]


class Amount(NamedTuple):
    """What a request takes. `nano_dollars` are billionths of a dollar, None if the price is not known."""

    input_tokens: int
    output_tokens: int
    nano_dollars: int | None

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


class Request(NamedTuple):
    """A request that is about to be made, at the time `at`, and what it may take at most."""

    model: str
    at: float
    most: Amount


class Limit(NamedTuple):
    """The most that may be spent within a scope; None: no such limit. A step is a request to a model."""

    steps: int | None = None
    tokens: int | None = None
    nano_dollars: int | None = None


Limits = Mapping[Scope, Limit]  # of a turn, and of a user and of a chat a day


class Exhausted(NamedTuple):
    """The limit that a request would go beyond: with what is `spent`, and `wanted` now."""

    scope: Scope
    unit: Unit
    limit: int
    spent: int
    wanted: int


class Total(NamedTuple):
    """What some requests took.

    `nano_dollars` leaves out the `unpriced` of them, whose price is not known. Of the `open` ones nobody
    knows yet, or ever, what they took: they count as much as was reserved.
    """

    requests: int
    tokens: int
    nano_dollars: int
    unpriced: int
    open: int


class Report(NamedTuple):
    """What a session took today, since its last /new, and in all."""

    today: Total
    session: Total
    all: Total


_ROW = usage.c.pending_id == bindparam("row_id")
_OF_SESSION = usage.c.session_key == bindparam("session_key")
_OF_BOT = usage.c.bot_id == bindparam("bot_id")
# Not open at the end: what a clock noted that was ahead must not count each day until then.
_WITHIN = and_(usage.c.at >= bindparam("since"), usage.c.at < bindparam("until"))


def _sum(number: ColumnElement[int]) -> ColumnElement[int]:
    # PostgreSQL would give a decimal number.
    return cast(func.coalesce(func.sum(number), literal("0")), BigInteger)


def _total(*conditions: ColumnElement[bool]) -> Statement:
    """Make the statement whose row is the Total of the requests for which these conditions hold."""
    return Statement(
        select(
            func.count(),
            _sum(usage.c.input_tokens + usage.c.output_tokens),
            _sum(usage.c.nano_dollars),
            func.count() - func.count(usage.c.nano_dollars),
            func.count().filter(usage.c.state == literal("'reserved'")),
        ).where(*conditions)
    )


_SPENT: dict[Scope, Statement] = {
    "turn": _total(_ROW),  # in all its attempts
    "user": _total(_OF_BOT, usage.c.user_id == bindparam("user_id"), _WITHIN),
    "chat": _total(_OF_BOT, usage.c.chat_id == bindparam("chat_id"), _WITHIN),
}
_OF_SESSION_WITHIN = _total(_OF_SESSION, _WITHIN)
# The place is the row's, not the turn's: a chat can move while its turn runs.
_PLACE = Statement(
    select(pending.c.bot_id, pending.c.chat_id, pending.c.user_id).where(pending.c.id == bindparam("row_id"))
)
_AMOUNTS: dict[str, Any] = {name: bindparam(name) for name in Amount._fields}
_RESERVE = Statement(
    insert(usage).values(
        bot_id=bindparam("bot_id"),
        session_key=bindparam("session_key"),
        chat_id=bindparam("chat_id"),
        user_id=bindparam("user_id"),
        pending_id=bindparam("row_id"),
        turn_id=bindparam("token"),
        model=bindparam("model"),
        state=literal("'reserved'"),
        at=bindparam("at"),
        **_AMOUNTS,
    )
)
_OWN = (usage.c.id == bindparam("reservation_id"), usage.c.turn_id == bindparam("token"))
_SETTLE = Statement(update(usage).where(*_OWN).values(state=literal("'settled'"), **_AMOUNTS))
_GIVE_BACK = Statement(delete(usage).where(*_OWN))
_NEW = Statement(
    select(func.max(history.c.at))
    .join(pending, pending.c.id == history.c.pending_id)
    .where(
        history.c.session_key == bindparam("session_key"),
        history.c.kind.in_([literal("'fresh'"), literal("'summary'")]),  # what the index says
        history.c.kind == literal("'fresh'"),
        pending.c.state == literal("'done'"),
    )
)


def reserve(conn: Connection, turn: Ownership, limits: Limits, request: Request) -> ReservationId | Exhausted:
    """Reserve what a request may take at most, if no limit is in its way.

    A request of unknown price passes the limits of cost. Raises LostGuardError.
    """
    session_key = fence.session_of(conn, turn)
    place = _PLACE(conn, row_id=turn.row_id).first()._asdict()
    # What a user spends elsewhere at this moment counts, too.
    lock(conn, [f"budget:{place['bot_id']}:{place['user_id']}"])
    for scope, limit in limits.items():
        spent = Total(*_SPENT[scope](conn, row_id=turn.row_id, **place, **_day(request.at)).first())
        if exhausted := _exceeded(scope, limit, spent, request.most):
            return exhausted
    names = {"session_key": session_key, "row_id": turn.row_id, "token": turn.token, **place}
    row = {**names, "model": request.model, "at": request.at, **request.most._asdict()}
    return ReservationId(_RESERVE(conn, **row).lastrowid)


def settle(conn: Connection, turn: Ownership, reservation_id: ReservationId, actual: Amount) -> None:
    """Note what a request took. Raises LostGuardError: then what was reserved stays spent."""
    fence.session_of(conn, turn)
    _SETTLE(conn, reservation_id=reservation_id, token=turn.token, **actual._asdict())


def give_back(conn: Connection, turn: Ownership, reservation_id: ReservationId) -> None:
    """Forget the reservation of a request that was refused, and took nothing. Raises LostGuardError."""
    fence.session_of(conn, turn)
    _GIVE_BACK(conn, reservation_id=reservation_id, token=turn.token)


def of_turn(conn: Connection, turn: Ownership) -> Total:
    """Sum up what a turn took, in all its attempts."""
    return Total(*_SPENT["turn"](conn, row_id=turn.row_id).first())


def report(conn: Connection, session_key: str, now: float) -> Report:
    """Sum up what a session took; `now` decides which day is today."""
    new: float = _NEW(conn, session_key=session_key).scalar() or 0.0
    before = _within(conn, session_key, 0.0, new)
    since = _within(conn, session_key, new, math.inf)
    in_all = Total(*map(operator.add, before, since))  # each row is read once: there may be many
    return Report(_within(conn, session_key, **_day(now)), since, in_all)


def _within(conn: Connection, session_key: str, since: float, until: float) -> Total:
    return Total(*_OF_SESSION_WITHIN(conn, session_key=session_key, since=since, until=until).first())


def _exceeded(scope: Scope, limit: Limit, spent: Total, most: Amount) -> Exhausted | None:
    """Find the first limit of a scope that a request would go beyond."""
    units: tuple[tuple[Unit, int | None, int, int | None], ...] = (
        ("steps", limit.steps, spent.requests, 1),
        ("tokens", limit.tokens, spent.tokens, most.tokens),
        ("cost", limit.nano_dollars, spent.nano_dollars, most.nano_dollars),
    )
    for unit, allowed, used, wanted in units:
        if allowed is not None and wanted is not None and used + wanted > allowed:
            return Exhausted(scope, unit, allowed, used, wanted)
    return None


def _day(now: float) -> dict[str, float]:
    """Give the bounds of the day in UTC."""
    since = now // DAY_SECONDS * DAY_SECONDS
    return {"since": since, "until": since + DAY_SECONDS}
