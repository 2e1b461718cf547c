"""Reads and records the sending of the outbox: which part is next, and what became of it."""

import time
from collections.abc import Sequence

from sqlalchemy import and_, bindparam, case, exists, func, null, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from tgbot.model import BotId, ChatId, MessageId, Part, PartId, RowId
from tgbot.render import Text
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, literal
from tgbot.store.outbox import LATE_SECONDS
from tgbot.store.schema import outbox

TOO_OLD = Text(
    "I could not send this answer for so long that I kept it back. Ask again, if you still want it."
)

_READY = literal("'ready'")
_PART = outbox.c.id == bindparam("part_id")
_FIRST_PART = (outbox.c.pending_id == bindparam("row_id"), outbox.c.part == literal("0"))
_REPLY = literal("'reply'")
_UNSENT = outbox.c.state.in_([literal("'open'"), _READY])
_PARTS = select(
    outbox.c.id.label("part_id"),
    outbox.c.pending_id.label("row_id"),
    outbox.c.part.label("number"),
    outbox.c.kind,
    outbox.c.state,
    outbox.c.chat_id,
    outbox.c.topic_id,
    outbox.c.reply_to,
    outbox.c.message_id,
    outbox.c.text,
    outbox.c.entities,
    outbox.c.buttons,
    outbox.c.file_name,
    outbox.c.file,
    outbox.c.ready_at,
    outbox.c.tries,
    outbox.c.album,
)
_NEXT = Statement(
    _PARTS.where(
        outbox.c.chat_id == bindparam("chat_id"),
        outbox.c.bot_id == bindparam("bot_id"),
        _UNSENT,
        or_(outbox.c.state == _READY, bindparam("placeholders")),
    )
    .order_by(outbox.c.kind != _REPLY, func.coalesce(outbox.c.first_id, outbox.c.id), outbox.c.part)
    .limit(literal("1"))
)
_ALBUM = (
    outbox.c.pending_id == bindparam("row_id"),
    outbox.c.album == bindparam("album"),
    outbox.c.state == _READY,
)
_ALBUM_OF = Statement(_PARTS.where(*_ALBUM).order_by(outbox.c.part))
_TAKE_APART = Statement(update(outbox).where(*_ALBUM).values(album=null(), tries=bindparam("tries")))
_CHATS = Statement(
    select(outbox.c.chat_id)
    .where(outbox.c.bot_id == bindparam("bot_id"), outbox.c.chat_id > bindparam("after"), _UNSENT)
    .distinct()
    .order_by(outbox.c.chat_id)
    .limit(bindparam("most"))
)
_MESSAGE = Statement(select(outbox.c.message_id).where(*_FIRST_PART))
# In the chat that it was sent to: the part may have moved meanwhile, and the id means another message there.
_PART_HERE = and_(_PART, outbox.c.chat_id == bindparam("chat_id"))
_PLACED = Statement(
    update(outbox)
    .where(_PART_HERE)
    .values(
        message_id=bindparam("message_id"),
        state=case((outbox.c.state == literal("'open'"), literal("'placed'")), else_=outbox.c.state),
    )
)
_SENT = Statement(
    update(outbox)
    .where(_PART_HERE, outbox.c.state == _READY, outbox.c.ready_at == bindparam("ready_at"))
    .values(state=literal("'sent'"), message_id=bindparam("message_id"))
)
_MARK_UNCERTAIN = Statement(
    update(outbox).where(*_FIRST_PART).values(uncertain_until=bindparam("uncertain_until"))
)
_WAS_SENT = and_(
    outbox.c.state == literal("'sent'"), outbox.c.kind != literal("'voice'"), outbox.c.album.is_(None)
)
_SHOW_UNCERTAIN = Statement(
    update(outbox)
    .where(outbox.c.uncertain_until <= bindparam("now"), outbox.c.bot_id == bindparam("bot_id"))
    .values(
        uncertain_until=null(),
        state=case((_WAS_SENT, _READY), else_=outbox.c.state),
        ready_at=case((_WAS_SENT, bindparam("now")), else_=outbox.c.ready_at),
    )
)
_TRY = Statement(update(outbox).where(_PART).values(tries=bindparam("tries")))
_FORGET = Statement(update(outbox).where(_PART).values(message_id=null()))
_PARK = Statement(
    update(outbox)
    .where(or_(_PART, and_(*_ALBUM)))
    .values(state=literal("'parked'"), error=bindparam("error"))
)
_MARK_UNSENT = Statement(
    update(outbox)
    .where(_UNSENT, outbox.c.state == _READY, outbox.c.message_id.is_not(None))
    .values(uncertain_until=bindparam("uncertain_until"))
)
_other = outbox.alias()
_TOO_OLD = (
    _UNSENT,
    outbox.c.state == _READY,
    outbox.c.ready_at < bindparam("before"),
    # Not the rest of an answer that is partly on screen: it is completed.
    ~exists().where(_other.c.id == outbox.c.first_id, _other.c.state == literal("'sent'")),
)
_SAY_TOO_OLD = Statement(
    insert(outbox).from_select(
        [
            *("bot_id", "pending_id", "part", "first_id", "state", "chat_id", "topic_id", "message_id"),
            *("text", "ready_at"),
        ],
        select(
            outbox.c.bot_id,
            outbox.c.pending_id,
            select(func.max(_other.c.part) + literal("1"))
            .where(_other.c.pending_id == outbox.c.pending_id)
            .scalar_subquery(),
            outbox.c.id,
            _READY,
            *(outbox.c.chat_id, outbox.c.topic_id, outbox.c.message_id),
            *(bindparam("text"), bindparam("now")),
        ).where(*_TOO_OLD, outbox.c.part == literal("0"), outbox.c.message_id.is_not(None)),
    )
)
_EXPIRE = Statement(
    update(outbox).where(*_TOO_OLD).values(state=literal("'parked'"), error=literal("'too old to send'"))
)


