"""Where a database is, by its URL: a SQLite file, or a PostgreSQL server."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database

T = TypeVar("T")

POSTGRES = "postgresql+psycopg://"


class Place(Protocol):
    """A database that may not be there yet. As text it names itself for people, without a password."""

    @property
    def file(self) -> Path | None:
        """The file of SQLite; None for a server."""

    @property
    def server_url(self) -> str | None:
        """The URL for PostgreSQL's own programs, without a password; None for a file."""

    def revision(self) -> str | None:
        """Read the schema's revision, None where there is none yet. Raises SchemaError, StorageError."""

    def upgrade(self) -> bool:
        """Bring it to the newest schema; whether anything was done. It must be owned.

        Raises SchemaError, StorageError, DatabaseDamagedError.
        """

    def owned(self) -> AbstractContextManager[object]:
        """Own it, where only one process may. Raises DatabaseLockedError, StorageError."""

    def is_owned(self) -> bool | None:
        """Say whether a process owns it; None where several may work on it."""

    def database(self) -> Database:
        """Make what writes to it and reads from it for as long as the bot runs."""

    def read_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one reading operation, beside whoever writes. Raises StorageError, DatabaseDamagedError."""

    def write_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one operation as a transaction, beside whoever writes. Raises as `read_once` does."""


def place_of(url: str) -> Place:
    """Give the place of a URL that the settings have accepted. Raises StorageError."""
    if not url.startswith(POSTGRES):
        from tgbot.store.engine.sqlite.place import SqliteFile  # noqa: PLC0415 - each carries its own driver

        return SqliteFile(Path(url.partition(":///")[2]).absolute())
    try:
        from tgbot.store.engine.postgres.place import PostgresServer  # noqa: PLC0415 - the same
    except ImportError:
        raise StorageError("PostgreSQL needs psycopg: pip install 'tgbot[postgres]'") from None
    return PostgresServer(url)
