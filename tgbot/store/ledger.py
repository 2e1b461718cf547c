"""Keeps the calls of tools that turns have begun: which may have taken effect, and what came of others."""

import time
from typing import NamedTuple

from sqlalchemy import bindparam, select

from tgbot.model import Ownership, RowId
from tgbot.store import fence
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import ledger

_DONE = literal("'done'")
_insert = insert(ledger).values(
    pending_id=bindparam("row_id"),
    call_id=bindparam("call_id"),
    tool=bindparam("tool"),
    state=bindparam("state"),
    starts=bindparam("starts"),
    result=bindparam("result"),
    at=bindparam("now"),
)
_PUT = Statement(
    _insert.on_conflict_do_update(
        index_elements=["pending_id", "call_id"],
        set_={
            **{column: _insert.excluded[column] for column in ("state", "result", "at")},
            "starts": ledger.c.starts + _insert.excluded.starts,
        },
        where=ledger.c.state != _DONE,
    )
)
_OF_ROW = Statement(
    select(ledger.c.call_id, ledger.c.tool, ledger.c.starts, ledger.c.result).where(
        ledger.c.pending_id == bindparam("row_id")
    )
)


class Call(NamedTuple):
    """One call of a tool, and how often it was begun; without a `result` (JSON) nobody knows its effect."""

    call_id: str
    tool: str
    starts: int
    result: str | None


def start(conn: Connection, turn: Ownership, call_id: str, tool: str) -> None:
    """Note that a tool is about to run: from now on it may have taken effect. Raises LostGuardError."""
    _put(conn, turn, call_id, tool, None)


def finish(conn: Connection, turn: Ownership, call_id: str, tool: str, result: str) -> None:
    """Note what came of a call, as JSON; the first result stays. Raises LostGuardError."""
    _put(conn, turn, call_id, tool, result)


def calls(conn: Connection, row_id: RowId) -> list[Call]:
    """List the calls that were made for a row, in all its attempts."""
    return [Call(*row) for row in _OF_ROW(conn, row_id=row_id)]


def _put(conn: Connection, turn: Ownership, call_id: str, tool: str, result: str | None) -> None:
    fence.session_of(conn, turn)
    state = "started" if result is None else "done"
    call = {"call_id": call_id, "tool": tool, "state": state, "result": result, "starts": int(result is None)}
    _PUT(conn, row_id=turn.row_id, now=time.time(), **call)
