"""Recovers what earlier processes left: guards without a task, rows that were running at their death."""

import time
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, delete, null, or_, select, update

from tgbot.model import Address, InstanceId, Owner, Ownership, RowId, SessionKey
from tgbot.render import Text
from tgbot.store import fence, interrupted, joins, outbox, questions, workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import shared
from tgbot.store.engine.sql import greatest, literal, now
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import FRONT, guard, instance, pending, turn

_QUEUED = literal("'queued'")
_DEAD = literal("'dead'")
_ROW = and_(pending.c.id == bindparam("row_id"), pending.c.state == literal("'claimed'"))
_DEAD_ROW = and_(
    pending.c.id == bindparam("row_id"),
    pending.c.session_key == bindparam("session_key"),
    pending.c.state == _DEAD,
)

_STOPPING = Statement(
    update(instance).where(instance.c.id == bindparam("instance_id")).values(stopping_at=bindparam("now"))
)
_GUARDED = Statement(
    select(
        guard.c.turn_id.label("token"),
        pending.c.id.label("row_id"),
        turn.c.instance_id,
        pending.c.state,
        pending.c.crashes,
        instance.c.stopping_at,
        guard.c.session_key,
        pending.c.chat_id,
        pending.c.user_id,
        pending.c.message_id,
        pending.c.topic_id,
    )
    .join(turn, turn.c.id == guard.c.turn_id)
    .join(pending, pending.c.id == turn.c.pending_id)
    .join(instance, instance.c.id == turn.c.instance_id)
    .where(or_(guard.c.instance_id == bindparam("instance_id"), instance.c.lease_until <= now()))
    .order_by(pending.c.id)
)
_LEAVE = Statement(delete(guard).where(guard.c.turn_id == bindparam("token")))
_REQUEUE = Statement(
    update(pending).where(_ROW).values(state=_QUEUED, place=literal(str(FRONT)), crashes=bindparam("crashes"))
)
_GIVE_UP = Statement(
    update(pending).where(_ROW).values(state=_DEAD, crashes=bindparam("crashes"), ended_at=bindparam("now"))
)
# One crash before its last: it is a suspect, and what it is queued for is one more try.
_RETRY = Statement(
    update(pending)
    .where(_DEAD_ROW)
    .values(state=_QUEUED, crashes=greatest(pending.c.crashes - literal("1"), literal("1")), ended_at=null())
)
_FORGET = Statement(update(pending).where(_DEAD_ROW).values(state=literal("'dropped'")))
_CRASHED = Statement(
    select(pending.c.id).where(
        pending.c.id == bindparam("row_id"),
        pending.c.session_key == bindparam("session_key"),
        pending.c.crashes > literal("0"),
        pending.c.state.not_in([_DEAD, literal("'dropped'")]),
    )
)
CHATS_MAX = 100  # of dead instances, that one look frees
TRYING_AGAIN = Text("Trying it again.")


@dataclass(frozen=True, slots=True)
class Guard(Ownership):
    """A guard as it is now: who owns it, and which state its row is in.

    `crashes` counts those of the row; `stopping`: the owner had been asked to stop, so its end was no crash.
    """

    address: Address
    instance_id: InstanceId
    state: str
    crashes: int
    stopping: bool


def begin_instance(conn: Connection, pid: int, host: str = "") -> InstanceId:
    """Record a new process on this database; its id is never reused."""
    if not shared(conn):  # else others may be sending now, and the chats of dead ones are left one by one
        interrupted.lost_by_death(conn)
    joins.wait_for_more(conn)
    return workers.begin(conn, pid, host, time.time())


def note_stopping(conn: Connection, instance_id: InstanceId) -> None:
    """Record that this process was asked to stop: a turn that its end interrupts has not crashed."""
    _STOPPING(conn, instance_id=instance_id, now=time.time())


def guards(conn: Connection, instance_id: InstanceId) -> list[Guard]:
    """List the guards of this instance and of dead ones.

    One of another instance, or without a task here, belongs to an interrupted turn.
    """
    _leave_chats(conn)
    return [
        Guard(
            *(token, row_id, address[0], Address(*address), instance_id, state, crashes),
            stopping=stopping_at is not None,
        )
        for token, row_id, instance_id, state, crashes, stopping_at, *address in _GUARDED(
            conn, instance_id=instance_id
        )
    ]


def _leave_chats(conn: Connection) -> None:
    """Free the chats that dead instances had, as far as nobody else is at it."""
    for chat in workers.left_chats(conn, CHATS_MAX):
        workers.lock_chat(conn, *chat)
        if workers.free_left(conn, chat):
            interrupted.lost_with_chat(conn, *chat)
            workers.hint_unsent(conn, chat)


def recover(conn: Connection, owner: Owner, left: Guard) -> str:
    """Claimed -> queued, or dead after too many crashes; deletes the guard. Returns the row's new state.

    A stopped row stays stopped: a /stop counts even if the process died before it acted on it, or if it
    came after `left` was read. Returns "ended" if the turn's own task was first.
    """
    fence.hold(conn, left.token, left.session_key)
    workers.hint_all(conn)  # who has a free slot may have found the chat locked by this
    if not _LEAVE(conn, token=left.token).rowcount:
        return "ended"
    interrupted.mark_uncertain(conn, left.row_id)  # a preview of it may still be on its way
    state = _requeue_or_give_up(conn, owner, left)
    if state == "stopped":
        questions.close(conn, left.row_id, outbox.STOPPED)
    elif state == "dead":
        first = questions.first_part(conn, left.row_id)
        outbox.answer(conn, left.row_id, [outbox.given_up(left.row_id)], first, first)
    return state


def _requeue_or_give_up(conn: Connection, owner: Owner, left: Guard) -> str:
    crashes = left.crashes + (not left.stopping)
    if left.stopping or crashes < owner.crashes_max:
        changed = _REQUEUE(conn, row_id=left.row_id, crashes=crashes).rowcount
        return "queued" if changed else "stopped"
    changed = _GIVE_UP(conn, row_id=left.row_id, crashes=crashes, now=time.time()).rowcount
    return "dead" if changed else "stopped"


def retry(conn: Connection, session_key: SessionKey, row_id: RowId) -> bool:
    """Dead -> queued, for one more try as a suspect. False if the row is not dead, or not of this session."""
    if not _RETRY(conn, row_id=row_id, session_key=session_key).rowcount:
        return False
    outbox.set_aside(conn, row_id, TRYING_AGAIN)
    return True


def was_tried_again(conn: Connection, session_key: SessionKey, row_id: RowId) -> bool:
    """Whether a row of this session crashed, and is neither dead nor dropped any more."""
    return _CRASHED(conn, row_id=row_id, session_key=session_key).first() is not None


def forget(conn: Connection, session_key: SessionKey, row_id: RowId) -> bool:
    """Dead -> dropped. False if the row is not dead, or not of this session."""
    return _FORGET(conn, row_id=row_id, session_key=session_key).rowcount == 1
