"""What comes in: updates to pending rows, and what /stop, /resume and /drop do to the waiting ones."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, exists, func, null, select, update
from sqlalchemy.dialects.sqlite import insert

from tgbot.model import Arrival, BotId, ChatId, Control, Message, Owner, RowId, SessionKey, Unreadable, UserId
from tgbot.render import Text
from tgbot.store import outbox
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, listed, literal
from tgbot.store.schema import guard, pending, stranger, turn

REDELIVERED_SECONDS = 3 * 86400.0  # Telegram keeps an update for 24 hours (Bot API, "Getting updates")
REDELIVERED_ROWS = 1_000  # what comes again is of the last batches, of 100 at most
DROPPED = Text("Dropped.")  # where an interrupted turn has left its placeholder

_QUEUED = literal("'queued'")
_HELD = literal("'held'")
_KINDS = {Message: "message", Control: "control", Unreadable: "unreadable"}
_OF_SESSION = pending.c.session_key == bindparam("session_key")

_INSERT = Statement(
    insert(pending)
    .values(
        {
            column: bindparam(column)
            for column in (
                *("bot_id", "update_id", "kind", "state", "session_key", "chat_id", "topic_id"),
                *("user_id", "message_id", "received_at", "ended_at", "raw"),
            )
        }
    )
    .on_conflict_do_nothing(index_elements=["bot_id", "update_id"])
)
_sessions = listed("session_keys")
_WAITING = Statement(
    select(
        _sessions.c.value.label("session_key"),
        select(func.count())
        .where(pending.c.session_key == _sessions.c.value, pending.c.state == _QUEUED)
        .scalar_subquery()
        .label("number"),
    )
)
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
    select(pending.c.session_key, pending.c.topic_id).where(
        pending.c.id == bindparam("row_id"),
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.chat_id == bindparam("chat_id"),
        pending.c.session_key.is_not(None),
    )
)
_STOP_RUNNING = Statement(
    update(pending)
    .where(pending.c.state == literal("'claimed'"), pending.c.id == _HELD_FOR.scalar_subquery())
    .values(state=literal("'stopped'"), ended_at=bindparam("now"))
    .returning(pending.c.id)
)
_HOLD = Statement(
    update(pending)
    .where(_OF_SESSION, pending.c.state == _QUEUED)
    .values(state=_HELD, held_by=bindparam("stop_id"))
    .returning(pending.c.id, pending.c.raw)
)
_OF_STOP = (
    _OF_SESSION,
    pending.c.state == _HELD,
    pending.c.held_by == func.coalesce(bindparam("stop_id"), pending.c.held_by),
)
_RESUME = Statement(
    update(pending).where(*_OF_STOP).values(state=_QUEUED, held_by=null()).returning(pending.c.id)
)
_DROP = Statement(
    update(pending)
    .where(*_OF_STOP)
    .values(state=literal("'dropped'"), held_by=null(), ended_at=bindparam("now"))
    .returning(pending.c.id)
)
_KNOWN = Statement(
    select(pending.c.update_id, pending.c.id).where(
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.update_id.between(bindparam("low"), bindparam("high")),
    )
)
_newest = pending.alias("newest")
_FORGET_IDS = Statement(
    update(pending)
    .where(
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.update_id.in_(select(listed("update_ids").c.value)),
        pending.c.received_at < bindparam("before"),
        pending.c.id <= select(func.max(_newest.c.id)).scalar_subquery() - REDELIVERED_ROWS,
    )
    .values(update_id=-pending.c.id)
)
_PASS_ID_ON = Statement(
    update(pending).where(pending.c.id == bindparam("row_id")).values(update_id=-pending.c.id)
)
_TELL_STRANGER = Statement(
    insert(stranger)
    .values(bot_id=bindparam("bot_id"), user_id=bindparam("user_id"), told_at=bindparam("now"))
    .on_conflict_do_nothing()
)


class Stored(NamedTuple):
    """A message that is in the table now; `refused` when the session's queue was full."""

    message: Message
    row_id: RowId
    refused: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a /stop did: the row whose turn it ended, and the (id, raw) of those it holds."""

    running: RowId | None
    held: list[tuple[RowId, str]]


def receive(conn: Connection, messages: Sequence[Message], queue_max: int) -> list[Stored]:
    """(nothing) -> queued, or dropped where the session's queue is full; known updates are skipped.

    `messages` are of one bot, in arrival order.
    """
    known = _known(conn, messages)
    fresh = {m.update.update_id: m for m in messages if m.update.update_id not in known}
    if not fresh:
        return []
    refused = _over_limit(conn, fresh.values(), queue_max)
    now = time.time()
    _INSERT.many(conn, [_row(m, "dropped" if i in refused else "queued", now) for i, m in fresh.items()])
    row_ids = _known(conn, messages)
    return [Stored(message, row_ids[i], i in refused) for i, message in fresh.items()]


def forget_old_ids(conn: Connection, bot_id: BotId, arrivals: Iterable[Arrival]) -> None:
    """Give back the ids of updates so old that Telegram cannot send them again.

    After a quiet week it goes on at a random number: what has that number by now is another update. Old is
    what is so by the clock and by the rows since: a clock may jump, and an update must not run twice.
    """
    update_ids = json.dumps([arrival.update.update_id for arrival in arrivals])
    before = time.time() - REDELIVERED_SECONDS
    _FORGET_IDS(conn, bot_id=bot_id, update_ids=update_ids, before=before)


def pass_id_on(conn: Connection, row_id: RowId) -> None:
    """Leave the id of a command's update to the message that the words behind it make.

    It is unique, and whichever row has it knows the update when it comes again.
    """
    _PASS_ID_ON(conn, row_id=row_id)


def _known(conn: Connection, messages: Sequence[Message]) -> dict[int, RowId]:
    """Find the rows of those that are stored, by update id."""
    ids = [m.update.update_id for m in messages]
    return dict(_KNOWN(conn, bot_id=messages[0].update.bot_id, low=min(ids), high=max(ids)))


def _over_limit(conn: Connection, messages: Iterable[Message], queue_max: int) -> set[int]:
    """Name the update ids that find their session's queue full."""
    count = _waiting(conn, {message.address.session_key for message in messages})
    refused = set()
    for message in messages:
        key = message.address.session_key
        count[key] += 1
        # In an idle session the first one does not wait: it runs.
        if count[key] > queue_max and count[key] > queue_max + (not busy(conn, key)):
            refused.add(message.update.update_id)
    return refused


