"""Looks into the bot's database, read-only, for the panel: what waits, runs, is done, and who holds what."""

import sqlite3
from pathlib import Path
from typing import Any

ROWS_SHOWN_MAX = 100
_COUNTS = "SELECT state, count(*) FROM pending WHERE kind = 'message' GROUP BY state"
_ROWS = """
SELECT p.id, p.chat_id, p.topic_id, p.message_id, p.state, p.attempt, t.id AS token, g.since AS held_since
FROM pending p
LEFT JOIN turn t ON t.pending_id = p.id AND t.id = (SELECT max(id) FROM turn WHERE pending_id = p.id)
LEFT JOIN guard g ON g.turn_id = t.id
WHERE p.kind = 'message' ORDER BY p.id DESC LIMIT ?
"""


def look(database: Path) -> dict[str, Any]:
    """Return `{"counts": {state: n}, "rows": [...]}`, newest first; empty while there is no database.

    A row is `{"id", "chat_id", "topic_id", "message_id", "state", "attempt", "token", "held_since"}`: `token`
    is the fencing token of its last turn, and `held_since` (Unix time) is set when that turn holds the guard.
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
    except sqlite3.OperationalError:  # not migrated yet, or busy for a moment: the next look will tell
        return empty
    finally:
        connection.close()
