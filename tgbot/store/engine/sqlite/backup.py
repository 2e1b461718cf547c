"""Copies a database, also while it is written: a copy is whole, or it is not there."""

import contextlib
import glob
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tgbot.store.engine.errors import DatabaseDamagedError, StorageError
from tgbot.store.engine.private import MODE

UNFINISHED = ".partial"
KEPT_COPIES = 3  # of those that migrations make
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite puts beside a database


def back_up(path: Path, revision: str) -> Path:
    """Copy the file beside itself and give the copy; one of the same state that is there is taken.

    The copy has the revision and the time of the newest change in its name, so it never takes
    another's place. The newest KEPT_COPIES stay. Raises sqlite3.Error, StorageError.
    """
    remove_unfinished(path)
    with closing(sqlite3.connect(path)) as source:
        # With all that the log holds in the file, and no other mode to change to, the file's time
        # moves with the next commit only. A reader may be in the way: then the time says nothing.
        source.execute("PRAGMA journal_mode=WAL")
        busy, *_ = source.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        copy = path.with_name(f"{path.name}.{revision}-{stamp(path.stat().st_mtime_ns)}.backup")
        if busy or not copy.exists():
            with whole_copy(source, copy) as unfinished:
                publish(unfinished, copy)
    _rotate(path, copy)
    return copy


def save(path: Path, copy: Path) -> None:
    """Copy the file to a place of the user's choice, and check the copy.

    Raises sqlite3.Error, StorageError (also if there is something in that place), DatabaseDamagedError.
    """
    if os.path.lexists(copy):
        raise StorageError(f"{copy} is there already: name a file that is not")
    with closing(sqlite3.connect(path)) as source, whole_copy(source, copy) as unfinished:
        check(unfinished, path)
        publish(unfinished, copy)


@contextlib.contextmanager
def whole_copy(source: sqlite3.Connection, copy: Path) -> Iterator[Path]:
    """Give an unfinished copy, which is removed at the end unless it was published as `copy`.

    It needs no files beside it until somebody writes to it. Raises sqlite3.Error, StorageError.
    """
    unfinished = _new_file(copy)
    try:
        with closing(sqlite3.connect(unfinished)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
        yield unfinished
    finally:
        remove(unfinished)


def check(file: Path, origin: Path) -> None:
    """Read a copy from end to end. Raises DatabaseDamagedError, naming the origin; sqlite3.Error."""
    with closing(sqlite3.connect(file)) as raw:
        [found] = raw.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        how = "restore an older backup, or what `sqlite3 FILE .recover` can save"
        raise DatabaseDamagedError(f"{origin} is damaged ({' '.join(found.split())}): {how}")


def publish(unfinished: Path, copy: Path) -> None:
    """Give an unfinished copy its name, in one step. Raises StorageError."""
    try:
        _to_disk(unfinished)
        unfinished.rename(copy)
        _to_disk(copy.parent)  # the name, too
    except OSError as error:
        raise StorageError(f"cannot make {copy}: {error.strerror}") from error


def remove(path: Path) -> None:
    """Remove a database that may not be there, with what SQLite put beside it."""
    for suffix in ("", *BESIDE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def stamp(nanoseconds: int) -> str:
    """Write a Unix time so that it sorts, and can be in a file's name."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}.{rest:09}"


def _new_file(copy: Path) -> Path:
    # A name of its own: two that copy to the same place must not write into one file.
    if not copy.parent.is_dir():
        raise StorageError(f"cannot make {copy}: there is no folder {copy.parent}: make it first")
    try:
        fd, name = tempfile.mkstemp(UNFINISHED, f"{copy.name}.", copy.parent)
    except OSError as error:
        raise StorageError(f"cannot make {copy}: {error.strerror}") from error
    os.fchmod(fd, MODE)
    os.close(fd)
    return Path(name)


def _rotate(path: Path, newest: Path) -> None:
    """Remove all but the newest copies, by the times in their names, which are those of their states."""
    named = re.compile(rf"{re.escape(path.name)}\.\w+-(\d{{8}}T\d{{6}}\.\d{{9}})\.backup")
    copies = {file: match[1] for file in path.parent.iterdir() if (match := named.fullmatch(file.name))}
    kept = {newest, *sorted(copies, key=lambda file: copies[file])[-KEPT_COPIES:]}
    for copy in copies.keys() - kept:
        copy.unlink(missing_ok=True)


def remove_unfinished(path: Path) -> None:
    """Remove the half copies of a path, with what SQLite put beside them."""
    for unfinished in path.parent.glob(f"{glob.escape(path.name)}*{UNFINISHED}*"):
        unfinished.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
