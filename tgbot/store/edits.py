"""Edits of messages: what waits changes, and what ran may run again with the edit.

An edit of a message whose turn runs or has ended is a row of its own, `dropped` at first, because nobody has
asked for a turn yet: its button queues it.
"""

import json
from dataclasses import replace
from typing import Literal, NamedTuple

from sqlalchemy import bindparam, exists, func, null, select, update

from tgbot import together
from tgbot.model import Button, Message, RowId, SessionKey, box, message_text
from tgbot.render import Text
from tgbot.store import inbox, joins, outbox
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal, position
from tgbot.store.engine.statement import Statement
from tgbot.store.erasure import NO_WORDS
from tgbot.store.schema import FRONT, pending
from tgbot.store.schema import outbox as outbox_table

RUNNING_AGAIN = Text("Running it with the edit.")

_ROW = pending.c.id == bindparam("row_id")
_lead = pending.alias("lead")
_HAS_BUTTON = exists().where(
    outbox_table.c.pending_id == pending.c.id,
    position(outbox_table.c.buttons, literal("'again:'")) > literal("0"),
)
_FIND = Statement(
    select(
        pending.c.id,
        pending.c.raw,
        func.coalesce(_lead.c.id, pending.c.id).label("lead_id"),
        func.coalesce(_lead.c.state, pending.c.state).label("state"),
        func.coalesce(_lead.c.attempt, pending.c.attempt).label("attempt"),
        _HAS_BUTTON.label("offered"),
    )
    .outerjoin(_lead, _lead.c.id == pending.c.lead_id)
    .where(
        pending.c.bot_id == bindparam("bot_id"),
        pending.c.box == bindparam("box"),
        pending.c.message_id == bindparam("message_id"),
        pending.c.chat_id == bindparam("chat_id"),
        pending.c.kind == literal("'message'"),
    )
    .order_by(pending.c.id.desc())
    .limit(literal("1"))
)
_RAW = Statement(select(pending.c.raw).where(_ROW))
_CHANGE = Statement(update(pending).where(_ROW).values(raw=bindparam("raw")))
_OFFERED = (
    _ROW,
    pending.c.session_key == bindparam("session_key"),
    pending.c.state == literal("'dropped'"),
    pending.c.attempt == literal("0"),
    pending.c.raw != literal(f"'{NO_WORDS}'"),
    _HAS_BUTTON,
)
_IS_OFFERED = Statement(select(exists().where(*_OFFERED)))
_QUEUE = Statement(
    update(pending)
    .where(*_OFFERED)
    .values(state=literal("'queued'"), ended_at=null(), place=bindparam("place"))
)


class Edited(NamedTuple):
    """What an edit found: its message `waits` and is changed now, or its turn runs, has ended, or was never.

    `row_id` is the row of the message; where several rows run as one turn, that of the lead row.
    """

    row_id: RowId
    what: Literal["waits", "runs", "ended", "dropped"]


def apply(conn: Connection, edit: Message) -> Edited | None:
    """Change the text of a message that waits. None if the message is unknown, or its text is the same."""
    where = edit.address
    row = _FIND(
        conn,
        bot_id=edit.update.bot_id,
        box=box(where.chat_id),
        message_id=where.message_id,
        chat_id=where.chat_id,
    ).first()
    if row is None or row.raw == NO_WORDS or not _is_news(edit, row.raw):
        return None
    if row.attempt:
        runs = row.state in {"claimed", "asking", "queued"}
        return Edited(RowId(row.lead_id), "runs" if runs else "ended")
    if row.state == "dropped" and row.lead_id == row.id and not row.offered:
        return Edited(RowId(row.id), "dropped")
    _CHANGE(conn, row_id=row.id, raw=_with_context_of(row.raw, edit.update.raw))
    # Else it is an earlier edit, whose button is for the newest, or a part of what was dropped.
    return Edited(RowId(row.lead_id), "waits") if row.state in {"queued", "held"} else None


def offer(conn: Connection, edit: Message, text: str, label: str, original: RowId) -> RowId | None:
    """(nothing) -> dropped: keep an edit, and offer to run it. Returns its row; None if it is known."""
    row_id = inbox.store(conn, _with_other_pieces(conn, edit, original), "dropped")
    if row_id is not None:
        outbox.notice(conn, row_id, Text(text), (Button(label, f"again:{row_id}:{original}"),))
    return row_id


def _with_other_pieces(conn: Connection, edit: Message, original: RowId) -> Message:
    """Let the edit of a piece of a long text run with the other pieces."""
    joined = joins.joined_to(conn, original)
    if not joined:
        return edit
    messages = [json.loads(raw)["message"] for raw in (_RAW(conn, row_id=original).scalar(), *joined)]
    update = json.loads(edit.update.raw)
    raw = json.dumps({**update, "message": together.with_other_pieces(update["message"], messages)})
    return replace(edit, update=edit.update._replace(raw=raw))


def is_offered(conn: Connection, session_key: SessionKey, row_id: RowId) -> bool:
    """Whether an edit can be queued; not if it runs already, or was erased."""
    return bool(_IS_OFFERED(conn, session_key=session_key, row_id=row_id).scalar())


def queue(conn: Connection, session_key: SessionKey, row_id: RowId, *, first: bool) -> None:
    """Queue an edit that is offered (dropped -> queued); `first` means before all that waits.

    The offer then says that it runs.
    """
    _QUEUE(conn, row_id=row_id, session_key=session_key, place=FRONT if first else 0)
    outbox.set_aside(conn, row_id, RUNNING_AGAIN)


def _with_context_of(old: str, new: str) -> str:
    """Keep what the message was given of what others said before it, and of which text it is a piece."""
    given = json.loads(old)["message"]
    kept = {name: given[name] for name in ("overheard", "continues") if name in given}
    if not kept and "pieces" not in given:
        return new
    update = json.loads(new)
    message = together.with_other_pieces({**update["message"], **kept}, given.get("pieces", []))
    return json.dumps({**update, "message": message})


def _is_news(edit: Message, raw: str) -> bool:
    """Whether an edit changes the text, and is no older one that Telegram delivers again."""
    stored, message = json.loads(raw), json.loads(edit.update.raw)["message"]
    # Not the date alone, which is in seconds; nor the id alone: after a quiet week the next one is random.
    dates = message.get("edit_date", 0), stored["message"].get("edit_date", 0)
    is_newer = dates[0] > dates[1] or edit.update.update_id > stored["update_id"]
    return is_newer and message_text(message) != message_text(stored["message"])