def store(conn: Connection, arrival: Message | Control | Unreadable, state: str) -> RowId | None:
    """(nothing) -> `state`, for what takes no place in a queue. None if the update is known."""
    result = _INSERT(conn, **_row(arrival, state, time.time()))
    return RowId(result.lastrowid) if result.rowcount else None


def _row(arrival: Message | Control | Unreadable, state: str, now: float) -> dict[str, object]:
    address = None if isinstance(arrival, Unreadable) else arrival.address
    return {
        "bot_id": arrival.update.bot_id,
        "update_id": arrival.update.update_id,
        "kind": _KINDS[type(arrival)],
        "state": state,
        "session_key": address and address.session_key,
        "chat_id": arrival.chat_id if isinstance(arrival, Unreadable) else arrival.address.chat_id,
        "topic_id": arrival.topic_id if isinstance(arrival, Unreadable) else arrival.address.topic_id,
        "user_id": address and address.user_id,
        "message_id": address and address.message_id,
        "received_at": now,
        "ended_at": None if state == "queued" else now,
        "raw": arrival.update.raw,
    }


def _waiting(conn: Connection, session_keys: Iterable[SessionKey]) -> dict[SessionKey, int]:
    """Count the queued rows of each session."""
    return dict(_WAITING(conn, session_keys=json.dumps(list(session_keys))))


def busy(conn: Connection, session_key: SessionKey) -> bool:
    """Find out whether a turn holds the session, be it one that was stopped and winds down."""
    return bool(_BUSY(conn, session_key=session_key).scalar())


def running(conn: Connection, session_key: SessionKey) -> RowId | None:
    """Find the row whose turn runs; None also while a stopped one winds down and still holds the session."""
    row_id: RowId | None = _RUNNING(conn, session_key=session_key).scalar()
    return row_id


def place(
    conn: Connection, bot_id: BotId, chat_id: ChatId, row_id: RowId
) -> tuple[SessionKey, int | None] | None:
    """Find the session and topic of a row, if it is of this chat."""
    row = _PLACE(conn, bot_id=bot_id, chat_id=chat_id, row_id=row_id).first()
    return (SessionKey(row.session_key), row.topic_id) if row else None


def stop(conn: Connection, session_key: SessionKey, stop_id: RowId) -> Stopped:
    """Claimed -> stopped, and queued -> held for all that was sent before the /stop.

    The guard stays: the turn's task still has to end, and may not have a neighbour until then.
    """
    running = _STOP_RUNNING(conn, session_key=session_key, now=time.time()).scalar()
    held = [(RowId(row.id), str(row.raw)) for row in _HOLD(conn, session_key=session_key, stop_id=stop_id)]
    return Stopped(running, sorted(held))


def resume(conn: Connection, session_key: SessionKey, stop_id: RowId | None) -> int:
    """Held -> queued: the rows of one /stop, or all of the session. Returns how many."""
    return len(_RESUME(conn, session_key=session_key, stop_id=stop_id).rows)


def drop(conn: Connection, session_key: SessionKey, stop_id: RowId | None) -> int:
    """Held -> dropped: the rows of one /stop, or all of the session. Returns how many."""
    dropped = _DROP(conn, session_key=session_key, stop_id=stop_id, now=time.time()).scalars()
    for row_id in dropped:
        outbox.answer(conn, row_id, [DROPPED])
    return len(dropped)


def tell_stranger(conn: Connection, owner: Owner, user_id: UserId) -> bool:
    """Note that this stranger is told; False if he was told before."""
    return _TELL_STRANGER(conn, bot_id=owner.bot_id, user_id=user_id, now=time.time()).rowcount == 1
