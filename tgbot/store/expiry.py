"""Keeps back answers that were unsent for so long that nobody expects them, and offers to show them."""

import time

from sqlalchemy import and_, bindparam, delete, exists, false, null, or_, select, update

from tgbot.model import BotId, ChatId, RowId
from tgbot.render import Text
from tgbot.store import outbox as outbox_of
from tgbot.store import sending, workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import shared
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.parts import COLUMNS, part_of
from tgbot.store.schema import outbox

EXPIRED = "too old to send"
SHOWN = Text("Here is the answer from earlier.")

_READY, _SENDING, _UNKNOWN = literal("'ready'"), literal("'sending'"), literal("'unknown'")
_UNSENT = outbox.c.state.in_([_READY, _SENDING, _UNKNOWN])
_other = outbox.alias("other")
_IS_OLD = (
    _UNSENT,
    outbox.c.state == _READY,
    outbox.c.bot_id == bindparam("bot_id"),
    outbox.c.kind.not_in([literal("'surplus'"), literal("'card'")]),
    outbox.c.ready_at < bindparam("before"),
)
_OLD = Statement(select(outbox.c.chat_id).where(*_IS_OLD).distinct())
_EXPIRE = Statement(
    update(outbox)
    .where(
        *_IS_OLD,
        ~exists().where(
            _other.c.pending_id == outbox.c.pending_id,
            or_(
                # Not the rest of an answer that is partly on screen, or may be: it is completed.
                and_(
                    _other.c.part >= literal("0"),
                    _other.c.part < outbox.c.part,
                    _other.c.state.in_([literal("'sent'"), _SENDING, _UNKNOWN]),
                ),
                # Nor a beginning whose rest is young, nor the offer to show what was kept back.
                and_(_other.c.state == _READY, _other.c.ready_at >= bindparam("before")),
                and_(_other.c.state == literal("'parked'"), _other.c.error == literal(f"'{EXPIRED}'")),
            ),
        ),
    )
    .values(state=literal("'parked'"), error=literal(f"'{EXPIRED}'"))
    .returning(*COLUMNS)
)
_SHOW_EXPIRED = Statement(
    update(outbox)
    .where(
        outbox.c.pending_id == bindparam("row_id"),
        outbox.c.state == literal("'parked'"),
        outbox.c.error == literal(f"'{EXPIRED}'"),
    )
    .values(state=_READY, ready_at=bindparam("now"), error=null())
)
_RESEND = Statement(
    update(outbox)
    .where(outbox.c.pending_id == bindparam("row_id"), outbox.c.state == literal("'parked'"))
    .values(state=_READY, ready_at=bindparam("now"), tries=literal("0"), reaction_due=false(), error=null())
    .returning(outbox.c.chat_id)
)
# It says that something was put aside, which is not so any more.
_FORGET_NOTE = Statement(
    delete(outbox).where(
        outbox.c.pending_id == bindparam("row_id"),
        outbox.c.state == literal("'parked'"),
        outbox.c.text == literal(f"'{outbox_of.CANNOT_SHOW}'"),
    )
)


def expire(conn: Connection, bot_id: BotId, before: float) -> list[ChatId]:
    """Ready -> parked for answers from before this time (Unix time in seconds), with an offer to show them.

    An answer that is partly on screen is completed. Returns the chats that something expired in.
    """
    if shared(conn):
        chats = _OLD(conn, bot_id=bot_id, before=before).scalars()
        workers.lock_all(conn, [workers.Chat(bot_id, chat_id) for chat_id in chats])
    expired = [part_of(row) for row in _EXPIRE(conn, bot_id=bot_id, before=before)]
    for part in expired:
        if part.message_id is not None:
            sending.detach(conn, part)
    for row_id in dict.fromkeys(part.row_id for part in expired):
        outbox_of.offer_late(conn, row_id)
    return list({part.chat_id for part in expired})


def show_expired(conn: Connection, row_id: RowId) -> bool:
    """Parked -> ready: show what had expired after all. False if there is nothing of that kind."""
    return _SHOW_EXPIRED(conn, row_id=row_id, now=time.time()).rowcount > 0


def resend(conn: Connection, row_id: RowId) -> ChatId | None:
    """Parked -> ready: try again to show all of an answer that was put aside, for whatever reason.

    Returns the chat that it is for, None if there is nothing of that kind.
    """
    _FORGET_NOTE(conn, row_id=row_id)
    chat_id: ChatId | None = _RESEND(conn, row_id=row_id, now=time.time()).scalar()
    if chat_id is not None:
        outbox_of.rewrite(conn, row_id, chat_id, f"show:{row_id}", SHOWN)
    return chat_id
