"""Stores the parts of every answer: placeholders, answers, replies and notices."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, func, null, select, update
from sqlalchemy.dialects.sqlite import insert

from tgbot.model import Address, Album, BotId, Button, ChatId, File, Part, PartId, RowId
from tgbot.render import Text
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, literal
from tgbot.store.schema import outbox

STOPPED = Text("⏹ Stopped.")
GIVEN_UP = Text("I was interrupted each time I worked on this, so I gave it up.")
LATE_SECONDS = 60.0  # an edit whose outcome is unknown arrives within this time, or never

_READY = literal("'ready'")
_other = outbox.alias()
_PART = outbox.c.id == bindparam("part_id")
_FIRST_PART = (outbox.c.pending_id == bindparam("row_id"), outbox.c.part == literal("0"))
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
    # It exists already: a preview of the earlier attempt may still arrive.
    .on_conflict_do_update(
        index_elements=["pending_id", "part"], set_={"uncertain_until": bindparam("uncertain_until")}
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
    _MAKE_READY.where(
        *_FIRST_PART,
        outbox.c.chat_id == bindparam("chat_id"),
        func.instr(outbox.c.buttons, bindparam("pressed")) > literal("0"),
    )
)
_CHANGE = Statement(_MAKE_READY.where(_PART))
_LAST_PART = Statement(select(func.max(outbox.c.part)).where(outbox.c.pending_id == bindparam("row_id")))
_MAKE_ROOM = Statement(
    update(outbox)
    .where(outbox.c.pending_id == bindparam("row_id"), outbox.c.part > bindparam("number"))
    .values(part=outbox.c.part + bindparam("room"))
)


_SET_ASIDE = Statement(
    _MAKE_READY.where(*_FIRST_PART).values(
        first_id=outbox.c.id,
        part=select(func.min(_other.c.part) - literal("1"))
        .where(_other.c.pending_id == bindparam("row_id"))
        .scalar_subquery(),
    )
)


class Home(NamedTuple):
    """Which bot sends a message, and to which chat and topic."""

    bot_id: BotId
    chat_id: ChatId
    topic_id: int | None = None


@dataclass(frozen=True, slots=True)
class Rich:
    """An answer to show as one rich message (Bot API 10.1), or as texts if the server refuses it."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Ping:
    """A message that says the answer is there, because an edit sends no notification."""

    text: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A message with buttons below it."""

    text: Text
    buttons: tuple[Button, ...]


OnePart = Text | File | Rich | Ping | Offer
Content = OnePart | Album


def open_answer(conn: Connection, bot_id: BotId, row_id: RowId, address: Address, *, quote: bool) -> None:
    """(nothing) -> open: ask for a placeholder for the answer to a row; a later attempt reuses it.

    `quote`: the answer should be a reply, because other messages stand between it and the question.
    """
    _OPEN(
        conn,
        bot_id=bot_id,
        row_id=row_id,
        chat_id=address.chat_id,
        topic_id=address.topic_id,
        reply_to=address.message_id if quote else None,
        uncertain_until=time.time() + LATE_SECONDS,
    )


def answer(conn: Connection, row_id: RowId, contents: Sequence[Content]) -> None:
    """Open or placed -> ready: the answer to a row, `contents` in order. Only the first ending counts."""
    first, *rest = _numbered(contents)
    if not _ANSWER(conn, row_id=row_id, **first).rowcount or not rest:
        return
    *home, first_id = _FIRST(conn, row_id=row_id).first()
    for number, content in enumerate(rest, start=1):
        _insert(conn, Home(*home), row_id, content, number, first_id)


def reply(conn: Connection, home: Home, row_id: RowId, text: Text, buttons: Sequence[Button] = ()) -> None:
    """(nothing) -> ready: the reply to a command or button, which is sent before everything else."""
    _insert(conn, home, row_id, _content(text, buttons) | {"kind": "reply"})


def notice(conn: Connection, home: Home, row_id: RowId, text: Text) -> None:
    """(nothing) -> ready: a reply to what no turn runs for; sent in order, so a flood delays no answer."""
    _insert(conn, home, row_id, _content(text))


def rewrite(conn: Connection, row_id: RowId, chat_id: ChatId, pressed: str, text: Text) -> None:
    """Sent -> ready: a button was pressed, so its message now says the result and loses its buttons.

    `pressed` is the button's data, which can be forged: nothing happens unless the message of this row in
    this chat has that button.
    """
    # With the quotes of JSON around it, `stop:1` does not match `stop:12`.
    values = _content(text) | {"kind": "reply", "pressed": json.dumps(pressed)}
    _REWRITE(conn, row_id=row_id, chat_id=chat_id, **values)


def set_aside(conn: Connection, row_id: RowId, text: Text) -> None:
    """Sent -> ready: a row runs once more, so it gets a new message, and the old one says `text`."""
    _SET_ASIDE(conn, row_id=row_id, **(_content(text) | {"kind": "reply"}))


def stopped(said: Sequence[Content]) -> list[Content]:
    """Mark where the answer was stopped; the words before the mark stay, because somebody has read them."""
    if said and isinstance(said[-1], Text) and (marked := said[-1].with_line(STOPPED.text)):
        return [*said[:-1], marked]
    return [*said, STOPPED]


def given_up(row_id: RowId) -> Offer:
    """Make the offer to the sender of a message that was running each time the process died."""
    return Offer(GIVEN_UP, (Button("Try again", f"retry:{row_id}"), Button("Forget", f"forget:{row_id}")))


def fall_back(conn: Connection, bot_id: BotId, part: Part, plainer: Sequence[OnePart]) -> None:
    """Ready -> ready: replace a part that the server refuses with plainer ones, before what follows it."""
    _CHANGE(conn, part_id=part.part_id, **_content(plainer[0]))
    if len(plainer) == 1:
        return
    *_home, first_id = _FIRST(conn, row_id=part.row_id).first()
    last: int = _LAST_PART(conn, row_id=part.row_id).scalar()
    # Moved so far that no number is used twice, not even while the UPDATE runs row by row.
    _MAKE_ROOM(conn, row_id=part.row_id, number=part.number, room=max(last - part.number, len(plainer) - 1))
    home = Home(bot_id, part.chat_id, part.topic_id)
    for number, content in enumerate(plainer[1:], start=part.number + 1):
        _insert(conn, home, part.row_id, _content(content), number, first_id)


def _insert(  # noqa: PLR0913, PLR0917 - what to send, to whom, and its place in the answer
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
    """Give the columns of each part; an album has a part for each file."""
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
        case Offer():
            return _content(content.text, content.buttons)
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
