"""Looks into the bot's database, read-only, for the panel: what waits, runs, is done, and who holds what."""

import sqlite3
from pathlib import Path
from typing import Any

ROWS_SHOWN_MAX = 100
_COUNTS = "SELECT state, count(*) FROM pending WHERE kind = 'message' GROUP BY state"
_ROWS = """
SELECT p.id, p.chat_id, p.topic_id, p.message_id, p.state, p.attempt, held.token, held.since AS held_since,
    substr(coalesce(p.raw ->> '$.message.text', p.raw ->> '$.message.caption'), 1, 80) AS text
FROM pending p
LEFT JOIN (SELECT t.pending_id, t.id AS token, g.since FROM guard g JOIN turn t ON t.id = g.turn_id) held
    ON held.pending_id = p.id
WHERE p.kind = 'message' ORDER BY p.id DESC LIMIT ?
"""


def look(database: Path) -> dict[str, Any]:
    """Return `{"counts": {state: n}, "rows": [...]}`, newest first; empty while there is no database.

    A row is `{"id", "chat_id", "topic_id", "message_id", "state", "attempt", "token", "held_since", "text"}`:
    `token` and `held_since` (Unix time) are set when its turn holds the session's guard, `text` is how the
    message begins.
    """
    empty: dict[str, Any] = {"counts": {}, "rows": []}
    if not database.exists():
        return empty
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return empty
    try:
        connection.row_factory = sqlite3.Row
        counts = {row[0]: row[1] for row in connection.execute(_COUNTS)}
        return {"counts": counts, "rows": [dict(row) for row in connection.execute(_ROWS, (ROWS_SHOWN_MAX,))]}
    except sqlite3.DatabaseError:  # not migrated yet, or busy for a moment: the next look will tell
        return empty
    finally:
        connection.close()
