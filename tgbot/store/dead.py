"""The rows that were given up or could not be read, for their owner: find, try again, drop."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, select, update

from tgbot.model import ChatId, RowId, SessionKey, UserId
from tgbot.render import Text
from tgbot.store import outbox, recovery
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import pending

DROPPED = Text("The bot's owner dropped this message.")

_IS_DEAD = pending.c.state == literal("'dead'")
_ONE = (pending.c.id == bindparam("row_id"), _IS_DEAD)
_IDS = Statement(select(pending.c.id).where(_IS_DEAD).order_by(pending.c.id))
_FIND = Statement(
    select(
        *(pending.c.id, pending.c.kind, pending.c.session_key, pending.c.chat_id, pending.c.user_id),
        *(pending.c.crashes, pending.c.received_at, pending.c.ended_at, pending.c.raw),
    ).where(*_ONE)
)
_DROP = Statement(update(pending).where(*_ONE).values(state=literal("'dropped'"), ended_at=bindparam("now")))


class DeadRowError(Exception):
    """A row cannot be had or changed as it was asked for; the text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A message that crashed the bot too often, or an update that could not be read.

    `received_at` and `ended_at` are Unix times in seconds: when it came, when it was given up. `raw` is the
    update as JSON; of an unreadable one it is what came, which may be no JSON.
    """

    row_id: RowId
    kind: Literal["message", "unreadable"]
    session_key: SessionKey | None
    chat_id: ChatId | None
    user_id: UserId | None
    crashes: int
    received_at: float
    ended_at: float
    raw: str


def find(conn: Connection, row_id: RowId) -> DeadRow:
    """Find one row. Raises DeadRowError if it is not dead."""
    row = _FIND(conn, row_id=row_id).first()
    if row is None:
        raise DeadRowError(f"row {row_id} is not dead: `tgbot dead list` shows those that are")
    return DeadRow(*row)


def each(conn: Connection) -> Iterator[DeadRow]:
    """Give all of them, oldest first, one at a time: what could not be read may be long."""
    return (find(conn, row_id) for row_id in _IDS(conn).scalars())


def retry(conn: Connection, row_ids: Iterable[RowId] | None = None) -> list[RowId]:
    """Dead -> queued, for one more try: these rows, or all that can run. Returns their ids.

    Raises DeadRowError, and then the transaction must be taken back.
    """
    rows = _runnable(conn) if row_ids is None else [_to_run(find(conn, row_id)) for row_id in row_ids]
    for row in rows:
        assert row.session_key is not None, "only messages run"
        recovery.retry(conn, row.session_key, row.row_id)
    return [row.row_id for row in rows]


def drop(conn: Connection, row_ids: Iterable[RowId] | None = None) -> list[RowId]:
    """Dead -> dropped: these rows, or all. Returns their ids. What was offered in the chat says so.

    Raises DeadRowError, and then the transaction must be taken back.
    """
    rows = [find(conn, row_id) for row_id in (_IDS(conn).scalars() if row_ids is None else row_ids)]
    for row in rows:
        _DROP(conn, row_id=row.row_id, now=time.time())
        if row.chat_id is not None:
            outbox.rewrite(conn, row.row_id, row.chat_id, f"forget:{row.row_id}", DROPPED)
    return [row.row_id for row in rows]


def _runnable(conn: Connection) -> list[DeadRow]:
    return [row for row in each(conn) if row.kind == "message"]


def _to_run(row: DeadRow) -> DeadRow:
    if row.kind == "unreadable":
        number = row.row_id
        raise DeadRowError(
            f"row {number} could not be read, so it cannot run: `tgbot dead show {number}` shows it,"
            f" `tgbot dead drop {number}` drops it"
        )
    return row
