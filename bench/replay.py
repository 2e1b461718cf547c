"""What the writer really executes, to be done again through nothing but sqlite3."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Engine, event

COMMIT = "COMMIT"


# A call of the driver: its SQL, the parameters of one execution or of many, and whether they are of many.
Call = tuple[str, Any, bool]


class Recorder(sqlite3.Connection):
    """A connection that notes in `calls` what it is asked for.

    It is on the clock, so it must cost little: no named tuple, no `super()`. It is 2 % of a message.
    """

    calls: list[Call]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as the driver's own
        """Note it and do it."""
        self.calls.append((sql, parameters, False))
        return sqlite3.Connection.execute(self, sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Note it and do it."""
        rows = list(parameters)
        self.calls.append((sql, rows, True))
        return sqlite3.Connection.executemany(self, sql, rows)

    def commit(self) -> None:
        """Note it and do it."""
        self.calls.append((COMMIT, (), False))
        sqlite3.Connection.commit(self)


@contextlib.contextmanager
def recording() -> Iterator[list[Call]]:
    """List every call on the connections that are opened meanwhile: the writer's, while nobody reads."""
    calls: list[Call] = []

    def connect(_dialect: object, _: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> Recorder:
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
