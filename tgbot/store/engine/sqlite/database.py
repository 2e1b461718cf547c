"""One SQLite file: the only connection that writes, and one that reads."""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError, as_storage_error, is_full, reason
from tgbot.store.engine.sqlite.opening import driver_of, reading_engine, writing_engine
from tgbot.store.engine.sqlite.wal import LogSize, give_room
from tgbot.store.engine.writer import Database, Operation, Outcome, failed
from tgbot.tally import tally

log = logging.getLogger(__name__)


class SqliteDatabase(Database):
    """A file. What queues up during a commit is one transaction, so a power cut costs no speed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path.resolve()  # an agent may go to another folder

    def _open(self) -> None:
        self._writer = writing_engine(self._path)
        self._conn = self._writer.connect()
        self._log_size = LogSize(self._path)
        self._inode = self._path.stat().st_ino
        self._readers = reading_engine(self._path)

    def _close_writer(self) -> None:
        self._conn.close()
        self._writer.dispose()

    def _close_reader(self) -> None:
        self._readers.dispose()

    def _reader(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    async def empty_log(self) -> None:
        """Move what the write-ahead log holds into the database, and empty it: it still has what was erased.

        Where something reads an old state it stays until that has ended; then it is overwritten.
        """
        await self.read(lambda conn: give_room(driver_of(conn)))

    def _commit(self, batch: Sequence[Operation]) -> list[Outcome]:
        """Run a batch as one transaction; only if one of it fails, again with a savepoint for each."""
        try:
            with self._transaction(len(batch)):
                outcomes = [self._run(operation) for operation in batch]
        except Exception as error:  # noqa: BLE001 - told to its caller, or to all of the batch
            self._rollback(error)
            if len(batch) > 1 and not isinstance(as_storage_error(error), StorageError):
                return self._commit_apart(batch)
            return failed(batch, error)
        return outcomes

    def _commit_apart(self, batch: Sequence[Operation]) -> list[Outcome]:
        """Run a batch as one transaction in which each operation fails for itself."""
        try:
            with self._transaction(len(batch)):
                outcomes = [self._attempt(operation) for operation in batch]
        except Exception as error:  # noqa: BLE001 - told to every caller of the batch
            self._rollback(error)
            return failed(batch, error)
        return outcomes

    @contextlib.contextmanager
    def _transaction(self, writes: int) -> Iterator[None]:
        began_at = time.monotonic()
        self._conn.begin()
        yield
        self._check_file()
        self._conn.commit()
        tally.commit_seconds.add(time.monotonic() - began_at)
        tally.commit_writes.add(writes)
        self._log_size.check()

    def _check_file(self) -> None:
        """Refuse to commit into a file that nobody will find again: SQLite in WAL mode would not notice."""
        try:
            inode = self._path.stat().st_ino
        except OSError:
            inode = None
        if inode != self._inode:
            raise StorageError(f"{self._path} was deleted or replaced: nothing is stored until a new start")

    def _run(self, operation: Operation) -> Outcome:
        value = operation.run(self._conn)
        if not driver_of(self._conn).in_transaction:
            # Disk full or I/O error: SQLite rolled back all of it, not only this operation.
            raise StorageError("the transaction was lost")
        return Outcome(operation.future, value, None)

    def _attempt(self, operation: Operation) -> Outcome:
        driver = driver_of(self._conn)
        driver.execute("SAVEPOINT operation")
        try:
            outcome = self._run(operation)
        except Exception as error:
            if not driver.in_transaction:
                raise
            driver.execute("ROLLBACK TO operation")
            [outcome] = failed([operation], error)
        driver.execute("RELEASE operation")
        return outcome

    def _rollback(self, failure: Exception) -> None:
        try:
            self._conn.rollback()
            if self._conn.invalidated:  # to ask one that is gone for its driver would open it again
                return
            # After a COMMIT that failed SQLAlchemy counts the transaction as ended, SQLite does not.
            driver_of(self._conn).rollback()
            if is_full(failure):
                give_room(driver_of(self._conn))
        except (DBAPIError, sqlite3.Error) as error:
            log.warning("db.rollback_failed reason=%s", reason(error))
            self._conn.invalidate()
