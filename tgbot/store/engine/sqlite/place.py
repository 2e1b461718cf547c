"""A SQLite file as the place of a database."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sqlite import migrate, opening
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.sqlite.lock import ProcessLock

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file, which one process at a time may own."""

    file: Path

    def __str__(self) -> str:
        return str(self.file)

    @property
    def server_url(self) -> None:
        """There is none."""
        return

    def revision(self) -> str | None:
        """Read the file's revision, None for one that is new or not there."""
        return migrate.current_revision(self.file)

    def upgrade(self) -> bool:
        """Apply what is missing, after a copy if there is something to lose."""
        return migrate.upgrade(self.file)

    def owned(self) -> ProcessLock:
        """Own the file for as long as the context lasts."""
        return ProcessLock(self.file)

    def is_owned(self) -> bool:
        """Say whether a process owns the file."""
        return ProcessLock(self.file).is_held()

    def database(self) -> SqliteDatabase:
        """Make what writes to the file and reads from it."""
        return SqliteDatabase(self.file)

    def read_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one reading operation."""
        return opening.read_once(self.file, operation)

    def write_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one operation as a transaction."""
        return opening.write_once(self.file, operation)
