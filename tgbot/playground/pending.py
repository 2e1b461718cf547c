"""Looks into the bot's database, read-only, for the page: what waits, runs, is done, and who may talk."""

import sqlite3
from pathlib import Path
from typing import Any

ROWS_SHOWN_MAX = 100
# Done in the database, but a part of the answer is not on screen yet. A list, not a test for each row: the
# outbox has an index of what is unsent, and pending may have many rows that are done.
_UNSENT = "SELECT pending_id FROM outbox WHERE state IN ('ready', 'sending', 'unknown')"
_STATE = f"CASE WHEN state = 'done' AND id IN ({_UNSENT}) THEN 'sending' ELSE state END"
_COUNTS = f"SELECT {_STATE}, count(*) FROM pending WHERE kind = 'message' GROUP BY 1"  # noqa: S608  constants
_ROWS = f"""
SELECT p.id, p.chat_id, p.topic_id, p.message_id, {_STATE} AS state, p.attempt, held.token,
    held.since AS held_since,
    substr(coalesce(p.raw ->> '$.message.text', p.raw ->> '$.message.caption'), 1, 80) AS text
FROM pending p
LEFT JOIN (SELECT t.pending_id, t.id AS token, g.since FROM guard g JOIN turn t ON t.id = g.turn_id) held
    ON held.pending_id = p.id
WHERE p.kind = 'message' ORDER BY p.id DESC LIMIT ?
"""  # noqa: S608  constants
_ROLES = "SELECT user_id, state FROM stranger UNION ALL SELECT chat_id, role FROM allowed"


def nothing() -> dict[str, Any]:
    """Return what `look` does while there is no database."""
    return {"counts": {}, "rows": [], "roles": {}}


def look(database: Path) -> dict[str, Any]:
    """Return `{"counts": {state: n}, "rows": [...], "roles": {id: role}}`, rows newest first.

    A row is `{"id", "chat_id", "topic_id", "message_id", "state", "attempt", "token", "held_since", "text"}`:
    `token` and `held_since` (Unix time) are set when its turn holds the session's guard, `text` is how the
    message begins. A state is one of the bot's, or "sending": done, with parts of the answer not on screen.
    A role is "owner", "user" or "group" of those who may talk; "replied", "asked" or "denied" of strangers.
    """
    if not database.exists():
        return nothing()
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return nothing()
    try:
        connection.row_factory = sqlite3.Row
        return {
            "counts": dict(map(tuple, connection.execute(_COUNTS))),
            "rows": [dict(row) for row in connection.execute(_ROWS, (ROWS_SHOWN_MAX,))],
            "roles": {str(row[0]): row[1] for row in connection.execute(_ROLES)},
        }
    except sqlite3.DatabaseError:  # not migrated yet, or busy for a moment: the next look will show it
        return nothing()
    finally:
        connection.close()
