"""Albums: Telegram sends each part as an update of its own, maybe seconds apart; together they are one turn.

The first part is a row like any other; those that come while it is open join it and are never run
themselves. Its turn closes it, when nothing came for a while.
"""

import time
from dataclasses import replace

from sqlalchemy import bindparam, func, or_, select, update

from tgbot.model import AlbumTurn, Message
from tgbot.store import inbox
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, literal
from tgbot.store.schema import guard, instance, pending, turn
from tgbot.store.turns import LostGuardError

PARTS_MAX = 10  # of one album (Bot API, sendMediaGroup)

_ROW = pending.c.id == bindparam("row_id")
_part = pending.alias("part")

_OPEN = Statement(
    select(pending.c.id).where(
        pending.c.session_key == bindparam("session_key"),
        pending.c.album == bindparam("album"),
        pending.c.album_closed_at.is_(None),
        pending.c.state.in_([literal(f"'{state}'") for state in ("queued", "claimed", "held")]),
        select(func.count()).where(_part.c.part_of == pending.c.id).scalar_subquery()
        < literal(str(PARTS_MAX - 1)),
    )
)
_BEGIN = Statement(update(pending).where(_ROW).values(album=bindparam("album")))
_JOIN = Statement(
    update(pending)
    .where(_ROW)
    .values(state=literal("'joined'"), part_of=bindparam("first_id"), ended_at=bindparam("now"))
)
_LIFE_BEGAN = Statement(
    select(instance.c.started_at)
    .join(turn, turn.c.instance_id == instance.c.id)
    .join(guard, guard.c.turn_id == turn.c.id)
    .where(guard.c.turn_id == bindparam("token"))
)
_PARTS = Statement(
    select(pending.c.raw, pending.c.received_at, pending.c.album_closed_at)
    .where(or_(_ROW, pending.c.part_of == bindparam("row_id")))
    .order_by(pending.c.id)
)
_CLOSE = Statement(update(pending).where(_ROW).values(album_closed_at=bindparam("now")))


def receive(conn: Connection, part: Message, queue_max: int) -> list[inbox.Stored]:
    """(nothing) -> joined, where its album is open; else as any message, and the first of its album.

    Returns what `inbox.receive` does: nothing for a part that joined.
    """
    first_id = _OPEN(conn, session_key=part.address.session_key, album=part.album).scalar()
    if first_id is not None:
        row_id = inbox.store(conn, part, "queued")
        if row_id is not None:
            _JOIN(conn, row_id=row_id, first_id=first_id, now=time.time())
        return []
    stored = inbox.receive(conn, [part], queue_max)
    for entry in stored:
        if not entry.refused:
            _BEGIN(conn, row_id=entry.row_id, album=part.album)
    return stored


def close(conn: Connection, claimed: AlbumTurn, quiet_seconds: float) -> AlbumTurn | float:
    """Close an album and give its turn all that joined, or the seconds to wait while parts may come.

    The seconds count from the newest part, and from the start of this life: what was sent before is
    on its way. Raises LostGuardError.
    """
    began = _LIFE_BEGAN(conn, token=claimed.token).scalar()
    if began is None:
        raise LostGuardError(f"turn {claimed.token} does not hold {claimed.session_key} any more")
    first, *rest = parts = _PARTS(conn, row_id=claimed.row_id).rows
    if first.album_closed_at is None:
        now = time.time()
        # By its distance: after the clock was set back, a time in the future keeps nobody waiting.
        age_seconds: float = min(abs(now - then) for then in (began, *(part.received_at for part in parts)))
        if age_seconds < quiet_seconds and len(parts) < PARTS_MAX:
            return quiet_seconds - age_seconds
        _CLOSE(conn, row_id=claimed.row_id, now=now)
    return replace(claimed, rest=tuple(part.raw for part in rest))
