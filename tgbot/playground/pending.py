"""Looks into the bot's database, read-only, for the page: what waits, runs, is done, and who may talk."""

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

ROWS_SHOWN_MAX = 100
# Done in the database, but a part of the answer is not on screen yet. A list, not a test for each row: the
# outbox has an index of what is unsent, and pending may have many rows that are done.
_UNSENT = "SELECT pending_id FROM outbox WHERE state IN ('ready', 'sending', 'unknown')"
_STATE = f"CASE WHEN state = 'done' AND id IN ({_UNSENT}) THEN 'sending' ELSE state END"
_COUNTS = f"SELECT {_STATE}, count(*) FROM pending WHERE kind = 'message' GROUP BY 1"  # noqa: S608  constants
_ROWS = f"""
SELECT p.id, p.chat_id, p.topic_id, p.message_id, {_STATE} AS state, p.attempt, held.token,
    held.since AS held_since,
    substr(coalesce(TEXT, CAPTION), 1, 80) AS text
FROM pending p
LEFT JOIN (SELECT t.pending_id, t.id AS token, g.since FROM guard g JOIN turn t ON t.id = g.turn_id) held
    ON held.pending_id = p.id
WHERE p.kind = 'message' ORDER BY p.id DESC LIMIT {ROWS_SHOWN_MAX}
"""  # noqa: S608  constants
_ROLES = "SELECT user_id, state FROM stranger UNION ALL SELECT chat_id, role FROM allowed"
_COLUMNS = ("id", "chat_id", "topic_id", "message_id", "state", "attempt", "token", "held_since", "text")

Look = Callable[[], dict[str, Any]]


class Connection(Protocol):
    """A driver's, as far as it is needed here."""

    def execute(self, sql: Any, /) -> Iterable[Any]:  # noqa: ANN401 - each driver has its own
        """Run a statement and give its rows."""


def nothing() -> dict[str, Any]:
    """Return what a look does while there is no database."""
    return {"counts": {}, "rows": [], "roles": {}}


def look_at(database: Path | str) -> Look:
    """Give what looks into a file, or into a database on a server by its URL.

    A look returns `{"counts": {state: n}, "rows": [...], "roles": {id: role}}`, rows newest first. A row is
    `{"id", "chat_id", "topic_id", "message_id", "state", "attempt", "token", "held_since", "text"}`:
    `token` and `held_since` (Unix time) are set when its turn holds the session's guard, `text` is how the
    message begins. A state is one of the bot's, or "sending": done, with parts of the answer not on screen.
    A role is "owner", "user" or "group" of those who may talk; "replied", "asked" or "denied" of strangers.
    """
    if isinstance(database, Path):
        return functools.partial(_look_into, database)
    try:
        from tgbot.playground.pending_on_server import Server  # noqa: PLC0415 - its driver is an extra
    except ImportError:  # the bot says so
        return nothing
    return Server(database).look


def seen(connection: Connection, text_of: Callable[[str], str]) -> dict[str, Any]:
    """Read all of it; `text_of` gives SQL for a field of the message in `p.raw`."""
    rows = _ROWS.replace("TEXT", text_of("text")).replace("CAPTION", text_of("caption"))
    return {
        "counts": dict(connection.execute(_COUNTS)),
        "rows": [dict(zip(_COLUMNS, row, strict=True)) for row in connection.execute(rows)],
        "roles": {str(row[0]): row[1] for row in connection.execute(_ROLES)},
    }


def _look_into(file: Path) -> dict[str, Any]:
    if not file.exists():
        return nothing()
    try:
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as raw:
            return seen(raw, "p.raw ->> '$.message.{}'".format)
    except sqlite3.DatabaseError:  # not migrated yet, or busy for a moment: the next look will show it
        return nothing()
