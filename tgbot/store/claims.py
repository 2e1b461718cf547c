"""Claims rows: chooses the session that is next, and gives its oldest row a turn and the guard."""

import json
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from tgbot.model import Address, Owner, SessionKey, Token, Turn
from tgbot.store import allowed, joins, questions, workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import listed, literal, now
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import guard, instance, pending, turn

_QUEUED = literal("'queued'")
_CLAIMED = literal("'claimed'")
_ONE = literal("1")

# Those of this instance, and of dead ones until they are recovered.
_OURS = or_(
    guard.c.instance_id == bindparam("instance_id"),
    exists().where(instance.c.id == guard.c.instance_id, instance.c.lease_until <= now()).correlate(guard),
)

# A row that was running at several crashes may be what kills the process. Of such suspects only one runs in
# a process at a time, so that its crash does not use up the last attempt of another. No other row waits for
# them.
_running, _older, _asking = pending.alias("running"), pending.alias("older"), pending.alias("asking")
_SUSPECT_RUNS = (
    select(guard.c.turn_id)
    .where(
        exists()
        .where(
            _OURS,
            turn.c.id == guard.c.turn_id,
            _running.c.id == turn.c.pending_id,
            _running.c.crashes >= bindparam("suspect_crashes"),
        )
        .correlate(guard)
    )
    .exists()
)


def _must_wait(row: Any) -> ColumnElement[bool]:  # noqa: ANN401 - pending, under any alias
    """Make the SQL condition that a row may not run yet.

    It is not due, or a suspect while another one runs, or its session waits for the answer to a question.
    """
    return or_(
        joins.not_due(row),
        and_(row.c.crashes >= bindparam("suspect_crashes"), _SUSPECT_RUNS),
        exists().where(_asking.c.session_key == row.c.session_key, _asking.c.state == literal("'asking'")),
    )


_HELD = select(func.count()).select_from(guard).where(_OURS)
_GUARDS = Statement(_HELD)
_sessions = listed("session_keys", str)
_IDLE = Statement(
    select(_sessions.c.value.label("session_key"), _HELD.scalar_subquery().label("guards")).where(
        ~exists().where(guard.c.session_key == _sessions.c.value)
    )
)
_NEWEST_GUARD = Statement(
    select(guard.c.session_key).where(_OURS).order_by(guard.c.turn_id.desc()).limit(_ONE)
)
_WAITING_SESSION = Statement(
    select(pending.c.session_key)
    .where(
        pending.c.state == _QUEUED,
        pending.c.session_key > bindparam("after"),
        pending.c.session_key < bindparam("before"),
        ~exists().where(guard.c.session_key == pending.c.session_key),
        ~workers.elsewhere(pending),
        # A session's oldest row runs first: while it must wait, so must those behind it.
        ~exists().where(
            _older.c.session_key == pending.c.session_key,
            _older.c.state == _QUEUED,
            tuple_(_older.c.place, _older.c.id) <= tuple_(pending.c.place, pending.c.id),
            _must_wait(_older),
        ),
    )
    .order_by(pending.c.session_key, pending.c.id)
    .limit(_ONE)
)


# Written out: in RETURNING, SQLAlchemy does not say of which table a column is.
_MAY_COLLECT = literal(
    "EXISTS (SELECT 1 FROM session_value AS v WHERE v.kind = 'setting' AND v.name = 'mode'"
    " AND v.value = 'collect' AND v.session_key IN (pending.session_key,"
    " CAST(pending.bot_id AS TEXT)))"
).label("may_collect")


def _take_oldest(session_key: Any, *conditions: ColumnElement[bool]) -> Statement:  # noqa: ANN401 - a parameter or a subquery
    """Make the statement that claims a session's oldest queued row, if it may run now."""
    return Statement(
        update(pending)
        .where(
            pending.c.id
            == select(pending.c.id)
            .where(pending.c.session_key == session_key, pending.c.state == _QUEUED)
            .order_by(pending.c.place, pending.c.id)
            .limit(_ONE)
            .scalar_subquery(),
            ~_must_wait(pending),
            *conditions,
        )
        .values(state=_CLAIMED, attempt=pending.c.attempt + _ONE)
        .returning(
            pending.c.id,
            pending.c.session_key,
            pending.c.chat_id,
            pending.c.topic_id,
            pending.c.user_id,
            pending.c.message_id,
            pending.c.attempt,
            pending.c.join_key,
            pending.c.raw,
            pending.c.update_id,
            pending.c.received_at,
            _MAY_COLLECT,
            allowed.MAY_TALK.label("allowed"),
        )
    )


_TAKE = _take_oldest(bindparam("session_key"), ~exists().where(guard.c.session_key == pending.c.session_key))
# The session is the guard's, not the turn's: a chat can move while its turn runs.
_TAKE_NEXT = _take_oldest(
    select(guard.c.session_key).where(guard.c.turn_id == bindparam("token")).scalar_subquery()
)
_BEGIN_TURN = Statement(
    insert(turn).values(
        pending_id=bindparam("row_id"), instance_id=bindparam("instance_id"), started_at=bindparam("now")
    )
)
_SEIZE = Statement(
    insert(guard).values(
        {column: bindparam(column) for column in ("session_key", "turn_id", "instance_id", "since")}
    )
)
_NEXT_DUE = Statement(
    select(func.min(pending.c.not_before)).where(
        pending.c.state == _QUEUED, pending.c.not_before.is_not(None), pending.c.not_before > bindparam("now")
    )
)


