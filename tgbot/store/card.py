"""The card of a session: one message that lists what waits and what is on hold, with buttons for each row.

It is a part of the outbox, of the kind `card`, so it is on screen once whatever happens; it belongs to one of
the rows that waited when it was drawn first. `refresh` draws it anew from the rows as they are now, edits it,
or lets it disappear.
"""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, delete, func, insert, null, select, true, union, update

from tgbot.model import ChatId, RowId, SessionKey
from tgbot.store import workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.outbox import SURPLUS_TEXT
from tgbot.store.quote import quote
from tgbot.store.schema import box_of, outbox, pending

ROWS_ON_A_PAGE = 10

_QUEUED, _HELD = literal("'queued'"), literal("'held'")
_IN_FLIGHT = outbox.c.state.in_([literal("'sending'"), literal("'unknown'")])
_other = outbox.alias("other")
_KEY = bindparam("session_key", type_=pending.c.session_key.type)
_LISTED = (pending.c.id, pending.c.raw)
_WAITING = Statement(
    select(*_LISTED)
    .where(pending.c.session_key == _KEY, pending.c.state == _QUEUED)
    .order_by(pending.c.place, pending.c.id)
)
_ON_HOLD = Statement(
    select(*_LISTED).where(pending.c.session_key == _KEY, pending.c.state == _HELD).order_by(pending.c.id)
)
_FIND = Statement(
    select(outbox.c.id, outbox.c.pending_id, outbox.c.chat_id, outbox.c.text, outbox.c.buttons)
    .join(pending, pending.c.id == outbox.c.pending_id)
    .where(outbox.c.kind == literal("'card'"), pending.c.session_key == _KEY)
)
_ALL = Statement(
    union(
        select(pending.c.session_key)
        .join(outbox, outbox.c.pending_id == pending.c.id)
        .where(outbox.c.kind == literal("'card'")),
        select(pending.c.session_key).where(pending.c.state == _QUEUED),
        select(pending.c.session_key).where(pending.c.state == _HELD),
    )
)
_DRAW = Statement(
    insert(outbox)
    .from_select(
        [
            *("bot_id", "pending_id", "part", "first_id", "kind", "state", "chat_id", "box", "topic_id"),
            *("silent", "text", "buttons", "ready_at"),
        ],
        select(
            pending.c.bot_id,
            pending.c.id,
            # Before all parts of an answer of the same row.
            select(func.coalesce(func.min(_other.c.part), literal("0")) - literal("1"))
            .where(_other.c.pending_id == pending.c.id)
            .scalar_subquery(),
            literal("0"),
            literal("'card'"),
            literal("'ready'"),
            pending.c.chat_id,
            box_of(pending.c.chat_id),
            pending.c.topic_id,
            true(),
            bindparam("text"),
            bindparam("buttons"),
            bindparam("now"),
        ).where(pending.c.id == bindparam("row_id")),
    )
    .returning(outbox.c.chat_id)
)
_PART = outbox.c.id == bindparam("part_id")
_kept: dict[str, Any] = {
    "state": case((_IN_FLIGHT, outbox.c.state), else_=literal("'ready'")),
    "sent_text": case((_IN_FLIGHT, func.coalesce(outbox.c.sent_text, outbox.c.text))),
    "ready_at": bindparam("now"),
    "error": null(),
}
_REDRAW = Statement(
    update(outbox).where(_PART).values(text=bindparam("text"), buttons=bindparam("buttons"), **_kept)
)
_TAKE_AWAY = Statement(
    update(outbox).where(_PART).values(kind=literal("'surplus'"), text=SURPLUS_TEXT, buttons=null(), **_kept)
)
_FORGET = Statement(delete(outbox).where(_PART, outbox.c.message_id.is_(None), ~_IN_FLIGHT))


class _Line(NamedTuple):
    row_id: RowId
    raw: str
    held: bool


def sessions(conn: Connection) -> list[SessionKey]:
    """List the sessions that have a card, or something for one."""
    keys: list[SessionKey] = _ALL(conn).scalars()
    return keys


