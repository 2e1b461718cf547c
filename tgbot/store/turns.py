"""Guards and turns: every way a row is claimed, and every way an ownership ends.

Each ending names the turn's token. An owner that lost its guard gets LostGuardError, and the
writer takes back all that its operation wrote.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, delete, exists, func, insert, or_, select, update

from tgbot.model import Address, AlbumTurn, InstanceId, Owner, Ownership, SessionKey, Token, Turn
from tgbot.render import Text
from tgbot.store import outbox, sending
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, listed, literal
from tgbot.store.outbox import Content
from tgbot.store.schema import guard, instance, pending, turn

_QUEUED = literal("'queued'")
_CLAIMED = literal("'claimed'")
_ONE = literal("1")
_other = pending.alias()
_OF_TOKEN = guard.c.turn_id == bindparam("token")
_ROW = and_(pending.c.id == bindparam("row_id"), pending.c.state == _CLAIMED)

# Of the rows on their last attempt one runs at a time: if the process dies again, it takes no other along.
_running, _older = pending.alias("running"), pending.alias("older")
_SUSPECT = (
    exists()
    .where(
        turn.c.id == guard.c.turn_id,
        _running.c.id == turn.c.pending_id,
        _running.c.attempt > bindparam("suspicious_attempts"),
    )
    .correlate(guard)
)
_NO_SUSPECT_RUNS = ~select(guard.c.turn_id).where(_SUSPECT).exists()

_BORN = Statement(insert(instance).values(pid=bindparam("pid"), started_at=bindparam("now")))
_GUARDS = Statement(select(func.count()).select_from(guard))
_sessions = listed("session_keys")
_IDLE = Statement(select(_sessions.c.value).where(~exists().where(guard.c.session_key == _sessions.c.value)))
_NEWEST_GUARD = Statement(select(guard.c.session_key).order_by(guard.c.turn_id.desc()).limit(_ONE))
_WAITING_SESSION = Statement(
    select(pending.c.session_key)
    .where(
        pending.c.state == _QUEUED,
        pending.c.session_key > bindparam("after"),
        pending.c.session_key < bindparam("before"),
        ~exists().where(guard.c.session_key == pending.c.session_key),
        or_(
            ~exists().where(
                _older.c.session_key == pending.c.session_key,
                _older.c.state == _QUEUED,
                _older.c.id <= pending.c.id,
                _older.c.attempt >= bindparam("suspicious_attempts"),
            ),
            _NO_SUSPECT_RUNS,  # behind the cheaper question, which mostly has the answer
        ),
    )
    .order_by(pending.c.session_key, pending.c.id)
    .limit(_ONE)
)
_TAKE = Statement(
    update(pending)
    .where(
        pending.c.id
        == select(pending.c.id)
        .where(pending.c.session_key == bindparam("session_key"), pending.c.state == _QUEUED)
        .order_by(pending.c.id)
        .limit(_ONE)
        .scalar_subquery(),
        or_(pending.c.attempt < bindparam("suspicious_attempts"), _NO_SUSPECT_RUNS),
    )
    .values(state=_CLAIMED, attempt=pending.c.attempt + _ONE)
    .returning(
        pending.c.id,
        pending.c.chat_id,
        pending.c.topic_id,
        pending.c.user_id,
        pending.c.message_id,
        pending.c.attempt,
        pending.c.album,
        pending.c.raw,
        # Whether other messages lie between this one and its answer: it waited, or others wait behind it.
        or_(
            pending.c.received_at < bindparam("just_now"),
            exists().where(_other.c.session_key == bindparam("session_key"), _other.c.state == _QUEUED),
        ).label("others"),
    )
)
_BEGIN_TURN = Statement(
    insert(turn).values(
        pending_id=bindparam("row_id"), instance_id=bindparam("instance_id"), started_at=bindparam("now")
    )
)
_SEIZE = Statement(
    insert(guard).values(
        session_key=bindparam("session_key"), turn_id=bindparam("token"), since=bindparam("now")
    )
)
_PASS = Statement(update(guard).where(_OF_TOKEN).values(turn_id=bindparam("next_token")))
_LEAVE = Statement(delete(guard).where(_OF_TOKEN))
_END = Statement(
    update(pending)
    .where(_ROW)
    .values(state=bindparam("state"), ended_at=bindparam("now"), error_id=bindparam("error_id"))
)
_REQUEUE = Statement(update(pending).where(_ROW).values(state=_QUEUED))
_GUARDED = Statement(
    select(
        guard.c.turn_id.label("token"),
        pending.c.id.label("row_id"),
        turn.c.instance_id,
        pending.c.state,
        pending.c.attempt,
        *(
            guard.c.session_key,
            pending.c.chat_id,
            pending.c.user_id,
            pending.c.message_id,
            pending.c.topic_id,
        ),
    )
    .join(turn, turn.c.id == guard.c.turn_id)
    .join(pending, pending.c.id == turn.c.pending_id)
    .order_by(pending.c.id)
)


AT_ONCE_SECONDS = 1.0  # a row claimed so soon after it came is the newest thing on the screen
STOPPED = Text("⏹ Stopped.")


class LostGuardError(Exception):
    """The guard has another owner by now: this turn may write nothing any more."""


@dataclass(frozen=True, slots=True)
class Guard(Ownership):
    """A guard as it stands: whose it is, and what became of its row meanwhile."""

    address: Address
    instance_id: InstanceId
    state: str
    attempt: int


def begin_instance(conn: Connection, pid: int) -> InstanceId:
    """Record a new life of the process; its id is never reused."""
    sending.doubt_unsent(conn)
    return InstanceId(_BORN(conn, pid=pid, now=time.time()).lastrowid)


def claim(conn: Connection, session_key: SessionKey, owner: Owner) -> Turn | None:
    """Queued -> claimed, if the session is idle and a slot is free: seize its guard."""
    return next(iter(claim_each(conn, [session_key], owner)), None)


def claim_each(conn: Connection, session_keys: Iterable[SessionKey], owner: Owner) -> list[Turn]:
    """Claim for those of the sessions that are idle, in this order, while a slot is free."""
    slots = _slots(conn, owner)
    if slots <= 0:
        return []
    idle: list[SessionKey] = _IDLE(conn, session_keys=json.dumps(list(session_keys))).scalars()
    return [turn for key in idle[:slots] if (turn := _seize(conn, key, owner))]


def claim_waiting(conn: Connection, owner: Owner) -> list[Turn]:
    """Claim for idle sessions with queued rows until every slot is taken."""
    turns: list[Turn] = []
    last = _first_key(owner)
    for _ in range(_slots(conn, owner)):
        session_key = _waiting_between(conn, owner, last, _last_key(owner))
        if session_key is None:
            break
        last = session_key
        claimed = _seize(conn, session_key, owner)
        assert claimed, "a waiting session has a queued row"
        turns.append(claimed)
    return turns


def finish(conn: Connection, owner: Owner, done: Ownership, answer: Sequence[Content]) -> Turn | None:
    """Claimed -> done with its answer, and hand over. Returns the next turn, if one follows."""
    return _end(conn, owner, done, answer, state="done")


def fail(
    conn: Connection, owner: Owner, failed: Ownership, said: Sequence[Content], error_id: str
) -> Turn | None:
    """Claimed -> failed with what it had said and an apology, and hand over."""
    return _end(conn, owner, failed, said, state="failed", error_id=error_id)


def refuse(conn: Connection, owner: Owner, refused: Ownership, notice: Text) -> Turn | None:
    """Claimed -> dropped: the sender may not talk to the bot any more."""
    return _end(conn, owner, refused, [notice], state="dropped")


def release(
    conn: Connection, owner: Owner, interrupted: Ownership, said: Sequence[Content] = (STOPPED,)
) -> Turn | None:
    """Claimed -> queued (a shutdown) or stays stopped (the row says which), and hand over.

    A stopped turn's answer is what it had `said`; a released one will say it all again.
    """
    if not _REQUEUE(conn, row_id=interrupted.row_id).rowcount:
        outbox.answer(conn, interrupted.row_id, said)
    return _hand_over(conn, owner, interrupted)


def guards(conn: Connection) -> list[Guard]:
    """List every guard. One of another instance, or without a task here, is an interrupted turn."""
    return [
        Guard(token, row_id, address[0], Address(*address), instance_id, state, attempt)
        for token, row_id, instance_id, state, attempt, *address in _GUARDED(conn)
    ]


def recover(conn: Connection, owner: Owner, interrupted: Guard, notice: Text) -> str:
    """Claimed -> queued, or dead after its last attempt, and the guard goes. Returns the row's state.

    A row that is stopped stays so: a /stop counts, also when the process died before it acted, and
    when it came after `interrupted` was read.
    """
    if not _LEAVE(conn, token=interrupted.token).rowcount:
        return "ended"  # by its own task, after all
    sending.doubt(conn, interrupted.row_id)  # it may have left a preview on its way
    if interrupted.attempt < owner.attempts_max:
        state, changed, said = "queued", _REQUEUE(conn, row_id=interrupted.row_id).rowcount, None
    else:
        now = time.time()
        changed = _END(conn, row_id=interrupted.row_id, state="dead", now=now, error_id=None).rowcount
        state, said = "dead", notice
    if not changed:
        state, said = "stopped", STOPPED
    if said:
        outbox.answer(conn, interrupted.row_id, [said])
    return state


def _end(  # noqa: PLR0913 - who ends what, with which words, in which state
    conn: Connection,
    owner: Owner,
    ended: Ownership,
    answer: Sequence[Content],
    *,
    state: str,
    error_id: str | None = None,
) -> Turn | None:
    changed = _END(conn, row_id=ended.row_id, state=state, now=time.time(), error_id=error_id).rowcount
    # Not changed: a /stop was first, and what the agent said too late goes nowhere.
    outbox.answer(conn, ended.row_id, answer if changed else [STOPPED])
    return _hand_over(conn, owner, ended)


def _hand_over(conn: Connection, owner: Owner, ended: Ownership) -> Turn | None:
    """Pass the guard to the session's next row, or its slot to a session that waits for one.

    In the transaction of the ending: a message that arrives meanwhile is either seen here, or
    finds the guard gone and claims for itself.
    """
    slots = _slots(conn, owner)
    if slots < 0:  # draining: claim nothing more
        _leave(conn, ended)
        return None
    elsewhere = _next_in_line(conn, owner) if slots == 0 else None
    if elsewhere:
        _leave(conn, ended)
        return _seize(conn, elsewhere, owner)
    following = _take(conn, ended.session_key, owner)
    if following is None:
        _leave(conn, ended)
        return None
    passed = _PASS(conn, token=ended.token, next_token=following.token).rowcount
    _check_ownership(ended, passed)
    return following


def _leave(conn: Connection, ended: Ownership) -> None:
    _check_ownership(ended, _LEAVE(conn, token=ended.token).rowcount)


def _check_ownership(ended: Ownership, guards: int) -> None:
    """Raise for an owner that lost its guard; the writer then takes back all of the ending."""
    if guards != 1:
        raise LostGuardError(f"turn {ended.token} does not hold {ended.session_key} any more")


def _slots(conn: Connection, owner: Owner) -> int:
    """Count the free slots; below 0 when more turns run than the owner may hold."""
    guards: int = _GUARDS(conn).scalar()
    return owner.max_turns - guards


def _next_in_line(conn: Connection, owner: Owner) -> SessionKey | None:
    """Go round the waiting sessions in the order of their keys, beginning behind the one claimed last.

    Fair without a memory: the slots pass every waiting session before they come back to one. And cheap:
    the sessions that hold a guard, whose rows are only in the way, lie before the one claimed last.
    """
    newest: str = _NEWEST_GUARD(conn).scalar()
    behind = _waiting_between(conn, owner, newest, _last_key(owner))
    return behind or _waiting_between(conn, owner, _first_key(owner), newest)


def _waiting_between(conn: Connection, owner: Owner, after: str, before: str) -> SessionKey | None:
    found = _WAITING_SESSION(conn, after=after, before=before, suspicious_attempts=owner.suspicious_attempts)
    key: SessionKey | None = found.scalar()
    return key


def _first_key(owner: Owner) -> str:
    return f"{owner.bot_id}:"


def _last_key(owner: Owner) -> str:
    return f"{owner.bot_id};"  # ";" follows ":", so this is behind every key of this bot


def _seize(conn: Connection, session_key: SessionKey, owner: Owner) -> Turn | None:
    taken = _take(conn, session_key, owner)
    if taken:
        _SEIZE(conn, session_key=session_key, token=taken.token, now=time.time())
    return taken


def _take(conn: Connection, session_key: SessionKey, owner: Owner) -> Turn | None:
    """Make a turn for the session's oldest queued row, if it may run; the caller sees to the guard."""
    now = time.time()
    row = _TAKE(
        conn,
        session_key=session_key,
        just_now=now - AT_ONCE_SECONDS,
        suspicious_attempts=owner.suspicious_attempts,
    ).first()
    if row is None:
        return None
    token = _BEGIN_TURN(conn, row_id=row.id, instance_id=owner.instance_id, now=now).lastrowid
    address = Address(session_key, row.chat_id, row.user_id, row.message_id, row.topic_id)
    outbox.open_answer(conn, owner.bot_id, row.id, address, quote=bool(row.others))
    kind = Turn if row.album is None else AlbumTurn
    return kind(Token(token), row.id, session_key, address, row.attempt, row.raw)
