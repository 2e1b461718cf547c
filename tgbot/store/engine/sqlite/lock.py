"""The process lock: one process per database file."""

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Self

from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.private import create_private

# How long a start tries: one who looks shares the lock for an instant, an owner writes its number at once.
TRIES = 50
TRY_SECONDS = 0.02


class DatabaseLockedError(Exception):
    """Another process owns the database; the text says which."""


class ProcessLock:
    """One process per database file: a lock the kernel releases at any death of its holder."""

    def __init__(self, database: Path) -> None:
        self._database = database
        # One lock for a file, whichever symlink names it.
        target = database.resolve()
        self._path = target.with_name(target.name + ".lock")
        self._fd: int | None = None

    def __enter__(self) -> Self:
        """Take the lock. Raises DatabaseLockedError, StorageError."""
        fd = self._acquired()
        with contextlib.suppress(OSError):  # disk full: it is locked all the same, by nobody known
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        # What an agent forks (a process pool, say) may outlive us, and must not hold the lock then.
        os.register_at_fork(after_in_child=self._let_go)
        return self

    def __exit__(self, *_: object) -> None:
        # The file stays: unlinking it would let two processes lock two files of one name.
        self._let_go()

    def is_held(self) -> bool:
        """Say whether a process owns the database now."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False  # it was never locked
        try:
            # Shared: it never stands in the way of another look, and a start outlasts it.
            return not _locked(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)

    def _acquired(self) -> int:
        """Give the lock file, open and locked."""
        create_private(self._path)
        with contextlib.ExitStack() as failing:
            try:
                fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
                failing.callback(os.close, fd)
                self._acquire(fd)
            except OSError as error:
                raise StorageError(f"cannot lock {self._path}: {error.strerror}") from error
            failing.pop_all()
        return fd

    def _acquire(self, fd: int) -> None:
        """Lock the file, unless a process owns it; one who only looks is waited for."""
        for _ in range(TRIES):
            if _locked(fd, fcntl.LOCK_EX):
                return
            if _locked(fd, fcntl.LOCK_SH):  # only looked at, as we do now
                fcntl.flock(fd, fcntl.LOCK_UN)
            elif holder := _live_process(fd):
                raise DatabaseLockedError(
                    f"{self._database} is in use by process {holder}: stop that one first"
                )
            time.sleep(TRY_SECONDS)
        raise DatabaseLockedError(f"{self._database} is in use by another process: stop that one first")

    def _let_go(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _locked(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _live_process(fd: int) -> int | None:
    """Read who owns the lock; None while it names nobody, or one that is gone: the owner has yet to write."""
    number = os.pread(fd, 32, 0).strip()
    if not number.isdigit():
        return None
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # somebody else's, and alive
    return int(number)
