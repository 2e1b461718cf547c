"""Databases with a past: rows by the million, made inside SQLite because Python would take minutes."""

import json
import sqlite3
from pathlib import Path

from bench import scene

OLD_CHATS = 50_000
FIRST_OLD_CHAT = 10_000_000
FIRST_OLD_UPDATE, FIRST_QUEUED_UPDATE = 1_000_000_000, 2_000_000_000

_NUMBERED = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)"
_ROW = f"""
    {_NUMBERED}
    INSERT INTO pending
        (bot_id, update_id, kind, state, session_key, chat_id, user_id, message_id,
         attempt, received_at, ended_at, raw)
    SELECT :bot_id, :first_update + i, 'message', :state, :bot_id || ':' || (:first_chat + i % :chats),
           :first_chat + i % :chats, :first_chat + i % :chats, i, :attempt, i, :ended_at, :raw
    FROM n
"""


def add_old(path: Path, rows: int) -> None:
    """Add rows whose answers were given long ago."""
    with scene.raw_connection(path) as raw:
        _add(raw, rows, OLD_CHATS, FIRST_OLD_CHAT, state="done")


def add_queued(path: Path, rows: int, chats: int) -> None:
    """Add rows that wait, spread evenly over chats 1, 2, ...; once a file."""
    with scene.raw_connection(path) as raw:
        _add(raw, rows, chats, 1, state="queued")


def _add(raw: sqlite3.Connection, rows: int, chats: int, first_chat: int, *, state: str) -> None:
    raw.execute("PRAGMA synchronous=OFF")  # made up, and soon deleted
    raw.execute(
        _ROW,
        {
            "rows": rows,
            "chats": chats,
            "first_chat": first_chat,
            "first_update": FIRST_OLD_UPDATE if state == "done" else FIRST_QUEUED_UPDATE,
            "state": state,
            "attempt": int(state == "done"),
            "ended_at": 1.0 if state == "done" else None,
            "bot_id": scene.BOT_ID,
            "raw": json.dumps(scene.update(1), separators=(",", ":")),
        },
    )


def forget_turns(path: Path) -> None:
    """Undo every claim, so that the same start can be measured again."""
    with scene.raw_connection(path) as raw:
        for table in ("guard", "turn", "outbox"):
            raw.execute(f"DELETE FROM {table}")
        raw.execute(
            "UPDATE pending SET state = 'queued', attempt = 0, ended_at = NULL"
            " WHERE update_id >= ? AND state != 'queued'",
            [FIRST_QUEUED_UPDATE],
        )