def refresh(
    conn: Connection, session_key: SessionKey, page: int = 0, *, at_bottom: bool = False
) -> ChatId | None:
    """Let the card of a session say what waits and is held now; `at_bottom`: as a new message.

    Returns the chat in which something is to be sent, None if the card is right as it is.
    """
    workers.lock_chats(conn, [session_key])
    lines = _lines(conn, session_key)
    card = _FIND(conn, session_key=session_key).first()
    if card and (at_bottom or not lines):
        _take_away(conn, card.id)
    if not lines:
        return ChatId(card.chat_id) if card else None
    if card and not at_bottom:
        drawn = _drawn(lines, page, card.pending_id)
        if (card.text, card.buttons) == tuple(drawn.values()):
            return None
        _REDRAW(conn, part_id=card.id, now=time.time(), **drawn)
        return ChatId(card.chat_id)
    return _draw(conn, lines, page)


def is_shown(conn: Connection, session_key: SessionKey) -> bool:
    """Whether a session has a card."""
    return _FIND(conn, session_key=session_key).first() is not None


def _draw(conn: Connection, lines: Sequence[_Line], page: int) -> ChatId:
    row_id = lines[-1].row_id  # the newest: an older one may have had a card before
    drawn = _drawn(lines, page, row_id)
    chat_id: int = _DRAW(conn, row_id=row_id, now=time.time(), **drawn).scalar()
    return ChatId(chat_id)


def _take_away(conn: Connection, part_id: int) -> None:
    if not _FORGET(conn, part_id=part_id).rowcount:
        _TAKE_AWAY(conn, part_id=part_id, now=time.time())


def _lines(conn: Connection, session_key: SessionKey) -> list[_Line]:
    waiting = [_Line(row.id, row.raw, held=False) for row in _WAITING(conn, session_key=session_key)]
    return waiting + [_Line(row.id, row.raw, held=True) for row in _ON_HOLD(conn, session_key=session_key)]


def _drawn(lines: Sequence[_Line], page: int, card_row: RowId) -> dict[str, str]:
    """Make the columns of the card: a line and three buttons for each row of the page."""
    pages = range(0, len(lines), ROWS_ON_A_PAGE)
    start = pages[min(page, len(pages) - 1)]
    shown = list(enumerate(lines, start=1))[start : start + ROWS_ON_A_PAGE]
    # The heading says it, where all of them are.
    marked = not all(line.held for line in lines)
    text = "\n".join([_heading(lines), *(_line(number, line, marked=marked) for number, line in shown)])
    rows = [_row(number, line) for number, line in shown]
    rows.append(list(_for_all(lines, card_row)))
    if len(pages) > 1:
        rows.append([_button(f"{n + 1}", "queue_page", card_row, n) for n in range(len(pages))])
    return {"text": text, "buttons": json.dumps({"inline_keyboard": rows})}


def _heading(lines: Sequence[_Line]) -> str:
    held = sum(line.held for line in lines)
    parts = [f"{len(lines) - held} waiting" if held < len(lines) else "", f"{held} on hold" if held else ""]
    return f"{', '.join(filter(None, parts))}:"


def _line(number: int, line: _Line, *, marked: bool) -> str:
    return f"{number}. {quote(line.raw)}{' (on hold)' if marked and line.held else ''}"


def _row(number: int, line: _Line) -> list[dict[str, str]]:
    return [
        _button(f"{number} drop", "queue_drop", line.row_id),
        _button(f"{number} next", "queue_next", line.row_id),
        _button(f"{number} now", "queue_now", line.row_id),
    ]


def _for_all(lines: Sequence[_Line], card_row: RowId) -> Iterator[dict[str, str]]:
    yield _button("Drop all", "queue_drop_all", card_row)
    if any(line.held for line in lines):
        yield _button("Run what is on hold", "queue_run_held", card_row)


def _button(label: str, name: str, *args: int) -> dict[str, str]:
    return {"text": label, "callback_data": ":".join([name, *map(str, args)])}
