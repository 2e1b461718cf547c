"""A database on a PostgreSQL server as the place of the bot's."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.engine import make_url

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.postgres import migrate, opening
from tgbot.store.engine.postgres.database import PostgresDatabase

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database, on which any number of processes may work."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        url = make_url(self.url).difference_update_query(["password"])  # where libpq takes one, too
        return url.render_as_string(hide_password=True)

    @property
    def file(self) -> None:
        """There is none."""
        return

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
        return PostgresDatabase(self.url, str(self))

    def read_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one reading operation."""
        return opening.once(self.url, str(self), opening.READING, operation)

    def write_once(self, operation: Callable[[Connection], T]) -> T:
        """Run one operation as a transaction."""
        return opening.once(self.url, str(self), opening.WRITING, operation)
