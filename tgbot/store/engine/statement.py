"""Core statements, compiled to SQL once and executed on the driver itself.

SQLAlchemy writes the SQL, but its execution wraps each call in more work than SQLite does for it:
going past it nearly doubles what the whole durable line carries (docs/bench.md).
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Insert
from sqlalchemy.sql.expression import Executable

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import POSTGRESQL

MakeRow = Callable[[Sequence[Any]], Any]


class Result:
    """What a statement gave: rows with a column by attribute, `rowcount` changed, `lastrowid` inserted."""

    __slots__ = ("_make_row", "_values", "lastrowid", "rowcount")

    def __init__(self, values: list[Any], make_row: MakeRow, rowcount: int, lastrowid: int) -> None:
        self._values = values
        self._make_row = make_row
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def __iter__(self) -> Iterator[Any]:
        return map(self._make_row, self._values)

    @property
    def rows(self) -> list[Any]:
        """All rows."""
        return list(self)

    def first(self) -> Any:  # noqa: ANN401 - a row of any columns, or None
        """Give the first row, None without one."""
        return self._make_row(self._values[0]) if self._values else None

    def scalar(self) -> Any:  # noqa: ANN401 - a column of any type, or None
        """Give the first column of the first row, None without one."""
        return self._values[0][0] if self._values else None

    def scalars(self) -> list[Any]:
        """Give the first column of each row."""
        return [row[0] for row in self._values]


class Prepared(NamedTuple):
    """A statement for one kind of database; `gives_id`: its only row is the id of what it inserted."""

    sql: str
    constants: dict[str, Any]  # that SQLAlchemy binds by itself, the 0 of an OFFSET say
    on_sqlite: bool
    gives_id: bool


class Statement:
    """`STATEMENT(conn, name=value)` executes, on the writer or on a reading connection alike."""

    __slots__ = ("_clause", "_make_row", "_prepared")

    def __init__(self, clause: Executable) -> None:
        self._clause = clause
        self._prepared: dict[str, Prepared] = {}
        self._make_row: MakeRow = tuple  # until it is compiled

    def __call__(self, conn: Connection, **values: object) -> Result:
        """Execute with these parameters. Raises the driver's errors or SQLAlchemy's."""
        if not conn.in_transaction():
            conn.begin()  # as SQLAlchemy would; on the driver a statement alone is its own transaction
        sql, constants, on_sqlite, gives_id = self.for_dialect(conn.dialect)
        parameters = {**constants, **values} if constants else values
        cursor = conn.connection.dbapi_connection.execute(sql, parameters)  # type: ignore[union-attr]  # both drivers have it
        if on_sqlite:
            return Result(cursor.fetchall(), self._make_row, cursor.rowcount, cursor.lastrowid or 0)
        rows = cursor.fetchall() if cursor.description else []
        inserted = rows[-1][0] if gives_id and rows else 0
        return Result([] if gives_id else rows, self._make_row, cursor.rowcount, inserted)

    def many(self, conn: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Execute once for each row of parameters."""
        prepared = self.for_dialect(conn.dialect)
        conn.connection.cursor().executemany(prepared.sql, rows)

    def for_dialect(self, dialect: Dialect) -> Prepared:
        """Give it as this kind of database is sent it."""
        return self._prepared.get(dialect.name) or self._prepare(dialect)

    def _prepare(self, dialect: Dialect) -> Prepared:
        clause: Any = self._clause
        # Columns without a name of their own (a count) are read by position.
        names = clause.exported_columns.keys()
        on_sqlite = dialect.name != POSTGRESQL
        gives_id = not on_sqlite and isinstance(clause, Insert) and not names and "id" in clause.table.c
        if gives_id:  # SQLite's driver knows it without being asked
            clause = clause.returning(clause.table.c.id)
        compiled = clause.compile(dialect=dialect)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        row_type = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 - data names them
        self._make_row = row_type._make
        return self._prepared.setdefault(
            dialect.name, Prepared(str(compiled), constants, on_sqlite, gives_id)
        )
