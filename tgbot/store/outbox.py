"""What goes out: the parts of every answer, from placeholder to sent or parked."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, exists, func, null, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from tgbot.db import Connection
from tgbot.model import Address, Album, BotId, Button, ChatId, File, MessageId, Part, PartId, RowId
from tgbot.render import Text
from tgbot.schema import outbox
from tgbot.statement import Statement, literal

TOO_OLD = Text(
    "I could not send this answer for so long that I kept it back. Ask again, if you still want it."
)
LATE_SECONDS = 60.0  # an edit whose outcome is unknown has arrived by then, or never will

_READY = literal("'ready'")
_REPLY = literal("'reply'")
_PART = outbox.c.id == bindparam("part_id")
_FIRST_PART = (outbox.c.pending_id == bindparam("row_id"), outbox.c.part == literal("0"))
_UNSENT = outbox.c.state.in_([literal("'open'"), _READY])
_CONTENT = ("kind", "text", "entities", "buttons", "file_name", "file", "album", "ready_at")

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
    # There already: what the earlier attempt was about to show may still arrive.
    .on_conflict_do_update(
        index_elements=["pending_id", "part"], set_={"doubted_until": bindparam("doubted_until")}
    )
)
_INSERT = Statement(
    insert(outbox).values(
        {
            column: bindparam(column)
            for column in (
                *("bot_id", "pending_id", "part", "first_id", "state", "chat_id", "topic_id"),
                *_CONTENT,
            )
        }
    )
)
_MAKE_READY = update(outbox).values(
    {column: bindparam(column) for column in _CONTENT} | {"state": _READY, "error": null()}
)
_ANSWER = Statement(_MAKE_READY.where(*_FIRST_PART, outbox.c.ready_at.is_(None)))
_FIRST = Statement(
    select(outbox.c.bot_id, outbox.c.chat_id, outbox.c.topic_id, outbox.c.id).where(*_FIRST_PART)
)
_REWRITE = Statement(
    _MAKE_READY.where(*_FIRST_PART, outbox.c.chat_id == bindparam("chat_id"), outbox.c.buttons.is_not(None))
)
_CHANGE = Statement(_MAKE_READY.where(_PART))
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
_LEAD = Statement(
    select(func.min(outbox.c.id).label("first_id"), func.max(outbox.c.part).label("last")).where(
        outbox.c.pending_id == bindparam("row_id")
    )
)
_MAKE_ROOM = Statement(
    update(outbox)
    .where(outbox.c.pending_id == bindparam("row_id"), outbox.c.part > bindparam("number"))
    .values(part=outbox.c.part + bindparam("room"))
)
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
_DOUBT = Statement(update(outbox).where(*_FIRST_PART).values(doubted_until=bindparam("doubted_until")))
_WAS_SENT = and_(
    outbox.c.state == literal("'sent'"), outbox.c.kind != literal("'voice'"), outbox.c.album.is_(None)
)
_SHOW_DOUBTED = Statement(
    update(outbox)
    .where(outbox.c.doubted_until <= bindparam("now"), outbox.c.bot_id == bindparam("bot_id"))
    .values(
        doubted_until=null(),
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
_DOUBT_READY = Statement(
    update(outbox)
    .where(_UNSENT, outbox.c.state == _READY, outbox.c.message_id.is_not(None))
    .values(doubted_until=bindparam("doubted_until"))
)
_other = outbox.alias()
_TOO_OLD = (
    _UNSENT,
    outbox.c.state == _READY,
    outbox.c.ready_at < bindparam("before"),
    # Not the rest of what is on screen in part: an answer does not stop in the middle.
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


OnePart = Text | File | Rich | Ping
Content = OnePart | Album


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
        doubted_until=time.time() + LATE_SECONDS,
    )


def answer(conn: Connection, row_id: RowId, contents: Sequence[Content]) -> None:
    """Open or placed -> ready: what a row's turn came to, in order. The first ending has the word."""
    first, *rest = _numbered(contents)
    if not _ANSWER(conn, row_id=row_id, **first).rowcount or not rest:
        return
    *home, first_id = _FIRST(conn, row_id=row_id).first()
    for number, content in enumerate(rest, start=1):
        _insert(conn, Home(*home), row_id, content, number, first_id)


def reply(conn: Connection, home: Home, row_id: RowId, text: Text, buttons: Sequence[Button] = ()) -> None:
    """(nothing) -> ready: what a control came to, which goes before all else."""
    _insert(conn, home, row_id, _content(text, buttons) | {"kind": "reply"})


def notice(conn: Connection, home: Home, row_id: RowId, text: Text) -> None:
    """(nothing) -> ready: what else no turn was run for; it waits its turn, so a flood delays no answer."""
    _insert(conn, home, row_id, _content(text))


