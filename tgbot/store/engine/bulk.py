"""Whole tables at once, for who copies a database: each kind has its own way."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import Table

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import shared

Row = tuple[Any, ...]  # the values of all columns, in the table's order


class Bulk(Protocol):
    """What works on one connection, in its transaction."""

    def hold(self, conn: Connection, tables: Sequence[Table]) -> None:
        """Let nobody else write to these tables before the transaction ends, however long it takes.

        Rows that it writes may refer to others that it writes later.
        """

    def fill(self, conn: Connection, table: Table, rows: Iterable[Row]) -> None:
        """Insert rows as they come, never many of them in memory."""

    def last_id(self, conn: Connection, table: Table) -> int:
        """Read the last id that was given to a row, which may be gone; 0 if none was."""

    def set_last_id(self, conn: Connection, table: Table, last_id: int) -> None:
        """Let the next row have a larger id."""

    def size_bytes(self, conn: Connection, tables: Sequence[Table]) -> int:
        """Measure these tables on disk, with their indexes."""


def counts_for_ever(table: Table) -> bool:
    """Say whether no id of a table may be used twice (AUTOINCREMENT)."""
    return bool(table.dialect_options["sqlite"]["autoincrement"])


def bulk_of(conn: Connection) -> Bulk:
    """Give the way of the database that this is a connection to."""
    if shared(conn):
        from tgbot.store.engine.postgres import bulk as postgres  # noqa: PLC0415 - it carries its driver

        return postgres
    from tgbot.store.engine.sqlite import bulk as sqlite  # noqa: PLC0415 - the same

    return sqlite
