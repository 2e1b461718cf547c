"""Core statements, compiled to SQL once and executed on the driver itself.

SQLAlchemy writes the SQL, but its execution wraps each call in more work than SQLite does for it:
going past it nearly doubles what the whole durable line carries (docs/bench.md).
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, TableValuedAlias, bindparam, func, literal_column
from sqlalchemy.sql.expression import Executable

from tgbot.store.engine.connection import Connection, driver_of

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


class Statement:
    """`STATEMENT(conn, name=value)` executes, on the writer or on a reading connection alike."""

    __slots__ = ("_clause", "_constants", "_make_row", "_sql")

    def __init__(self, clause: Executable) -> None:
        self._clause = clause
        self._sql: dict[str, str] = {}
        self._constants: dict[str, Any] = {}  # that SQLAlchemy binds by itself, the 0 of an OFFSET say
        self._make_row: MakeRow = tuple  # until it is compiled

    def __call__(self, conn: Connection, **values: object) -> Result:
        """Execute with these parameters. Raises the driver's errors or SQLAlchemy's."""
        if not conn.in_transaction():
            conn.begin()  # as SQLAlchemy would; on the driver a statement alone is its own transaction
        sql = self._prepared(conn)
        parameters = {**self._constants, **values} if self._constants else values
        cursor = driver_of(conn).execute(sql, parameters)
        return Result(cursor.fetchall(), self._make_row, cursor.rowcount, cursor.lastrowid or 0)

    def many(self, conn: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Execute once for each row of parameters."""
        sql = self._prepared(conn)
        driver_of(conn).executemany(sql, rows)

    def _prepared(self, conn: Connection) -> str:
        if conn.dialect.name in self._sql:
            return self._sql[conn.dialect.name]
        compiled = self._clause.compile(dialect=conn.dialect)  # type: ignore[attr-defined]  # any clause has it
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        # Columns without a name of their own (a count) are read by position.
        names = self._clause.exported_columns.keys()  # type: ignore[attr-defined]  # as above
        row_type = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 - data names them
        self._make_row = row_type._make
        return self._sql.setdefault(conn.dialect.name, str(compiled))


def literal(sql: str) -> ColumnElement[Any]:
    """Put a constant into the SQL itself: with a bound one SQLite can't see that a partial index fits."""
    return literal_column(sql)


def listed(parameter: str) -> TableValuedAlias:
    """Read a parameter, a JSON array, as a table of one column `value`: SQLite binds no lists."""
    return func.json_each(bindparam(parameter)).table_valued("value", name=parameter)