def claim(conn: Connection, session_key: SessionKey, owner: Owner) -> Turn | None:
    """Queued -> claimed, if the session is idle and a slot is free: seize its guard."""
    return next(iter(claim_each(conn, [session_key], owner)), None)


def claim_each(conn: Connection, session_keys: Iterable[SessionKey], owner: Owner) -> list[Turn]:
    """Claim for the idle ones of these sessions, in this order, while a slot is free."""
    session_keys = list(session_keys)
    workers.lock_chats(conn, session_keys)
    idle = _IDLE(conn, session_keys=json.dumps(session_keys), instance_id=owner.instance_id).rows
    slots = owner.max_turns - idle[0].guards if idle else 0
    if slots < len(idle):  # another worker may have a free one
        workers.hint_all(conn)
    claims = (turn for one in idle if (turn := _seize(conn, one.session_key, owner)))
    return list(islice(claims, max(slots, 0)))


def claim_waiting(conn: Connection, owner: Owner) -> list[Turn]:
    """Claim for idle sessions with queued rows until every slot is taken."""
    turns: list[Turn] = []
    last = _first_key(owner)
    for _ in range(free_slots(conn, owner)):
        session_key = _waiting_between(conn, owner, last, _last_key(owner))
        if session_key is None:
            break
        last = session_key
        claimed = seize_unlocked(conn, session_key, owner)
        if claimed:  # else another was first, or the clock was set back between the look and the claim
            turns.append(claimed)
    return turns


def next_due(conn: Connection, owner: Owner) -> float | None:
    """Find when to look for work again (Unix time in seconds); None if nothing waits for its time.

    A row becomes due, or another worker's lease is over if it is not renewed until then.
    """
    now = time.time()
    due_at: float | None = _NEXT_DUE(conn, now=now).scalar()
    over_in = workers.next_over(conn, owner.instance_id)
    times = [due_at, None if over_in is None else now + over_in]
    return min((at for at in times if at is not None), default=None)


def free_slots(conn: Connection, owner: Owner) -> int:
    """Count the free slots; negative when more turns run than the owner may have."""
    guards: int = _GUARDS(conn, instance_id=owner.instance_id).scalar()
    return owner.max_turns - guards


def next_in_line(conn: Connection, owner: Owner) -> SessionKey | None:
    """Choose the next waiting session, round robin in the order of their keys, after the one claimed last.

    Fair without a memory: a slot passes every waiting session before it comes back to one. And cheap: the
    sessions that hold a guard, whose rows would be read in vain, lie before the one claimed last.
    """
    newest: str = _NEWEST_GUARD(conn, instance_id=owner.instance_id).scalar()
    behind = _waiting_between(conn, owner, newest, _last_key(owner))
    return behind or _waiting_between(conn, owner, _first_key(owner), newest)


def _waiting_between(conn: Connection, owner: Owner, after: str, before: str) -> SessionKey | None:
    key: SessionKey | None = _WAITING_SESSION(
        conn, after=after, before=before, now=time.time(), **_limits(owner)
    ).scalar()
    return key


def _limits(owner: Owner) -> dict[str, object]:
    return {"instance_id": owner.instance_id, "suspect_crashes": owner.suspect_crashes}


def _first_key(owner: Owner) -> str:
    return f"{owner.bot_id}:"


def _last_key(owner: Owner) -> str:
    return f"{owner.bot_id};"  # ";" follows ":", so this is behind every key of this bot


def seize_unlocked(conn: Connection, session_key: SessionKey, owner: Owner) -> Turn | None:
    """Seize what was only looked at: where somebody else is at it, they see to it.

    The chat is not waited for, as others are locked already: two could wait for each other.
    """
    return _seize(conn, session_key, owner) if workers.try_lock_chat(conn, session_key) else None


def _seize(conn: Connection, session_key: SessionKey, owner: Owner) -> Turn | None:
    if not workers.take_to_claim(conn, owner.instance_id, workers.chat_of(session_key)):
        return None
    taken = _take(conn, _TAKE, owner, session_key=session_key)
    if taken:
        names = {"turn_id": taken.token, "instance_id": owner.instance_id}
        _SEIZE(conn, session_key=session_key, **names, since=time.time())
    return taken


def take_next(conn: Connection, owner: Owner, ended: Token) -> Turn | None:
    """Claim the next row of the session whose guard a turn holds; the caller passes the guard on."""
    return _take(conn, _TAKE_NEXT, owner, token=ended)


def _take(conn: Connection, oldest: Statement, owner: Owner, **session: object) -> Turn | None:
    """Claim the session's oldest queued row, if it may run; the caller writes the guard."""
    now = time.time()
    row = oldest(conn, **session, now=now, **_limits(owner)).first()
    if row is None:
        return None
    token = Token(_BEGIN_TURN(conn, row_id=row.id, instance_id=owner.instance_id, now=now).lastrowid)
    address = Address(row.session_key, row.chat_id, row.user_id, row.message_id, row.topic_id)
    if row.may_collect and row.attempt == 1:
        joins.collect(conn, owner.bot_id, address, row.id, row.raw)
    joined = joins.joined_to(conn, row.id) if row.join_key or row.may_collect else []
    first_part = questions.first_part(conn, row.id) if row.attempt > 1 else 0
    return Turn(
        *(token, row.id, row.session_key, address, row.attempt, (row.raw, *joined), first_part),
        allowed=bool(row.allowed),
        update_id=row.update_id,
        received_at=row.received_at,
    )
