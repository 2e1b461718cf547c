"""Puts a backup in a database's place: at every moment one of the two is there, whole."""

import contextlib
import glob
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tgbot.store.engine.errors import DatabaseDamagedError, StorageError, storage_errors
from tgbot.store.engine.private import MODE
from tgbot.store.engine.sqlite.backup import BESIDE, check, publish, remove_unfinished, stamp, whole_copy
from tgbot.store.engine.sqlite.migrate import REVISION, SchemaError, check_revision, current_revision

REPLACED = ".replaced-"  # and when, in the name of what was there


def restore(path: Path, backup: Path) -> Path | None:
    """Replace the database by a copy of `backup`; give where the old one is kept, None if there was none.

    The caller holds the process lock. Raises SchemaError (`backup` is not one of ours, or is newer),
    StorageError, DatabaseDamagedError.
    """
    path = path.resolve()  # a link stays one
    _refuse_others(backup)
    with _errors(path, backup), closing(sqlite3.connect(backup)) as source:
        remove_unfinished(path)
        with whole_copy(source, path) as unfinished:
            check(unfinished, backup)
            kept = _put_aside(path) if path.exists() else None
            _remove_logs(path)
            publish(unfinished, path)
    return kept


def _refuse_others(backup: Path) -> None:
    if not backup.is_file():
        raise StorageError(f"{backup} is not there, or is not a file: name a backup")
    revision = current_revision(backup)
    if revision is None:
        raise SchemaError(f"{backup} is not a database of tgbot's: name a backup")
    if revision != REVISION:
        check_revision(backup, revision)


@contextlib.contextmanager
def _errors(path: Path, backup: Path) -> Iterator[None]:
    prefix = f"{path} cannot be replaced by {backup}: "
    try:
        with storage_errors(prefix):
            yield
    except OSError as error:
        raise StorageError(f"{prefix}{error.strerror}") from error


def _put_aside(path: Path) -> Path:
    """Give the old database a second name. Raises StorageError, OSError."""
    _fold_log(path)
    _forget_second_names(path)
    kept = path.with_name(f"{path.name}{REPLACED}{stamp(time.time_ns())}")
    for suffix in ("", "-wal"):  # a damaged one may need its log
        file = path.with_name(path.name + suffix)
        if file.exists():
            os.link(file, f"{kept}{suffix}")
    kept.chmod(MODE)
    return kept


def _forget_second_names(path: Path) -> None:
    """Remove those that a restore has left which was killed before it replaced anything."""
    for other in path.parent.glob(f"{glob.escape(path.name)}{REPLACED}*"):
        if other.samefile(path):
            other.unlink()


def _fold_log(path: Path) -> None:
    """Move all of the log into the old database, so that it is whole without it, if it can be read at all.

    Raises StorageError while another program reads it.
    """
    with (
        contextlib.suppress(DatabaseDamagedError),
        storage_errors(f"{path} cannot be put aside: "),
        closing(sqlite3.connect(path)) as old,
    ):
        busy, *_ = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StorageError(f"{path} is open in another program: close that first")


def _remove_logs(path: Path) -> None:
    """Remove what SQLite put beside the old database: it would take it for the new one's."""
    for suffix in BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
