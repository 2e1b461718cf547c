"""What goes out: the parts of every answer, from placeholder to sent or parked."""

import json
import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, case, null, select, update
from sqlalchemy.dialects.sqlite import insert

from tgbot.db import Connection
from tgbot.model import Address, BotId, Button, ChatId, MessageId, Part, PartId, RowId
from tgbot.render import Text
from tgbot.schema import outbox
from tgbot.statement import Statement, literal

_READY = literal("'ready'")
_PART = outbox.c.id == bindparam("part_id")
_COLUMNS = (
    *("bot_id", "pending_id", "part", "state", "chat_id", "topic_id"),
    *("text", "entities", "buttons", "ready_at"),
)
_UNSENT = outbox.c.state.in_([literal("'open'"), _READY])

_OPEN = Statement(
    insert(outbox)
    .values(
        bot_id=bindparam("bot_id"),
        pending_id=bindparam("row_id"),
        part=literal("0"),
        state=literal("'open'"),
        chat_id=bindparam("chat_id"),
        topic_id=bindparam("topic_id"),
        reply_to=bindparam("reply_to"),
    )
    .on_conflict_do_nothing(index_elements=["pending_id", "part"])
)
_INSERT = Statement(insert(outbox).values({column: bindparam(column) for column in _COLUMNS}))
_MAKE_READY = (
    update(outbox)
    .where(outbox.c.pending_id == bindparam("row_id"), outbox.c.part == literal("0"))
    .values(
        state=_READY,
        text=bindparam("text"),
        entities=bindparam("entities"),
        buttons=bindparam("buttons"),
        ready_at=bindparam("now"),
        error=null(),
    )
)
_FIRST = Statement(_MAKE_READY.returning(outbox.c.bot_id, outbox.c.chat_id, outbox.c.topic_id))
_REWRITE = Statement(
    _MAKE_READY.where(outbox.c.chat_id == bindparam("chat_id"), outbox.c.buttons.is_not(None))
)
_NEXT = Statement(
    select(
        outbox.c.id.label("part_id"),
        outbox.c.pending_id.label("row_id"),
        outbox.c.part.label("number"),
        outbox.c.chat_id,
        outbox.c.topic_id,
        outbox.c.reply_to,
        outbox.c.message_id,
        outbox.c.text,
        outbox.c.entities,
        outbox.c.buttons,
        outbox.c.ready_at,
    )
    .where(outbox.c.chat_id == bindparam("chat_id"), outbox.c.bot_id == bindparam("bot_id"), _UNSENT)
    .order_by(outbox.c.id)
    .limit(literal("1"))
)
_CHATS = Statement(
    select(outbox.c.chat_id)
    .where(outbox.c.bot_id == bindparam("bot_id"), _UNSENT)
    .distinct()
    .limit(bindparam("most"))
)
_PLACED = Statement(
    update(outbox)
    .where(_PART)
    .values(
        message_id=bindparam("message_id"),
        state=case((outbox.c.state == literal("'open'"), literal("'placed'")), else_=outbox.c.state),
    )
)
_SENT = Statement(
    update(outbox)
    .where(_PART, outbox.c.state == _READY, outbox.c.ready_at == bindparam("ready_at"))
    .values(state=literal("'sent'"))
)
_FORGET = Statement(update(outbox).where(_PART).values(message_id=null()))
_PARK = Statement(update(outbox).where(_PART).values(state=literal("'parked'"), error=bindparam("error")))
_EXPIRE = Statement(
    update(outbox)
    .where(_UNSENT, outbox.c.state == _READY, outbox.c.ready_at < bindparam("before"))
    .values(state=literal("'parked'"), error=literal("'too old to send'"))
)


class Home(NamedTuple):
    """Whose outbox, and where in Telegram a message goes."""

    bot_id: BotId
    chat_id: ChatId
    topic_id: int | None = None


def open_answer(conn: Connection, bot_id: BotId, row_id: RowId, address: Address) -> None:
    """(nothing) -> open: want a placeholder for the answer to a row; a later attempt reuses it."""
    _OPEN(
        conn,
        bot_id=bot_id,
        row_id=row_id,
        chat_id=address.chat_id,
        topic_id=address.topic_id,
        reply_to=address.message_id,
    )


def answer(conn: Connection, row_id: RowId, texts: Sequence[Text], buttons: Sequence[Button] = ()) -> None:
    """Open or placed -> ready: the final text of a row's answer; buttons stand under its first part."""
    first, *rest = texts
    home = _FIRST(conn, row_id=row_id, now=time.time(), **_content(first, buttons)).first()
    for number, text in enumerate(rest, start=1):
        _insert(conn, Home(*home), row_id, number, text)


def reply(conn: Connection, home: Home, row_id: RowId, text: Text, buttons: Sequence[Button] = ()) -> None:
    """(nothing) -> ready: an answer that no turn was run for."""
    _insert(conn, home, row_id, 0, text, buttons)


def rewrite(conn: Connection, row_id: RowId, chat_id: ChatId, text: Text) -> None:
    """Sent -> ready: a button was pressed, so its message says what came of it and loses its buttons.

    Nothing happens if that row has no message in this chat: a button's data can be forged.
    """
    _REWRITE(conn, row_id=row_id, chat_id=chat_id, now=time.time(), **_content(text, ()))


def _insert(  # noqa: PLR0913, PLR0917 - the columns of one row
    conn: Connection, home: Home, row_id: RowId, number: int, text: Text, buttons: Sequence[Button] = ()
) -> None:
    _INSERT(
        conn,
        **home._asdict(),
        pending_id=row_id,
        part=number,
        state="ready",
        ready_at=time.time(),
        **_content(text, buttons),
    )


def _content(text: Text, buttons: Sequence[Button]) -> dict[str, str | None]:
    row = [{"text": button.label, "callback_data": button.data} for button in buttons]
    return {
        "text": text.text,
        "entities": json.dumps(text.entities) if text.entities else None,
        "buttons": json.dumps({"inline_keyboard": [row]}) if row else None,
    }


def chats(conn: Connection, bot_id: BotId, most: int) -> list[ChatId]:
    """Name up to `most` chats that have something unsent."""
    return list(_CHATS(conn, bot_id=bot_id, most=most).scalars())


def next_part(conn: Connection, bot_id: BotId, chat_id: ChatId) -> Part | None:
    """Find the oldest part of a chat that wants a request."""
    row = _NEXT(conn, bot_id=bot_id, chat_id=chat_id).first()
    return Part(**row._asdict()) if row else None


def placed(conn: Connection, part_id: PartId, message_id: MessageId) -> None:
    """Open -> placed: the placeholder's message id, committed before any text goes into it."""
    _PLACED(conn, part_id=part_id, message_id=message_id)


def sent(conn: Connection, part: Part) -> None:
    """Ready -> sent, unless the text was rewritten while it was on its way."""
    _SENT(conn, part_id=part.part_id, ready_at=part.ready_at)


def forget_message(conn: Connection, part_id: PartId) -> None:
    """Ready -> ready: the user deleted the message, so it has to be placed anew."""
    _FORGET(conn, part_id=part_id)


def park(conn: Connection, part_id: PartId, error: str) -> None:
    """Open or ready -> parked: Telegram refuses it for good."""
    _PARK(conn, part_id=part_id, error=error)


def expire(conn: Connection, age_seconds: float) -> int:
    """Ready -> parked for what got too old to be sent without a word. Returns how many."""
    return _EXPIRE(conn, before=time.time() - age_seconds).rowcount
