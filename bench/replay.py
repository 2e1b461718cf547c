"""What the writer really executes, to be done again through nothing but sqlite3."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import Dialect

COMMIT = "COMMIT"


class Call(NamedTuple):
    """One call of the driver: its SQL, with the parameters of one execution, or of `many`."""

    sql: str
    parameters: Any = ()
    many: bool = False


class Recorder(sqlite3.Connection):
    """A connection that notes in `calls` what it is asked for; the noting costs less than 1 us a call."""

    calls: list[Call]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as the driver's own
        """Note it and do it."""
        self.calls.append(Call(sql, parameters))
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Note it and do it."""
        rows = list(parameters)
        self.calls.append(Call(sql, rows, many=True))
        return super().executemany(sql, rows)

    def commit(self) -> None:
        """Note it and do it."""
        self.calls.append(Call(COMMIT))
        super().commit()


@contextlib.contextmanager
def recording() -> Iterator[list[Call]]:
    """List every call on a writing connection that is opened meanwhile."""
    calls: list[Call] = []

    def connect(
        dialect: Dialect, _: object, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Recorder | None:
        if dialect.driver != "pysqlite":  # readers are aiosqlite's
            return None
        recorder = sqlite3.connect(*arguments, **options, factory=Recorder)
        recorder.calls = calls
        return recorder

    event.listen(Engine, "do_connect", connect)
    try:
        yield calls
    finally:
        event.remove(Engine, "do_connect", connect)


def replay(raw: sqlite3.Connection, calls: Iterable[Call]) -> None:
    """Do it all again: the same statements, with the same commits between them."""
    for sql, parameters, many in calls:
        if many:
            raw.executemany(sql, parameters)
        else:
            raw.execute(sql, parameters).fetchall()
