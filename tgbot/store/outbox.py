"""Stores the parts of every answer: what a turn shows while it runs, answers, replies and notices.

A part is on disk before it is sent. Where nothing else of its chat waits, an answer is stored as `sending` at
once, so that it needs no further commit before it goes out.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, exists, func, null, or_, select, update

from tgbot.model import Button, ChatId, MessageId, Part, RowId, SessionKey, Token
from tgbot.render import Text
from tgbot.store import fence, parts
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import greatest, insert, literal, position
from tgbot.store.engine.statement import Statement
from tgbot.store.parts import Content, Offer, OnePart, columns, part_of
from tgbot.store.schema import box_of, guard, outbox, pending

SURPLUS_TEXT = "…"
STOPPED = Text("⏹ Stopped.")
GIVEN_UP = Text("I was interrupted each time I worked on this, so I gave it up.")
TOO_OLD = Text("I could not show you an answer here for so long that I kept it back.")
CANNOT_SHOW = "(A part of this answer could not be shown here.)"
BETWEEN_MAX = 200  # message ids that are searched for other messages of the chat

_READY, _SENDING, _ZERO = literal("'ready'"), literal("'sending'"), literal("0")
_ROW = outbox.c.pending_id == bindparam("row_id")
_IN_FLIGHT = outbox.c.state.in_([_SENDING, literal("'unknown'")])
_other, _newer = outbox.alias("other"), pending.alias("newer")
_box = box_of(pending.c.chat_id)
_waits = _other.c.state.in_([_READY, _SENDING, literal("'unknown'")])
_is_free = and_(
    bindparam("at_once"),
    ~exists().where(_other.c.bot_id == pending.c.bot_id, _other.c.chat_id == pending.c.chat_id, _waits),
)


def newest_id(bot_id: Any, box: Any) -> ColumnElement[int]:  # noqa: ANN401 - columns or parameters
    """Make the SQL expression of the newest message id that is known in a box, 0 if there is none."""
    newest = (
        select(func.max(table.c.message_id))
        .where(table.c.bot_id == bot_id, table.c.box == box)
        .scalar_subquery()
        for table in (pending.alias("in_box"), outbox.alias("out_box"))
    )
    return greatest(*(func.coalesce(one, _ZERO) for one in newest))


def _between(table: Any, *others: ColumnElement[bool]) -> ColumnElement[bool]:  # noqa: ANN401 - an alias
    """Make the SQL condition that a message of this table lies between the question and its answer."""
    return exists().where(
        *others,
        table.c.bot_id == pending.c.bot_id,
        table.c.box == pending.c.box,
        table.c.message_id.between(
            pending.c.message_id + literal("1"), pending.c.message_id + literal(str(BETWEEN_MAX))
        ),
        table.c.chat_id == pending.c.chat_id,
    )


# An answer is a reply where other messages lie between. In another box the id means another message.
_reply_to = case(
    (
        and_(
            bindparam("part") == _ZERO,
            bindparam("quote"),
            pending.c.box == _box,
            or_(
                _between(_newer, func.coalesce(_newer.c.lead_id, _ZERO) != pending.c.id),
                _between(_other, _other.c.pending_id != pending.c.id),
                # What the chat gets before this answer.
                exists().where(
                    _other.c.bot_id == pending.c.bot_id,
                    _other.c.chat_id == pending.c.chat_id,
                    _other.c.pending_id != pending.c.id,
                    _other.c.kind.not_in([literal(f"'{kind}'") for kind in ("notice", "card", "surplus")]),
                    _waits,
                ),
            ),
        ),
        pending.c.message_id,
    ),
)
_first = (
    select(_other.c.id).where(_other.c.pending_id == pending.c.id, _other.c.part == _ZERO).scalar_subquery()
)
_VALUES: dict[str, Any] = {
    "bot_id": pending.c.bot_id,
    "pending_id": pending.c.id,
    "part": bindparam("part"),
    "first_id": case((bindparam("part") != _ZERO, _first)),
    "chat_id": pending.c.chat_id,
    "box": _box,
    "topic_id": pending.c.topic_id,
    "reply_to": _reply_to,
    "silent": bindparam("silent"),
    "state": case((_is_free, _SENDING), else_=_READY),
    "floor": case((_is_free, newest_id(pending.c.bot_id, _box))),
    **{column: bindparam(column) for column in parts.CONTENT},
}
_insert = insert(outbox).from_select(
    list(_VALUES), select(*_VALUES.values()).where(pending.c.id == bindparam("row_id"))
)
# What is on screen or on its way there stays that message: its content is edited in.
_kept: dict[str, Any] = {
    "state": case((_IN_FLIGHT, outbox.c.state), else_=_READY),
    "sent_text": case((_IN_FLIGHT, func.coalesce(outbox.c.sent_text, outbox.c.text))),
    "error": null(),
}
_rewritten = {column: _insert.excluded[column] for column in parts.CONTENT} | _kept
_new_content = {column: bindparam(column) for column in parts.CONTENT} | _kept
_PUT = Statement(
    _insert.on_conflict_do_update(index_elements=["pending_id", "part"], set_=_rewritten).returning(
        *parts.COLUMNS,
        # Written out: in RETURNING, SQLAlchemy does not say of which table a column is.
        literal(
            "EXISTS (SELECT 1 FROM outbox AS more"
            " WHERE more.pending_id = outbox.pending_id AND more.part > outbox.part)"
        ).label("more"),
    )
)
_HOLDS = (
    pending.c.state == literal("'claimed'"),
    exists().where(guard.c.turn_id == bindparam("token")),
)
_BEGIN = Statement(
    insert(outbox)
    .from_select(
        list(_VALUES), select(*_VALUES.values()).where(pending.c.id == bindparam("row_id"), *_HOLDS, _is_free)
    )
    .on_conflict_do_nothing()
    .returning(*parts.COLUMNS)
)
_HOLDING = Statement(select(pending.c.id).where(pending.c.id == bindparam("row_id"), *_HOLDS))
_SHOWN = Statement(
    select(outbox.c.message_id).where(
        _ROW, outbox.c.part == bindparam("part"), outbox.c.kind != literal("'surplus'")
    )
)
_BEYOND = (_ROW, outbox.c.part >= bindparam("part"))
_ANY_BEYOND = Statement(select(exists().where(*_BEYOND)))
# What makes a part one that has to disappear. One that is on its way does so when it has arrived.
TO_REMOVE: dict[str, Any] = {
    "kind": literal("'surplus'"),
    "state": case((_IN_FLIGHT, outbox.c.state), else_=_READY),
    "sent_text": case((_IN_FLIGHT, func.coalesce(outbox.c.sent_text, outbox.c.text))),
    "text": SURPLUS_TEXT,
    "ready_at": bindparam("now"),
    "error": null(),
}
_NOT_SHOWN = (outbox.c.message_id.is_(None), ~_IN_FLIGHT)
_REMOVE_BEYOND = Statement(update(outbox).where(*_BEYOND).values(TO_REMOVE))
_FORGET_BEYOND = Statement(delete(outbox).where(*_BEYOND, *_NOT_SHOWN))
# Not what stayed in an old chat, where its message ids belong: the refusal would move it after all.
_OF_ANSWER = (
    _ROW,
    exists().where(
        pending.c.id == outbox.c.pending_id,
        pending.c.session_key == bindparam("session_key"),
        pending.c.chat_id == outbox.c.chat_id,
    ),
)
_REMOVE = Statement(update(outbox).where(*_OF_ANSWER).values(TO_REMOVE))
_FORGET = Statement(delete(outbox).where(*_OF_ANSWER, *_NOT_SHOWN))

_REWRITE = Statement(
    update(outbox)
    .where(
        _ROW,
        outbox.c.chat_id == bindparam("chat_id"),
        position(outbox.c.buttons, bindparam("pressed")) > _ZERO,
    )
    .values(_new_content)
)
_TAKE_BUTTONS = Statement(
    update(outbox)
    # Not where /forget has taken the words: without them it cannot be edited.
    .where(
        _ROW,
        outbox.c.buttons.is_not(None),
        outbox.c.text.is_not(None),
        outbox.c.kind == literal("'reply'"),
    )
    .values(
        buttons=null(),
        state=case((_IN_FLIGHT, outbox.c.state), else_=_READY),
        sent_text=case((_IN_FLIGHT, func.coalesce(outbox.c.sent_text, outbox.c.text))),
    )
)
_SET_ASIDE = Statement(
    update(outbox)
    .where(_ROW, outbox.c.part == _ZERO)
    .values(
        _new_content
        | {
            "first_id": outbox.c.id,
            "part": select(func.min(_other.c.part) - literal("1"))
            .where(_other.c.pending_id == bindparam("row_id"))
            .scalar_subquery(),
        }
    )
)
_CHANGE = Statement(
    update(outbox)
    .where(outbox.c.id == bindparam("part_id"))
    .values(
        {column: bindparam(column) for column in parts.CONTENT}
        | dict.fromkeys(("floor", "ceiling", "sent_text"), null())
        # The "…" of a search that was given up takes the plainer form.
        | {
            "state": _READY,
            "message_id": func.coalesce(outbox.c.message_id, outbox.c.ceiling),
            "tries": _ZERO,
        }
    )
)
_LAST_PART = Statement(select(func.max(outbox.c.part)).where(_ROW))
_MAKE_ROOM = Statement(
    update(outbox)
    .where(_ROW, outbox.c.part > bindparam("number"))
    .values(part=outbox.c.part + bindparam("room"))
)


def begin(  # noqa: PLR0913, PLR0917 - whose words they are, and how they are shown
    conn: Connection, token: Token, row_id: RowId, number: int, text: Text, buttons: str, *, silent: bool
) -> Part | None:
    """(nothing) -> sending: the first words of a part that grows on screen.

    None if the turn has ended, if the part exists already, or while something else of the chat is unsent.
    """
    fence.hold(conn, token)  # its chat may have moved, and whose sender this is has locked the old one
    content = columns(text) | {"part": number, "buttons": buttons, "ready_at": None}
    row = _BEGIN(conn, row_id=row_id, token=token, **content, silent=silent, quote=True, at_once=True).first()
    return part_of(row) if row else None


def close_part(  # noqa: PLR0913 - whose words they are, and how they are shown
    conn: Connection, token: Token, row_id: RowId, number: int, text: Text, *, loud: int = 0
) -> bool:
    """Growing -> ready, or (nothing) -> ready: a part of a running turn is complete and stays so.

    The one with the number `loud` notifies.
    False if the turn has ended: its ending says what this part shows.
    """
    fence.hold(conn, token)  # as above
    if not _HOLDING(conn, row_id=row_id, token=token).first():
        return False
    _put(conn, row_id, columns(text) | {"part": number}, loud, at_once=True)
    return True


def shown_in(conn: Connection, row_id: RowId, number: int) -> tuple[bool, MessageId | None]:
    """Find whether a part of an answer exists, and the message that shows it, if that is known."""
    row = _SHOWN(conn, row_id=row_id, part=number).first()
    return row is not None, row.message_id if row else None


def answer(
    conn: Connection, row_id: RowId, contents: Sequence[Content], first: int = 0, loud: int = 0
) -> Part | None:
    """Write the end of the answer to a row: its parts from the number `first` on.

    They take the place of what the turn, or an earlier attempt, has shown there; what is shown beyond them is
    removed. The part with the number `loud` notifies. Returns the part that may be sent at once.
    """
    if not contents:  # all of it is on screen already
        _remove_beyond(conn, row_id, first)
        return None
    head, *rest = parts.numbered(contents, first)
    part, more = _put(conn, row_id, head, loud, at_once=True)
    if first == loud and part.message_id is None and part.sent_text is None:
        rest = [content for content in rest if content["kind"] != "ping"]  # the answer itself will notify
    for content in rest:
        _put(conn, row_id, content)
    if more:
        _remove_beyond(conn, row_id, first + 1 + len(rest))
    return part if part.state == "sending" and part.sent_text is None else None


def next_number(conn: Connection, row_id: RowId) -> int:
    """Compute the number of a part behind all that an answer has."""
    last: int | None = _LAST_PART(conn, row_id=row_id).scalar()
    return 0 if last is None else last + 1


def close(conn: Connection, row_id: RowId, text: Text, first: int = 0) -> None:
    """Let what is on screen of an answer, from its part `first` on, say `text`; if nothing is, do nothing."""
    if _ANY_BEYOND(conn, row_id=row_id, part=first).scalar():
        answer(conn, row_id, [text], first, first)


def remove(conn: Connection, row_id: RowId, session_key: SessionKey) -> None:
    """(any) -> ready or gone: all that is on screen of an answer disappears, and the rest is never sent.

    If the row is not of this session, nothing happens.
    """
    _FORGET(conn, row_id=row_id, session_key=session_key)
    _REMOVE(conn, row_id=row_id, session_key=session_key, now=time.time())


def reply(conn: Connection, row_id: RowId, text: Text, buttons: Sequence[Button] = ()) -> None:
    """(nothing) -> ready: the reply to a command or button, which is sent before everything else."""
    _put(conn, row_id, columns(text, buttons) | {"part": 0, "kind": "reply"}, at_once=True, quote=False)


def notice(conn: Connection, row_id: RowId, text: Text, buttons: Sequence[Button] = ()) -> None:
    """(nothing) -> ready: a reply to what no turn runs for; sent last, so a flood delays no answer."""
    _put(conn, row_id, columns(text, buttons) | {"part": 0, "kind": "notice"}, quote=False)


def rewrite(conn: Connection, row_id: RowId, chat_id: ChatId, pressed: str, text: Text) -> None:
    """Sent -> ready: a button was pressed, so its message now says the result and loses its buttons.

    `pressed` is the button's data, which can be forged: nothing happens unless the message of this row in
    this chat has that button.
    """
    # With the quotes of JSON around it, `stop:1` does not match `stop:12`.
    values = columns(text) | {"kind": "reply", "pressed": json.dumps(pressed)}
    _REWRITE(conn, row_id=row_id, chat_id=chat_id, **values)


def set_aside(conn: Connection, row_id: RowId, text: Text) -> None:
    """Sent -> ready: a row runs once more, so it gets a new message, and the old one says `text`."""
    _SET_ASIDE(conn, row_id=row_id, **(columns(text) | {"kind": "reply"}))


def take_buttons(conn: Connection, row_id: RowId) -> None:
    """Take the buttons of a reply away, whose question was answered in another way. Its text stays."""
    _TAKE_BUTTONS(conn, row_id=row_id)


def offer_late(conn: Connection, row_id: RowId) -> None:
    """(nothing) -> ready: offer to show an answer that was kept back, because it is old."""
    offer = Offer(TOO_OLD, (Button("Show it", f"show:{row_id}"),))
    _put(conn, row_id, columns(offer) | {"part": next_number(conn, row_id)})


def add(conn: Connection, row_id: RowId, text: str) -> None:
    """(nothing) -> ready: one more text behind all that an answer has."""
    _put(conn, row_id, columns(Text(text)) | {"part": next_number(conn, row_id)})


def stopped(said: Sequence[Content]) -> list[Content]:
    """Mark where the answer was stopped; the words before the mark stay, because somebody has read them."""
    if said and isinstance(said[-1], Text) and (marked := said[-1].with_line(STOPPED.text)):
        return [*said[:-1], marked]
    return [*said, STOPPED]


def given_up(row_id: RowId) -> Offer:
    """Make the offer to the sender of a message that was running each time the process died."""
    return Offer(GIVEN_UP, (Button("Try again", f"retry:{row_id}"), Button("Forget", f"forget:{row_id}")))


def fall_back(conn: Connection, part: Part, plainer: Sequence[OnePart]) -> None:
    """Replace a part that the server refuses with plainer ones, before what follows it."""
    _CHANGE(conn, part_id=part.part_id, **columns(plainer[0]))
    if len(plainer) == 1:
        return
    last: int = _LAST_PART(conn, row_id=part.row_id).scalar()
    # Moved so far that no number is used twice, not even while the UPDATE runs row by row.
    _MAKE_ROOM(conn, row_id=part.row_id, number=part.number, room=max(last - part.number, len(plainer) - 1))
    for number, content in enumerate(plainer[1:], start=part.number + 1):
        _put(conn, part.row_id, columns(content) | {"part": number})


def _put(  # noqa: PLR0913 - how a part is written
    conn: Connection,
    row_id: RowId,
    content: dict[str, Any],
    loud: int = 0,
    *,
    at_once: bool = False,
    quote: bool = True,
) -> tuple[Part, bool]:
    """Write one part, new or in place of what it was; says also whether there are parts behind it.

    `loud` is the number of the part that notifies.
    """
    # One answer makes one notification, and a question another.
    silent = content["part"] > loud and content["kind"] != "ping" and content["buttons"] is None
    row = _PUT(conn, row_id=row_id, **content, silent=silent, quote=quote, at_once=at_once).first()
    *columns_of_part, more = row
    return part_of(columns_of_part), bool(more)


def _remove_beyond(conn: Connection, row_id: RowId, number: int) -> None:
    _FORGET_BEYOND(conn, row_id=row_id, part=number)
    _REMOVE_BEYOND(conn, row_id=row_id, part=number, now=time.time())
