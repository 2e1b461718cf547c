"""Whole tables of a file at once."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Table

from tgbot.store.engine.bulk import Row, counts_for_ever
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sqlite.opening import driver_of


def hold(conn: Connection, _: Sequence[Table]) -> None:
    """Check foreign keys at the commit only; nobody else writes, for the file is owned."""
    driver_of(conn).execute("PRAGMA defer_foreign_keys=ON")


def fill(conn: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows as they come."""
    names = ", ".join(f'"{column.name}"' for column in table.c)
    values = ", ".join("?" for _ in table.c)
    driver_of(conn).executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({values})', rows)  # noqa: S608 - names of ours


def last_id(conn: Connection, table: Table) -> int:
    """Read what AUTOINCREMENT counts by."""
    sql = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    row = driver_of(conn).execute(sql, (table.name,)).fetchone()
    return int(row[0]) if row else 0


def set_last_id(conn: Connection, table: Table, last_id: int) -> None:
    """Write it. Where there is no AUTOINCREMENT, SQLite goes by the largest id that is there."""
    if counts_for_ever(table) and last_id:
        driver = driver_of(conn)
        driver.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        driver.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, last_id))


def size_bytes(conn: Connection, _: Sequence[Table]) -> int:
    """Measure the file as it will be."""
    driver = driver_of(conn)
    [pages], [page_bytes] = (
        driver.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
    )
    return int(pages) * int(page_bytes)