def rewrite(conn: Connection, row_id: RowId, chat_id: ChatId, text: Text) -> None:
    """Sent -> ready: a button was pressed, so its message says what came of it and loses its buttons.

    Nothing happens if that row has no message with buttons in this chat: a button's data can be forged.
    """
    _REWRITE(conn, row_id=row_id, chat_id=chat_id, **(_content(text) | {"kind": "reply"}))


def fall_back(conn: Connection, bot_id: BotId, part: Part, plainer: Sequence[OnePart]) -> None:
    """Ready -> ready: what the server refuses becomes something plainer, before what follows it."""
    _CHANGE(conn, part_id=part.part_id, **_content(plainer[0]))
    if len(plainer) == 1:
        return
    first_id, last = _LEAD(conn, row_id=part.row_id).first()
    # By at least so much that no number is taken twice, not even while they move.
    _MAKE_ROOM(conn, row_id=part.row_id, number=part.number, room=max(last - part.number, len(plainer) - 1))
    home = Home(bot_id, part.chat_id, part.topic_id)
    for number, content in enumerate(plainer[1:], start=part.number + 1):
        _insert(conn, home, part.row_id, _content(content), number, first_id)


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


def all_sent(conn: Connection, parts: Sequence[Part]) -> None:
    """Ready -> sent for all that one request has shown."""
    for part in parts:
        sent(conn, part)


def doubt(conn: Connection, row_id: RowId) -> None:
    """Note that a preview of this answer may still arrive, LATE_SECONDS from now at most."""
    _DOUBT(conn, row_id=row_id, doubted_until=time.time() + LATE_SECONDS)


def doubt_unsent(conn: Connection) -> None:
    """Note the same of every answer that waits: an earlier life may have left a preview on its way."""
    _DOUBT_READY(conn, doubted_until=time.time() + LATE_SECONDS)


def show_doubted(conn: Connection, bot_id: BotId) -> None:
    """Sent -> ready for what a late preview may have overwritten; what is not sent yet needs it no more."""
    _SHOW_DOUBTED(conn, bot_id=bot_id, now=time.time())


def trying(conn: Connection, part_id: PartId, tries: int) -> None:
    """Note, before it goes out, the n-th try of what can not be made by an edit."""
    _TRY(conn, part_id=part_id, tries=tries)


def forget_message(conn: Connection, part_id: PartId) -> None:
    """Ready -> ready: the user deleted the message, so it has to be placed anew."""
    _FORGET(conn, part_id=part_id)


def park(conn: Connection, part: Part, error: str) -> None:
    """Open or ready -> parked: Telegram refuses it for good, an album as a whole."""
    _PARK(conn, part_id=part.part_id, row_id=part.row_id, album=part.album, error=error)


def album_of(conn: Connection, part: Part) -> list[Part]:
    """List the parts of an album, of which this one is the first."""
    return [Part(**row._asdict()) for row in _ALBUM_OF(conn, row_id=part.row_id, album=part.album)]


def take_apart(conn: Connection, part: Part) -> None:
    """Ready -> ready: the server refuses this as an album, so each of its files goes alone.

    If the first try may have shown them, each says so.
    """
    _TAKE_APART(conn, row_id=part.row_id, album=part.album, tries=part.tries)


def expire(conn: Connection, age_seconds: float) -> int:
    """Ready -> parked for what got too old to be sent without a word. Returns how many.

    A placeholder that is on screen for it says so; an answer that is on screen in part is completed.
    """
    now = time.time()
    _SAY_TOO_OLD(conn, before=now - age_seconds, text=TOO_OLD.text, now=now)
    return _EXPIRE(conn, before=now - age_seconds).rowcount


def _insert(  # noqa: PLR0913, PLR0917 - what, for whom, and where in the answer
    conn: Connection,
    home: Home,
    row_id: RowId,
    content: dict[str, object],
    number: int = 0,
    first_id: PartId | None = None,
) -> None:
    place = {"pending_id": row_id, "part": number, "first_id": first_id}
    _INSERT(conn, **home._asdict(), **place, state="ready", **content)


def _numbered(contents: Sequence[Content]) -> list[dict[str, object]]:
    """Give the columns of each part; an album has one for each file."""
    parts: list[dict[str, object]] = []
    for content in contents:
        if isinstance(content, Album):
            album = len(parts)
            parts += [_content(file) | {"album": album} for file in content.files]
        else:
            parts.append(_content(content))
    return parts


def _content(content: OnePart, buttons: Sequence[Button] = ()) -> dict[str, object]:
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
