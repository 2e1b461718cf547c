"""Asks SQLite whether a file is damaged."""

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sqlite.opening import driver_of

DAMAGES_MAX = 3  # that are listed: one is bad enough


def damages(conn: Connection) -> list[str]:
    """List what is damaged, in SQLite's words; reads the whole file, beside whoever writes to it."""
    rows = driver_of(conn).execute(f"PRAGMA integrity_check({DAMAGES_MAX})").fetchall()
    return [] if rows == [("ok",)] else [str(row[0]) for row in rows]
