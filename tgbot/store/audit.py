"""Notes what was done on the admin page: when, by which role, and to what."""

import time
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select

from tgbot.model import ChatId, RowId
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import audit

_last = audit.alias("last")
_NOTE = Statement(
    insert(audit).values({name: bindparam(name) for name in ("at", "role", "action", "row_id", "chat_id")})
)
_NEWEST = Statement(
    select(audit.c.at, audit.c.role, audit.c.action, audit.c.row_id, audit.c.chat_id)
    .where(audit.c.id > select(func.max(_last.c.id)).scalar_subquery() - bindparam("most"))
    .order_by(audit.c.id.desc())
)
_PRUNE = Statement(delete(audit).where(audit.c.at < bindparam("before")))


@dataclass(frozen=True, slots=True)
class Noted:
    """One thing that was done, `at` a Unix time in seconds."""

    at: float
    role: str
    action: str
    row_id: RowId
    chat_id: ChatId | None


def note(conn: Connection, role: str, action: str, row_id: RowId, chat_id: ChatId | None) -> None:
    """Note what is done, in the transaction that does it."""
    _NOTE(conn, at=time.time(), role=role, action=action, row_id=row_id, chat_id=chat_id)


def newest(conn: Connection, most: int) -> list[Noted]:
    """Give the last ones, the newest first."""
    return [Noted(*row) for row in _NEWEST(conn, most=most)]


def prune(conn: Connection, before: float) -> int:
    """Delete what was done before a time (Unix time in seconds). Returns how many."""
    return _PRUNE(conn, before=before).rowcount
