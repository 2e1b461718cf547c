"""What waits and runs in a session, and what /stop, /resume, /drop and the queue's card do to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, exists, func, null, select, union, update

from tgbot.model import Address, BotId, ChatId, MessageId, RowId, SessionKey, UserId
from tgbot.render import Text
from tgbot.store import outbox, questions, workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import FRONT, guard, pending, turn

DROPPED = Text("Dropped.")  # replaces what an interrupted turn has shown

_QUEUED = literal("'queued'")
_HELD = literal("'held'")
_OF_SESSION = pending.c.session_key == bindparam("session_key")

_BUSY = Statement(select(exists().where(guard.c.session_key == bindparam("session_key"))))
_HELD_FOR = (
    select(turn.c.pending_id)
    .join(guard, guard.c.turn_id == turn.c.id)
    .where(guard.c.session_key == bindparam("session_key"))
)
_RUNNING = Statement(
    _HELD_FOR.join(pending, pending.c.id == turn.c.pending_id).where(pending.c.state == literal("'claimed'"))
)
_PLACE = Statement(
    select(pending.c.session_key, pending.c.topic_id, pending.c.user_id).where(
        pending.c.id == bindparam("row_id"),
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.chat_id == bindparam("chat_id"),
        pending.c.session_key.is_not(None),
    )
)
_ADDRESS = Statement(
    select(
        *(pending.c.session_key, pending.c.chat_id, pending.c.user_id, pending.c.message_id),
        pending.c.topic_id,
    ).where(pending.c.id == bindparam("row_id"), pending.c.kind == literal("'message'"))
)
_STOP_RUNNING = Statement(
    update(pending)
    .where(pending.c.state == literal("'claimed'"), pending.c.id == _HELD_FOR.scalar_subquery())
    .values(state=literal("'stopped'"), ended_at=bindparam("now"))
    .returning(pending.c.id)
)
_WAITING_ROW = (pending.c.id, pending.c.raw, pending.c.message_id)
_HOLD = Statement(
    update(pending)
    .where(_OF_SESSION, pending.c.state == _QUEUED)
    .values(state=_HELD, held_by=bindparam("stop_id"))
    .returning(*_WAITING_ROW)
)
_OF_STOP = (
    _OF_SESSION,
    pending.c.state == _HELD,
    pending.c.held_by == func.coalesce(bindparam("stop_id"), pending.c.held_by),
)
_RESUME = Statement(
    update(pending).where(*_OF_STOP).values(state=_QUEUED, held_by=null()).returning(*_WAITING_ROW)
)
_DROP = Statement(
    update(pending)
    .where(*_OF_STOP)
    .values(state=literal("'dropped'"), held_by=null(), ended_at=bindparam("now"))
    .returning(*_WAITING_ROW)
)
_HELD_BY = Statement(select(pending.c.held_by).where(_OF_SESSION, pending.c.state == _HELD).distinct())
_WAITS = pending.c.state.in_([_QUEUED, _HELD])
_DROP_ROW = Statement(
    update(pending)
    .where(pending.c.id == bindparam("row_id"), _OF_SESSION, _WAITS)
    .values(state=literal("'dropped'"), held_by=null(), ended_at=bindparam("now"))
    .returning(*_WAITING_ROW)
)
_WAITING_IDS = Statement(
    union(
        select(pending.c.id).where(_OF_SESSION, pending.c.state == _QUEUED),
        select(pending.c.id).where(_OF_SESSION, pending.c.state == _HELD),
    )
)
_first = pending.alias("first")
_PUT_FIRST = Statement(
    update(pending)
    .where(pending.c.id == bindparam("row_id"), _OF_SESSION, _WAITS)
    .values(
        state=_QUEUED,
        held_by=null(),
        place=select(func.coalesce(func.min(_first.c.place), literal("0")) - literal("1"))
        .where(
            _first.c.session_key == bindparam("session_key"),
            _first.c.state == _QUEUED,
            _first.c.place != literal(str(FRONT)),
        )
        .scalar_subquery(),
    )
)


class Waiting(NamedTuple):
    """A row that waited, or was held: its raw update and the message it came in."""

    row_id: RowId
    raw: str
    message_id: MessageId


class Place(NamedTuple):
    """Where a row belongs, and who sent its message."""

    session_key: SessionKey
    topic_id: int | None
    user_id: UserId | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a /stop did: the row whose turn it ended, the one that asked something, and those it holds."""

    running: RowId | None
    asking: questions.StoppedRow | None
    held: list[Waiting]


