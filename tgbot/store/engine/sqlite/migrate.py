"""Brings a file to the newest schema, after a backup copy when there is something to lose."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from tgbot.store.engine import revisions
from tgbot.store.engine.errors import storage_errors
from tgbot.store.engine.revisions import REVISION, SchemaError, check_revision
from tgbot.store.engine.sqlite.backup import back_up
from tgbot.store.engine.sqlite.opening import writing_engine

__all__ = ["REVISION", "SchemaError", "check_revision", "current_revision", "upgrade"]

log = logging.getLogger(__name__)


def upgrade(path: Path) -> bool:
    """Apply what is missing. Returns whether anything was.

    The caller holds the process lock. Raises SchemaError, StorageError, DatabaseDamagedError.
    """
    revision = current_revision(path)
    if revision == REVISION:
        return False
    if revision is not None:
        check_revision(path, revision)
    with storage_errors(f"{path} cannot be upgraded: "):
        if revision is not None:
            log.info("migrate.backup file=%s", back_up(path, revision))
        _apply(path)
    log.info("migrate.done from=%s to=%s", revision, REVISION)
    return True


def current_revision(path: Path) -> str | None:
    """Read the file's revision, None for one that is new or not there. Raises SchemaError, StorageError."""
    if not path.exists():
        return None
    with storage_errors(f"{path} cannot be read: "), closing(sqlite3.connect(path)) as raw:
        try:
            known = raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            raise SchemaError(f"{path} cannot be read ({error}): name a file of tgbot's own") from None
        row = raw.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return str(row[0]) if row else None


def _apply(path: Path) -> None:
    engine = writing_engine(path)
    try:
        with engine.begin() as conn:
            revisions.apply(conn)
    finally:
        engine.dispose()
