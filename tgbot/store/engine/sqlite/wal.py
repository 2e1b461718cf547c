"""The write-ahead log as a file: it gives its room back on a full disk, and is watched while it grows."""

import contextlib
import logging
import sqlite3
from pathlib import Path

log = logging.getLogger(__name__)

MOMENT_MS = 200  # longer than `tgbot status` reads
LARGE_BYTES = (
    128 * 1024 * 1024
)  # SQLite shortens it to half of that whenever nobody reads (connection.PRAGMAS)


def give_room(driver: sqlite3.Connection) -> None:
    """Move what the log holds into the database, which makes room for the next commit.

    SQLite does so by itself after a commit only; when the log has filled the disk, none succeeds.
    It waits but a moment for those who read an old state: as long no commit can begin, and a program that
    replicates the database (Litestream) reads one all the time.
    """
    (patience_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout={MOMENT_MS}")
    try:
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        log.warning("db.checkpoint_failed reason=%s", error)
    finally:
        driver.execute(f"PRAGMA busy_timeout={patience_ms}")


class LogSize:
    """Warns of a log that grows because something reads an old state, once each time it has doubled."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-wal")
        self._warn_at = LARGE_BYTES

    def check(self) -> None:
        """Look at the file; it costs microseconds, so do it at every commit."""
        with contextlib.suppress(OSError):  # what was committed has not failed, whatever this finds
            self._compare(self._path.stat().st_size)

    def _compare(self, size: int) -> None:
        if size < LARGE_BYTES:
            self._warn_at = LARGE_BYTES
        elif size >= self._warn_at:
            what = "end what keeps the database open for reading, a backup tool or a shell"
            log.warning("db.log_grows file=%s bytes=%s: %s", self._path, size, what)
            while self._warn_at <= size:
                self._warn_at *= 2
