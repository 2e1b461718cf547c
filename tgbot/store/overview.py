"""Lists what runs, waits, asks, is held, was given up or is unsent, over all chats or for one."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Select, bindparam, case, func, or_, select

from tgbot.model import ChatId, RowId, SessionKey, UserId, message_text, whole
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import guard, outbox, pending, turn

ALL = 1_000_000_000  # as a limit
UNSENT = ("ready", "sending", "unknown")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, or a part of the answer to one.

    `since` is a Unix time in seconds: when the row was received, its turn began, or the part was complete.
    `name` is the chat's, `text` its first words, as they were written; both "" where there are none. `why`:
    the reason that something was given up or parked. What could not be read may have no session and no chat.
    """

    row_id: RowId
    part: int | None
    session_key: SessionKey | None
    chat_id: ChatId | None
    user_id: UserId | None
    state: str
    attempt: int
    since: float
    why: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """How many there are, and the first of them."""

    total: int
    entries: list[Entry]


def _of_chat(chat_id: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a column
    chosen: BindParameter[int] = bindparam("chat_id", type_=BigInteger)
    return or_(chosen.is_(None), chat_id == chosen, pending.c.user_id == chosen)


_ROW = (
    *(pending.c.id, literal("NULL").label("part"), pending.c.session_key, pending.c.chat_id),
    *(pending.c.user_id, pending.c.state, pending.c.attempt),
)
_PART = (
    *(outbox.c.pending_id, outbox.c.part, pending.c.session_key, outbox.c.chat_id, pending.c.user_id),
    *(outbox.c.state, pending.c.attempt),
)
_WHY_DEAD = case(
    (pending.c.kind == literal("'unreadable'"), literal("'cannot be read'")),
    else_=literal("'interrupted too often'"),
)
_NO_REASON = literal("''")
_NO_TEXT = literal("NULL").label("text")  # of its own: the words of a row are in `raw`


def _first(ids: Select[Any], by: str) -> Select[Any]:
    """Take the first of these ids; with the + SQLite uses the index of the condition, not of the order."""
    return ids.order_by(literal(f"+{by}")).limit(bindparam("most"))


def _rows(ids: Select[Any], why: ColumnElement[str]) -> Select[Any]:
    return (
        select(*_ROW, pending.c.received_at.label("since"), why.label("why"), pending.c.raw, _NO_TEXT)
        .where(pending.c.id.in_(_first(ids, "pending.id").correlate(None)))
        .order_by(pending.c.id)
    )


def _parts(ids: Select[Any]) -> Select[Any]:
    return (
        select(
            *_PART,
            func.coalesce(outbox.c.ready_at, pending.c.received_at).label("since"),
            func.coalesce(outbox.c.error, literal("''")).label("why"),
            pending.c.raw,
            func.coalesce(outbox.c.text, outbox.c.file_name, literal("''")).label("text"),
        )
        .join(pending, pending.c.id == outbox.c.pending_id)
        .where(outbox.c.id.in_(_first(ids, "outbox.id").correlate(None)))
        .order_by(outbox.c.id)
    )


def _in_state(state: str) -> Select[Any]:
    return select(pending.c.id).where(pending.c.state == literal(f"'{state}'"), _of_chat(pending.c.chat_id))


def _of_parts(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(outbox.c.id)
        .join(pending, pending.c.id == outbox.c.pending_id)
        .where(condition, _of_chat(outbox.c.chat_id))
    )


_RUNNING = (
    select(turn.c.id)
    .join(pending, pending.c.id == turn.c.pending_id)
    .where(turn.c.id.in_(select(guard.c.turn_id)), _of_chat(pending.c.chat_id))
)
_IDS = {
    "running": _RUNNING,
    **{state: _in_state(state) for state in ("queued", "asking", "held", "dead")},
    "unsent": _of_parts(outbox.c.state.in_([literal(f"'{state}'") for state in UNSENT])),
    "parked": _of_parts(outbox.c.state == literal("'parked'")),
}
_LIST = {
    "running": Statement(
        select(*_ROW, turn.c.started_at.label("since"), _NO_REASON.label("why"), pending.c.raw, _NO_TEXT)
        .join(turn, turn.c.pending_id == pending.c.id)
        .where(turn.c.id.in_(_first(_RUNNING, "turn.id").correlate(None)))
        .order_by(turn.c.started_at)
    ),
    **{state: Statement(_rows(_IDS[state], _NO_REASON)) for state in ("queued", "asking", "held")},
    "dead": Statement(_rows(_IDS["dead"], _WHY_DEAD)),
    **{kind: Statement(_parts(_IDS[kind])) for kind in ("unsent", "parked")},
}
_COUNT = {
    kind: Statement(ids.with_only_columns(func.count(), maintain_column_froms=True))
    for kind, ids in _IDS.items()
}
KINDS = tuple(_IDS)


def overview(
    conn: Connection, most: int = ALL, words_max: int = 60, chat_id: int | None = None
) -> dict[str, Section]:
    """List up to `most` of each of KINDS, of one chat or person if `chat_id` is given, the oldest first.

    Of each text it gives `words_max` characters.
    """
    sections = {}
    for kind, listing in _LIST.items():
        entries = [_entry(row, words_max) for row in listing(conn, most=most, chat_id=chat_id)]
        # To count takes longer than to list, so it is done only where that says more.
        total = len(entries) if len(entries) < most else _COUNT[kind](conn, chat_id=chat_id).scalar()
        sections[kind] = Section(total, entries)
    return sections


def _entry(row: Any, words_max: int) -> Entry:  # noqa: ANN401 - a Row of columns of any type
    *columns, raw, text = row
    name, words = _read(raw)
    return Entry(*[*columns, name, _cut(words if text is None else text, words_max)])


def _read(raw: str) -> tuple[str, str]:
    """Give the name of the chat and the words of a message; "" for what it has not, or cannot be read."""
    try:
        message = json.loads(raw)["message"]
        return whole(_name(message)), message_text(message)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return "", ""


def _name(message: Any) -> str:  # noqa: ANN401 - JSON as it came
    """Name a chat, or the person in it."""
    known = message.get("chat") or {}
    sender = message.get("from") or {}
    return known.get("title") or _person(known) or _person(sender)


def _person(known: dict[str, Any]) -> str:
    return " ".join(filter(None, (known.get("first_name"), known.get("last_name"))))


def _cut(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"
