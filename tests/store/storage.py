"""What holds the database of a test: a file of SQLite's, or a database on a server of PostgreSQL's."""

import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, event

from tests import postgres
from tgbot.store.engine.sqlite.opening import writing_engine

Step = Callable[[], object]
Content = tuple[bytes, ...]


class Storage(Protocol):
    """One database. What it holds is what a SIGKILL would leave of it now."""

    def engine(self) -> Engine:
        """Make an engine for one instance, which may share it with the others."""

    def mortal_engine(self, step: Step) -> Engine:
        """Make one that calls `step` before every statement and commit that reaches the driver."""

    def content(self) -> Content:
        """Read what a SIGKILL would leave."""


class Storages(Protocol):
    """Where databases are made: one that is new, or one with the content of another.

    Where that takes long, one in so many of the examples of a test is enough: SQLite has them all.
    """

    one_in: int

    def __call__(self, content: Content | None = None) -> AbstractContextManager[Storage]: ...


class File:
    """A file, and the log beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = Path(f"{path}-wal")
        self._engines: list[Engine] = []

    def engine(self) -> Engine:
        self._engines.append(writing_engine(self.path))
        return self._engines[-1]

    def mortal_engine(self, step: Step) -> Engine:
        engine = self.engine()
        factory = _mortal(step)
        event.listen(engine, "do_connect", lambda _d, _r, _a, options: options.update(factory=factory))
        # A SIGKILL loses nothing that the kernel has; waiting for the disk would triple the time.
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        return engine

    def content(self) -> Content:
        return self.path.read_bytes(), self._log.read_bytes() if self._log.exists() else b""

    def put_back(self, content: Content) -> None:
        for place, part in zip((self.path, self._log), content, strict=True):
            place.write_bytes(part)

    def remove(self) -> None:
        for engine in self._engines:
            engine.dispose()
        for file in self.path.parent.glob(f"{self.path.name}*"):
            file.unlink(missing_ok=True)  # a log goes with its last connection, which may be now


class ServerDatabase:
    """A database of a server. All instances have one engine: none of them is at work while another is."""

    def __init__(self, database: postgres.Database) -> None:
        self._database = database

    def engine(self) -> Engine:
        return self._database.engine

    def mortal_engine(self, step: Step) -> Engine:
        self._database.step = step
        return self._database.engine

    def content(self) -> Content:
        return (self._database.content().encode(),)


class Files:
    """Makes databases as files in a folder, new ones as copies of a migrated one."""

    one_in = 1

    def __init__(self, folder: Path, template: Path) -> None:
        self._paths = (folder / f"{number}.db" for number in itertools.count())
        self._template = template

    @contextmanager
    def __call__(self, content: Content | None = None) -> Iterator[Storage]:
        file = File(next(self._paths))
        if content:
            file.put_back(content)
        else:
            shutil.copyfile(self._template, file.path)
        try:
            yield file
        finally:
            file.remove()


class Server:
    """Makes databases on a server."""

    one_in = 3

    def __init__(self, server: postgres.Server) -> None:
        self._server = server

    @contextmanager
    def __call__(self, content: Content | None = None) -> Iterator[Storage]:
        with self._server.database(content[0].decode() if content else postgres.EMPTY) as database:
            yield ServerDatabase(database)


def _mortal(step: Step) -> type[sqlite3.Connection]:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, values: Any = ()) -> "Cursor":  # noqa: ANN401 - as the driver has it
            step()
            super().execute(sql, values)
            return self

        def executemany(self, sql: str, values: Any) -> "Cursor":  # noqa: ANN401 - same
            step()
            super().executemany(sql, values)
            return self

    class Connection(sqlite3.Connection):
        def cursor(self, _: object = None) -> Cursor:  # type: ignore[override]  # nobody wants another
            return Cursor(self)

        def execute(self, sql: str, values: Any = ()) -> Cursor:  # noqa: ANN401 - same
            return self.cursor().execute(sql, values)

        def executemany(self, sql: str, values: Any) -> Cursor:  # noqa: ANN401 - same
            return self.cursor().executemany(sql, values)

        def commit(self) -> None:
            step()
            super().commit()

    return Connection
