"""What goes out: the parts of every answer, from placeholder to sent or parked."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, case, func, null, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from tgbot.db import Connection
from tgbot.model import Address, BotId, Button, ChatId, File, MessageId, Part, PartId, RowId
from tgbot.render import Text
from tgbot.schema import outbox
from tgbot.statement import Statement, literal

_READY = literal("'ready'")
_REPLY = literal("'reply'")
_PART = outbox.c.id == bindparam("part_id")
_FIRST_PART = (outbox.c.pending_id == bindparam("row_id"), outbox.c.part == literal("0"))
_UNSENT = outbox.c.state.in_([literal("'open'"), _READY])
_CONTENT = ("kind", "text", "entities", "buttons", "file_name", "file", "ready_at")

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
_INSERT = Statement(
    insert(outbox).values(
        {
            column: bindparam(column)
            for column in ("bot_id", "pending_id", "part", "state", "chat_id", "topic_id", *_CONTENT)
        }
    )
)
_MAKE_READY = update(outbox).values(
    {column: bindparam(column) for column in _CONTENT} | {"state": _READY, "error": null()}
)
_ANSWER = Statement(
    _MAKE_READY.where(*_FIRST_PART, outbox.c.ready_at.is_(None)).returning(
        outbox.c.bot_id, outbox.c.chat_id, outbox.c.topic_id
    )
)
_REWRITE = Statement(
    _MAKE_READY.where(*_FIRST_PART, outbox.c.chat_id == bindparam("chat_id"), outbox.c.buttons.is_not(None))
)
_CHANGE = Statement(_MAKE_READY.where(_PART))
_NEXT = Statement(
    select(
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
    )
    .where(
        outbox.c.chat_id == bindparam("chat_id"),
        outbox.c.bot_id == bindparam("bot_id"),
        _UNSENT,
        or_(outbox.c.state == _READY, bindparam("placeholders")),
    )
    .order_by(outbox.c.kind != _REPLY, outbox.c.id)
    .limit(literal("1"))
)
_CHATS = Statement(
    select(outbox.c.chat_id)
    .where(outbox.c.bot_id == bindparam("bot_id"), outbox.c.chat_id > bindparam("after"), _UNSENT)
    .distinct()
    .order_by(outbox.c.chat_id)
    .limit(bindparam("most"))
)
_LAST_NUMBER = Statement(select(func.max(outbox.c.part)).where(outbox.c.pending_id == bindparam("row_id")))
_MESSAGE = Statement(select(outbox.c.message_id).where(*_FIRST_PART))
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
    .values(state=literal("'sent'"), message_id=bindparam("message_id"))
)
_SHOW_AGAIN = Statement(
    update(outbox)
    .where(*_FIRST_PART, outbox.c.state == literal("'sent'"), outbox.c.kind != literal("'voice'"))
    .values(state=_READY)
)
_TRY = Statement(update(outbox).where(_PART).values(tries=bindparam("tries")))
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


@dataclass(frozen=True, slots=True)
class Rich:
    """An answer to be shown as one rich message (Bot API 10.1), or as texts if the server won't."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Ping:
    """A message that says the answer is there: an edit pushes no notification."""

    text: str


Content = Text | File | Rich | Ping


def open_answer(conn: Connection, bot_id: BotId, row_id: RowId, address: Address, *, quote: bool) -> None:
    """(nothing) -> open: want a placeholder for the answer to a row; a later attempt reuses it.

    `quote`: other messages lie between the question and its answer, so the answer shall point at it.
    """
    _OPEN(
        conn,
        bot_id=bot_id,
        row_id=row_id,
        chat_id=address.chat_id,
        topic_id=address.topic_id,
        reply_to=address.message_id if quote else None,
    )


def answer(conn: Connection, row_id: RowId, contents: Sequence[Content]) -> None:
    """Open or placed -> ready: what a row's turn came to, in order. The first ending has the word."""
    first, *rest = contents
    home = _ANSWER(conn, row_id=row_id, **_content(first)).first()
    if home is None:
        return
    for number, content in enumerate(rest, start=1):
        _insert(conn, Home(*home), row_id, number, _content(content))


def reply(conn: Connection, home: Home, row_id: RowId, text: Text, buttons: Sequence[Button] = ()) -> None:
    """(nothing) -> ready: what a control came to, which goes before all else."""
    _insert(conn, home, row_id, 0, _content(text, buttons) | {"kind": "reply"})


