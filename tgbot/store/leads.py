"""Finds the row that a message goes with: a part of the same album, the piece before it, what was forwarded.

Such a lead row waits for more. Which parts make an album is certain. The rest is a guess: both were sent at
once, and nothing of the same sender is in between.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import bindparam, exists, func, select

from tgbot import together
from tgbot.model import COMMAND, Message, Raw, RowId, SessionKey
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import listed, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import pending

TOGETHER_MAX = 10  # parts in one album (Bot API, sendMediaGroup)

WAITS = (pending.c.join_key.is_not(None), pending.c.state.in_([literal("'queued'"), literal("'held'")]))
_NOT_TRIED = pending.c.attempt == literal("0")  # a further attempt has exactly the same rows as the first
_joined = pending.alias("joined")

_sessions = listed("session_keys", str)
_SESSIONS = Statement(
    select(_sessions.c.value).where(
        exists().where(pending.c.session_key == _sessions.c.value, *WAITS).correlate(_sessions)
    )
)
_LEAD = Statement(
    select(
        pending.c.id,
        pending.c.raw,
        select(func.count()).where(_joined.c.lead_id == pending.c.id).scalar_subquery().label("joined"),
    )
    .where(
        pending.c.session_key == bindparam("session_key"),
        pending.c.join_key == bindparam("join_key"),
        *WAITS,
        _NOT_TRIED,
    )
    .order_by(pending.c.id.desc())
    .limit(literal("1"))
)
_LAST_JOINED = Statement(
    select(pending.c.id, pending.c.raw)
    .where(pending.c.lead_id == bindparam("row_id"))
    .order_by(pending.c.id.desc())
    .limit(literal("1"))
)
_NEWEST = Statement(
    select(pending.c.id, pending.c.raw, pending.c.join_key, pending.c.attempt)
    .where(
        pending.c.session_key == bindparam("session_key"),
        pending.c.state == literal("'queued'"),
        pending.c.user_id == bindparam("user_id"),
    )
    .order_by(pending.c.id.desc())
    .limit(literal("1"))
)


class Lead(NamedTuple):
    """The row that a message goes with, and the message as it is to be stored; `is_last`: no more comes."""

    row_id: RowId
    part: Message
    is_last: bool


def sessions_with_one(conn: Connection, session_keys: Iterable[SessionKey]) -> set[SessionKey]:
    """Find those of the sessions in which a row waits for more."""
    return set(_SESSIONS(conn, session_keys=json.dumps(list(session_keys))).scalars())


def find(conn: Connection, part: Message) -> Lead | None:
    """Find the row that a message goes with, if it still waits."""
    message: Raw = json.loads(part.update.raw)["message"]
    if together.is_forwarded(message):
        return _of_forwarded(conn, part, message)
    if "media_group_id" in message:
        return _of_album(conn, part)
    return _of_text(conn, part, message)


def _of_album(conn: Connection, part: Message) -> Lead | None:
    lead = _lead(conn, part, part.join_key)
    if lead is None or lead.joined + 1 >= TOGETHER_MAX:
        return None
    return Lead(lead.id, part, is_last=lead.joined + 2 == TOGETHER_MAX)


def _of_text(conn: Connection, part: Message, message: Raw) -> Lead | None:
    lead = _newest_lead(conn, part, together.text_key(message, part.address.user_id))
    piece = together.continuation(_last_of(conn, lead), message) if lead else None
    if lead is None or piece is None:
        return None
    raw = json.dumps({**json.loads(part.update.raw), "message": piece})
    as_piece = replace(part, update=part.update._replace(raw=raw))
    return Lead(lead.id, as_piece, is_last=part.join_key is None)


def _of_forwarded(conn: Connection, part: Message, message: Raw) -> Lead | None:
    lead = _newest_lead(conn, part, part.join_key)
    if lead is None:
        return _of_comment(conn, part, message)
    if lead.joined + 1 >= together.FORWARDED_MAX:
        return None
    if not together.were_sent_at_once(_last_of(conn, lead), message):
        return None
    return Lead(lead.id, part, is_last=lead.joined + 2 == together.FORWARDED_MAX)


def _of_comment(conn: Connection, part: Message, message: Raw) -> Lead | None:
    """Find the comment on a forwarded message: what its sender sent last, if no turn has begun with it."""
    newest = _newest(conn, part)
    if newest is None or newest.attempt:
        return None
    if newest.join_key is not None and not together.is_of_text(newest.join_key):
        return None
    comment = _last_of(conn, newest)
    if COMMAND.match(comment.get("text") or "") or not together.comments(comment, message):
        return None
    return Lead(newest.id, part, is_last=False)


def _lead(conn: Connection, part: Message, join_key: str | None) -> Any:  # noqa: ANN401 - a row
    return _LEAD(conn, session_key=part.address.session_key, join_key=join_key).first()


def _newest_lead(conn: Connection, part: Message, join_key: str | None) -> Any:  # noqa: ANN401 - a row
    """Find a lead row, if its sender has sent nothing else since that waits."""
    lead, newest = _lead(conn, part, join_key), _newest(conn, part)
    return None if lead is None or (newest is not None and newest.id > lead.id) else lead


def _newest(conn: Connection, part: Message) -> Any:  # noqa: ANN401 - a row
    address = part.address
    return _NEWEST(conn, session_key=address.session_key, user_id=address.user_id).first()


def _last_of(conn: Connection, lead: Any) -> Raw:  # noqa: ANN401 - a row
    """Read the last message that joined a row, or its own."""
    last = _LAST_JOINED(conn, row_id=lead.id).first()
    return _message((last or lead).raw)


def _message(raw: str) -> Raw:
    message: Raw = json.loads(raw)["message"]
    return message
