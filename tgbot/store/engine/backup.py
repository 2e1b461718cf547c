"""Copies a database before it is changed: the copy is whole, or it is not there."""

import glob
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.private import create_private

UNFINISHED = ".partial"


def back_up(path: Path, revision: str) -> Path:
    """Copy the file beside itself and give the copy; one of the same state that is there is taken.

    The copy has the revision and the time of the newest change in its name, so it never takes
    another's place. Raises sqlite3.Error, StorageError.
    """
    _remove_unfinished(path)
    with closing(sqlite3.connect(path)) as source:
        # With all that the log holds in the file, and no other mode to change to, the file's time
        # moves with the next commit only. A reader may be in the way: then the time says nothing.
        source.execute("PRAGMA journal_mode=WAL")
        busy, *_ = source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        copy = path.with_name(f"{path.name}.{revision}-{_changed_at(path)}.backup")
        if busy or not copy.exists():
            _copy(source, copy)
    return copy


def _copy(source: sqlite3.Connection, copy: Path) -> None:
    unfinished = copy.with_name(copy.name + UNFINISHED)
    create_private(unfinished)
    try:
        with closing(sqlite3.connect(unfinished)) as target:
            source.backup(target)
        _to_disk(unfinished)
        unfinished.rename(copy)
        _to_disk(copy.parent)  # the name, too
    except OSError as error:
        raise StorageError(f"cannot make {copy}: {error.strerror}") from error
    finally:
        _remove_unfinished(copy)


def _remove_unfinished(path: Path) -> None:
    """Remove the half copies of a path, with what SQLite put beside them."""
    for unfinished in path.parent.glob(f"{glob.escape(path.name)}*{UNFINISHED}*"):
        unfinished.unlink(missing_ok=True)


def _changed_at(path: Path) -> str:
    seconds, nanoseconds = divmod(path.stat().st_mtime_ns, 10**9)
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}.{nanoseconds:09}"


def _to_disk(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