def notice(conn: Connection, home: Home, row_id: RowId, text: Text) -> None:
    """(nothing) -> ready: what else no turn was run for; it waits its turn, so a flood delays no answer."""
    _insert(conn, home, row_id, 0, _content(text))


def rewrite(conn: Connection, row_id: RowId, chat_id: ChatId, text: Text) -> None:
    """Sent -> ready: a button was pressed, so its message says what came of it and loses its buttons.

    Nothing happens if that row has no message with buttons in this chat: a button's data can be forged.
    """
    _REWRITE(conn, row_id=row_id, chat_id=chat_id, **(_content(text) | {"kind": "reply"}))


def fall_back(conn: Connection, bot_id: BotId, part: Part, plainer: Sequence[Content]) -> None:
    """Ready -> ready: what the server refuses becomes something plainer."""
    home = Home(bot_id, part.chat_id, part.topic_id)
    _CHANGE(conn, part_id=part.part_id, **_content(plainer[0]))
    behind = 1 + _LAST_NUMBER(conn, row_id=part.row_id).scalar()
    for number, content in enumerate(plainer[1:], start=behind):
        _insert(conn, home, part.row_id, number, _content(content))


def chats(conn: Connection, bot_id: BotId, after: ChatId, most: int) -> list[ChatId]:
    """Name up to `most` chats that have something unsent, in the order of their ids, behind `after`."""
    return _CHATS(conn, bot_id=bot_id, after=after, most=most).scalars()


def next_part(conn: Connection, bot_id: BotId, chat_id: ChatId, *, placeholders: bool = True) -> Part | None:
    """Find what a chat wants sent next: control replies first, then in order.

    Without `placeholders`, a part whose content is still to come wants nothing.
    """
    row = _NEXT(conn, bot_id=bot_id, chat_id=chat_id, placeholders=placeholders).first()
    return Part(**row._asdict()) if row else None


def message_of(conn: Connection, row_id: RowId) -> MessageId | None:
    """Find the message on screen that holds, or will hold, the answer to a row."""
    message_id: MessageId | None = _MESSAGE(conn, row_id=row_id).scalar()
    return message_id


def placed(conn: Connection, part_id: PartId, message_id: MessageId) -> None:
    """Open -> placed: the placeholder's message id, committed before any text goes into it."""
    _PLACED(conn, part_id=part_id, message_id=message_id)


def sent(conn: Connection, part: Part) -> None:
    """Ready -> sent, unless the content was rewritten while it was on its way."""
    _SENT(conn, part_id=part.part_id, ready_at=part.ready_at, message_id=part.message_id)


def show_again(conn: Connection, row_id: RowId) -> None:
    """Sent -> ready: an older edit may have arrived late, over an answer that an edit made."""
    _SHOW_AGAIN(conn, row_id=row_id)


def trying(conn: Connection, part_id: PartId, tries: int) -> None:
    """Note, before it goes out, the n-th try of what can not be made by an edit."""
    _TRY(conn, part_id=part_id, tries=tries)


def forget_message(conn: Connection, part_id: PartId) -> None:
    """Ready -> ready: the user deleted the message, so it has to be placed anew."""
    _FORGET(conn, part_id=part_id)


def park(conn: Connection, part_id: PartId, error: str) -> None:
    """Open or ready -> parked: Telegram refuses it for good."""
    _PARK(conn, part_id=part_id, error=error)


def expire(conn: Connection, age_seconds: float) -> int:
    """Ready -> parked for what got too old to be sent without a word. Returns how many."""
    return _EXPIRE(conn, before=time.time() - age_seconds).rowcount


def _insert(conn: Connection, home: Home, row_id: RowId, number: int, content: dict[str, object]) -> None:
    _INSERT(conn, **home._asdict(), pending_id=row_id, part=number, state="ready", **content)


def _content(content: Content, buttons: Sequence[Button] = ()) -> dict[str, object]:
    columns: dict[str, object] = dict.fromkeys(_CONTENT) | {"ready_at": time.time()}
    match content:
        case Text():
            row = [{"text": button.label, "callback_data": button.data} for button in buttons]
            return columns | {
                "kind": "text",
                "text": content.text,
                "entities": json.dumps(content.entities) if content.entities else None,
                "buttons": json.dumps({"inline_keyboard": [row]}) if row else None,
            }
        case File():
            return columns | {
                "kind": content.kind,
                "text": content.caption or None,
                "file_name": content.name,
                "file": content.content,
            }
        case Rich():
            return columns | {"kind": "rich", "text": content.markdown}
        case Ping():
            return columns | {"kind": "ping", "text": content.text}
