"""Whole tables of a server at once."""

from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import Table

from tgbot.store.engine.bulk import Row
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.postgres.opening import driver_of

_SEQUENCE = "pg_get_serial_sequence(%s, 'id')::regclass"


def hold(conn: Connection, tables: Sequence[Table]) -> None:
    """Lock the tables against all who write; the server must not end it while the other database works."""
    driver = driver_of(conn)
    driver.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    driver.execute(
        SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(_names(table.name for table in tables))
    )


def fill(conn: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Copy rows as they come: in one statement, after which foreign keys are checked."""
    copying = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table.name), _names(table.c.keys()))
    with driver_of(conn).cursor() as cursor:
        with cursor.copy(copying) as copy:
            for row in rows:
                copy.write_row(row)
        # Else the first plans of a bot that begins at once would be those for empty tables.
        cursor.execute(SQL("ANALYZE {}").format(Identifier(table.name)))


def last_id(conn: Connection, table: Table) -> int:
    """Read what the sequence has given."""
    cursor = driver_of(conn).execute(f"SELECT pg_sequence_last_value({_SEQUENCE})", (table.name,))
    [[last]] = cursor.fetchall()
    return last or 0


def set_last_id(conn: Connection, table: Table, last_id: int) -> None:
    """Set the sequence, at once: no rollback takes it back."""
    values = (table.name, max(last_id, 1), last_id > 0)
    driver_of(conn).execute(f"SELECT setval({_SEQUENCE}, %s, %s)", values)


def size_bytes(conn: Connection, tables: Sequence[Table]) -> int:
    """Measure the tables."""
    sql = "SELECT sum(pg_total_relation_size(name::regclass))::bigint FROM unnest(%s::text[]) AS name"
    [[size]] = driver_of(conn).execute(sql, ([table.name for table in tables],)).fetchall()
    return int(size)


def _names(names: Iterable[str]) -> Composed:
    return Composed([Identifier(name) for name in names]).join(", ")