def chats(conn: Connection, bot_id: BotId, after: ChatId, most: int) -> list[ChatId]:
    """List up to `most` chats that have something unsent, in the order of their ids, from behind `after`."""
    return _CHATS(conn, bot_id=bot_id, after=after, most=most).scalars()


def next_part(conn: Connection, bot_id: BotId, chat_id: ChatId, *, placeholders: bool = True) -> Part | None:
    """Find the part to send next in a chat: replies to commands first, then in order.

    Without `placeholders`, parts whose content is still to come are skipped.
    """
    row = _NEXT(conn, bot_id=bot_id, chat_id=chat_id, placeholders=placeholders).first()
    return Part(**row._asdict()) if row else None


def message_of(conn: Connection, row_id: RowId) -> MessageId | None:
    """Find the message that shows, or will show, the answer to a row; None if none is on screen."""
    message_id: MessageId | None = _MESSAGE(conn, row_id=row_id).scalar()
    return message_id


def placed(conn: Connection, part: Part, message_id: MessageId) -> None:
    """Open -> placed: store the placeholder's message id, before any text is edited into it."""
    _PLACED(conn, part_id=part.part_id, chat_id=part.chat_id, message_id=message_id)


def sent(conn: Connection, part: Part) -> None:
    """Ready -> sent, unless the content was rewritten during the request."""
    where = {"part_id": part.part_id, "chat_id": part.chat_id}
    _SENT(conn, **where, ready_at=part.ready_at, message_id=part.message_id)


def all_sent(conn: Connection, parts: Sequence[Part]) -> None:
    """Ready -> sent for all parts that one request has shown."""
    for part in parts:
        sent(conn, part)


def mark_uncertain(conn: Connection, row_id: RowId) -> None:
    """Note that a preview of this answer may still arrive within LATE_SECONDS."""
    _MARK_UNCERTAIN(conn, row_id=row_id, uncertain_until=time.time() + LATE_SECONDS)


def mark_unsent_uncertain(conn: Connection) -> None:
    """Note the same for every unsent answer: a preview by an earlier process may still be on its way."""
    _MARK_UNSENT(conn, uncertain_until=time.time() + LATE_SECONDS)


def show_uncertain(conn: Connection, bot_id: BotId) -> None:
    """Sent -> ready for what a late preview may have overwritten by now; clears all marks that are due."""
    _SHOW_UNCERTAIN(conn, bot_id=bot_id, now=time.time())


def trying(conn: Connection, part_id: PartId, tries: int) -> None:
    """Note, before it is sent, the n-th try of a part that cannot be made by an edit."""
    _TRY(conn, part_id=part_id, tries=tries)


def forget_message(conn: Connection, part_id: PartId) -> None:
    """Ready -> ready: the user deleted the message, so it has to be placed anew."""
    _FORGET(conn, part_id=part_id)


def park(conn: Connection, part: Part, error: str) -> None:
    """Open or ready -> parked, because Telegram refuses it for good; an album as a whole."""
    _PARK(conn, part_id=part.part_id, row_id=part.row_id, album=part.album, error=error)


def album_of(conn: Connection, part: Part) -> list[Part]:
    """List the parts of the album that begins with this one."""
    return [Part(**row._asdict()) for row in _ALBUM_OF(conn, row_id=part.row_id, album=part.album)]


def take_apart(conn: Connection, part: Part) -> None:
    """Ready -> ready: the server refuses this album, so each of its files is sent alone.

    Each keeps the number of tries, so that its caption says if it may be a duplicate.
    """
    _TAKE_APART(conn, row_id=part.row_id, album=part.album, tries=part.tries)


def expire(conn: Connection, age_seconds: float) -> int:
    """Ready -> parked for parts that are too old to be sent without warning. Returns how many.

    A placeholder on screen then says so; an answer that is partly on screen is completed.
    """
    now = time.time()
    _SAY_TOO_OLD(conn, before=now - age_seconds, text=TOO_OLD.text, now=now)
    return _EXPIRE(conn, before=now - age_seconds).rowcount
