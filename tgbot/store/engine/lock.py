"""The process lock: one process per database file."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from tgbot.store.engine.errors import StorageError


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
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"can not open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(fd, 32).decode().strip() or "unknown"
            os.close(fd)
            raise DatabaseLockedError(f"{self._database} is in use: process {holder} runs on it") from None
        with contextlib.suppress(OSError):  # disk full: it is locked all the same, by nobody known
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        # What an agent forks (a process pool, say) may outlive us, and shall not hold the lock then.
        os.register_at_fork(after_in_child=self._let_go)
        return self

    def __exit__(self, *_: object) -> None:
        # The file stays: unlinking it would let two processes lock two files of one name.
        self._let_go()

    def is_held(self) -> bool:
        """Tell whether a process owns the database now."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False  # it was never locked
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def _let_go(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