def busy(conn: Connection, session_key: SessionKey) -> bool:
    """Whether a turn holds the session, even a stopped one that is still winding down."""
    return bool(_BUSY(conn, session_key=session_key).scalar())


def running(conn: Connection, session_key: SessionKey) -> RowId | None:
    """Find the row whose turn runs; None also while a stopped turn winds down and still holds the session."""
    row_id: RowId | None = _RUNNING(conn, session_key=session_key).scalar()
    return row_id


def at_work(conn: Connection, session_key: SessionKey) -> RowId | None:
    """Find the row whose turn runs, or that waits for the answer to a question."""
    found = running(conn, session_key)
    return questions.asking(conn, session_key) if found is None else found


def place(conn: Connection, bot_id: BotId, chat_id: ChatId, row_id: RowId) -> Place | None:
    """Find where a row belongs; None if that is not this chat."""
    row = _PLACE(conn, bot_id=bot_id, chat_id=chat_id, row_id=row_id).first()
    return Place(*row) if row else None


def address(conn: Connection, row_id: RowId) -> Address | None:
    """Find where a message came from; None if the row is none."""
    row = _ADDRESS(conn, row_id=row_id).first()
    return Address(*row) if row else None


def stop(conn: Connection, session_key: SessionKey, stop_id: RowId) -> Stopped:
    """Claimed or asking -> stopped, and queued -> held for all that was sent before the /stop.

    `stop_id` is the row of the /stop; where nobody typed one, that of the turn. The guard stays: the turn's
    task has not ended yet, and no other turn may run beside it.
    """
    running, asking = stop_turn(conn, session_key)
    held = [Waiting(*row) for row in _HOLD(conn, session_key=session_key, stop_id=stop_id)]
    return Stopped(running, asking, sorted(held))


def stop_turn(conn: Connection, session_key: SessionKey) -> tuple[RowId | None, questions.StoppedRow | None]:
    """Claimed or asking -> stopped: the row whose turn runs, or the one that asks something."""
    running: RowId | None = _STOP_RUNNING(conn, session_key=session_key, now=time.time()).scalar()
    if running is not None:
        workers.hint_owner(conn, session_key)
    return running, questions.stop(conn, session_key)


def resume(conn: Connection, session_key: SessionKey, stop_id: RowId | None) -> list[Waiting]:
    """Held -> queued: the rows of one /stop, or all of the session. Returns them."""
    with _decided(conn, session_key, stop_id):
        return [Waiting(*row) for row in _RESUME(conn, session_key=session_key, stop_id=stop_id)]


def drop(conn: Connection, session_key: SessionKey, stop_id: RowId | None) -> list[Waiting]:
    """Held -> dropped: the rows of one /stop, or all of the session. Returns them."""
    with _decided(conn, session_key, stop_id):
        rows = _DROP(conn, session_key=session_key, stop_id=stop_id, now=time.time())
        dropped = [Waiting(*row) for row in rows]
    for row in dropped:
        questions.close(conn, row.row_id, DROPPED)
    return dropped


def drop_row(conn: Connection, session_key: SessionKey, row_id: RowId) -> Waiting | None:
    """Queued or held -> dropped, for one row. None if it does not wait any more."""
    with _decided(conn, session_key):
        row = _DROP_ROW(conn, session_key=session_key, row_id=row_id, now=time.time()).first()
    if row is None:
        return None
    questions.close(conn, row_id, DROPPED)
    return Waiting(*row)


def drop_all(conn: Connection, session_key: SessionKey) -> list[Waiting]:
    """Queued and held -> dropped, for all that waits in a session."""
    row_ids = _WAITING_IDS(conn, session_key=session_key).scalars()
    return [row for row_id in row_ids if (row := drop_row(conn, session_key, row_id))]


def put_first(conn: Connection, session_key: SessionKey, row_id: RowId) -> bool:
    """Queued or held -> queued, before all that waits but what was interrupted. False if it does not wait."""
    with _decided(conn, session_key):
        return _PUT_FIRST(conn, session_key=session_key, row_id=row_id).rowcount == 1


@contextmanager
def _decided(conn: Connection, session_key: SessionKey, pressed: RowId | None = None) -> Iterator[None]:
    """Take the buttons away of each /stop of which nothing is on hold any more.

    Not of the one that was `pressed`: what the button did is said in its place.
    """
    before: set[RowId] = set(_HELD_BY(conn, session_key=session_key).scalars()) - {pressed}
    yield
    if before:
        for stop_id in before - set(_HELD_BY(conn, session_key=session_key).scalars()):
            outbox.take_buttons(conn, stop_id)
