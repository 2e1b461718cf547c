"""A database on a PostgreSQL server as the place of the bot's."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.postgres import migrate, opening
from tgbot.store.engine.postgres.database import PostgresDatabase

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database, on which any number of processes may work."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return opening.name_of(self.url)

    @property
    def file(self) -> None:
        """There is none."""
        return

    @property
    def server_url(self) -> str:
        """The URL for PostgreSQL's own programs, which ask for a password."""
        return str(self).replace("+psycopg", "", 1).replace(":***@", "@", 1)

    def revision(self) -> str | None:
        """Read the schema's revision, None where there is none yet."""
        return self.read_once(migrate.current_revision)

    def upgrade(self) -> bool:
        """Apply what is missing, one process at a time."""
        return self.write_once(lambda conn: migrate.upgrade(conn, str(self)))

    def owned(self) -> AbstractContextManager[object]:
        """Need nothing: what several processes do is kept apart row by row."""
        return contextlib.nullcontext()

    def is_owned(self) -> None:
        """Leave it open: the instances in the database say who works on it."""
        return

    def database(self) -> PostgresDatabase:
        """Make what writes to the server and reads from it."""
        return PostgresDatabase(self.url)

    def read_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one reading operation."""
        return opening.once(self.url, opening.READING, operation)

    def write_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one operation as a transaction."""
        return opening.once(self.url, opening.WRITING, operation)
