"""Reads who works on the database, for people: each live worker, and each dead one whose turns still wait."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import exists, func, or_, select

from tgbot.model import InstanceId, RowId
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import shared
from tgbot.store.engine.sql import literal, now
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import chat_lease, guard, instance, role, turn

POLLER = "poller"  # the role

_LIVE = instance.c.lease_until > now()
_LIST = Statement(
    select(
        *(instance.c.id, instance.c.host, instance.c.pid, instance.c.started_at),
        select(func.count())
        .select_from(chat_lease)
        .where(chat_lease.c.instance_id == instance.c.id)
        .scalar_subquery()
        .label("chats"),
        (instance.c.lease_until - now()).label("left_seconds"),
    )
    .where(or_(_LIVE, exists().where(guard.c.instance_id == instance.c.id)))
    .order_by(instance.c.id)
)
_TURNS = Statement(
    select(guard.c.instance_id, turn.c.pending_id)
    .join(turn, turn.c.id == guard.c.turn_id)
    .order_by(turn.c.pending_id)
)
_POLLER = Statement(
    select(role.c.instance_id)
    .join(instance, instance.c.id == role.c.instance_id)
    .where(role.c.name == literal(f"'{POLLER}'"), _LIVE)
)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that works on the database, or died at it.

    `started_at` is a Unix time in seconds, by the clock of its machine. `row_ids` are the rows whose turns it
    runs, `chats` how many chats are with it. `lease_seconds` is what its lease still has, by the database's
    clock: 0 once others take over what it did, None for a lease that is for ever. `polls` says whether it is
    the one of several that polls; where only one may work on the database nobody has that role.
    """

    instance_id: InstanceId
    host: str
    pid: int
    started_at: float
    row_ids: list[RowId]
    chats: int
    lease_seconds: float | None
    polls: bool

    @property
    def is_gone(self) -> bool:
        """Whether it is dead, and only listed for the turns that it left."""
        return self.lease_seconds == 0


def workers(conn: Connection) -> list[Worker]:
    """List the live workers, and the dead ones whose turns wait for another worker, the oldest first."""
    turns = defaultdict(list)
    for instance_id, row_id in _TURNS(conn):
        turns[instance_id].append(row_id)
    polling = poller(conn)
    return [
        Worker(
            *(row.id, row.host, row.pid, row.started_at, turns[row.id], row.chats),
            lease_seconds=_lease_seconds(conn, row.left_seconds),
            polls=row.id == polling,
        )
        for row in _LIST(conn)
    ]


def poller(conn: Connection) -> InstanceId | None:
    """Find which of several workers polls Telegram; None while none does, and where there is only one."""
    found: InstanceId | None = _POLLER(conn).scalar()
    return found


def _lease_seconds(conn: Connection, left: float) -> float | None:
    if left <= 0:
        return 0.0
    return left if shared(conn) else None
