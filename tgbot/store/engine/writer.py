"""`write` and `read`: one writer thread with group commit, one that reads beside it."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar

from sqlalchemy.exc import DBAPIError

from tgbot.store.engine.connection import Connection, driver_of, reading_engine, writing_engine
from tgbot.store.engine.errors import (
    DatabaseDamagedError,
    StorageError,
    as_storage_error,
    is_full,
    reason,
    storage_errors,
)
from tgbot.store.engine.wal import LogSize, give_room
from tgbot.tally import tally

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

BATCH_MAX = 256  # operations a commit: bounds what one failing commit takes along


class _Operation(NamedTuple):
    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    value: Any
    error: BaseException | None


class Database:
    """The one way to the database: store functions go in, their results come out.

    `async with Database(path) as db`, then `await db.write(turns.end, ...)` and
    `await db.read(report.everything)`. The file must be migrated already.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()  # an agent may go to another folder
        # Bounded by its users: each of them waits for what it handed in.
        self._queue: SimpleQueue[_Operation | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._damage: asyncio.Future[DatabaseDamagedError] = self._loop.create_future()
        self._writer = writing_engine(self._path)
        with storage_errors():
            self._conn = self._writer.connect()
        self._log_size = LogSize(self._path)
        self._inode = self._path.stat().st_ino
        self._reader = reading_engine(self._path)
        self._reading = ThreadPoolExecutor(1, "reader")
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        self._queue.put(None)
        await self._ended.wait()  # not for a join in one of the loop's threads: agents may sit in them all
        self._thread.join()
        await self._loop.run_in_executor(self._reading, self._reader.dispose)
        self._reading.shutdown()
        self._conn.close()
        self._writer.dispose()

    def write(
        self,
        operation: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> asyncio.Future[T]:
        """Hand an operation to the writer; the future holds its result after the commit.

        The operation runs even if the future is cancelled. It may run twice: when another one of its
        batch fails, the batch is taken back and run again; so it must have no effect but on the database.
        Raises StorageError (through the future) when the database refused, and whatever the operation
        raised; then nothing of it was written.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            future.set_exception(StorageError("the database is closed"))
            return future
        self._queue.put(_Operation(lambda conn: operation(conn, *args, **kwargs), future))
        return future

    async def read(
        self,
        operation: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a reading operation beside the writer, on a connection that can only read.

        It sees one state of the database. Raises StorageError, and whatever the operation raised.
        """
        if self._closed:
            raise StorageError("the database is closed")

        def run() -> T:
            # To its end, whether or not the caller is still there: a transaction that stays open
            # would keep the write-ahead log from being reused.
            with storage_errors(), self._reader.connect() as conn:
                return operation(conn, *args, **kwargs)

        try:
            return await self._loop.run_in_executor(self._reading, run)
        except DatabaseDamagedError as error:
            self._report(error)
            raise

    async def empty_log(self) -> None:
        """Move what the write-ahead log holds into the database, and empty it: it still has what was erased.

        Where something reads an old state it stays until that has ended; then it is overwritten.
        """
        await self.read(lambda conn: give_room(driver_of(conn)))

    async def serve(self) -> None:
        """Wait, as a service, until anybody's operation finds the file damaged.

        Raises DatabaseDamagedError then: not all who meet it end the process.
        """
        raise await self._damage

    def _work(self) -> None:
        try:
            while batch := self._take():
                self._call_soon(self._settle, self._commit(batch))
        finally:
            self._call_soon(self._ended.set)

    def _take(self) -> list[_Operation]:
        """Wait for one operation, then take what queued up while the last commit ran."""
        batch = []
        operation = self._queue.get()
        with contextlib.suppress(Empty):
            while operation is not None:
                batch.append(operation)
                if len(batch) == BATCH_MAX:
                    break
                operation = self._queue.get_nowait()
        if operation is None and batch:
            self._queue.put(None)  # close, but after this batch
        return batch

    def _commit(self, batch: list[_Operation]) -> list[_Outcome]:
        """Run a batch as one transaction; only if one of it fails, again with a savepoint for each."""
        try:
            with self._transaction(len(batch)):
                outcomes = [self._run(operation) for operation in batch]
        except Exception as error:  # noqa: BLE001 - told to its caller, or to all of the batch
            self._rollback(error)
            failure = as_storage_error(error)
            if len(batch) > 1 and not isinstance(failure, StorageError):
                return self._commit_apart(batch)
            return [_Outcome(operation.future, None, failure) for operation in batch]
        return outcomes

    def _commit_apart(self, batch: list[_Operation]) -> list[_Outcome]:
        """Run a batch as one transaction in which each operation fails for itself."""
        try:
            with self._transaction(len(batch)):
                outcomes = [self._attempt(operation) for operation in batch]
        except Exception as error:  # noqa: BLE001 - told to every caller of the batch
            self._rollback(error)
            failure = as_storage_error(error)
            return [_Outcome(operation.future, None, failure) for operation in batch]
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

    def _run(self, operation: _Operation) -> _Outcome:
        value = operation.run(self._conn)
        if not driver_of(self._conn).in_transaction:
            # Disk full or I/O error: SQLite rolled back all of it, not only this operation.
            raise StorageError("the transaction was lost")
        return _Outcome(operation.future, value, None)

    def _attempt(self, operation: _Operation) -> _Outcome:
        driver = driver_of(self._conn)
        driver.execute("SAVEPOINT operation")
        try:
            outcome = self._run(operation)
        except Exception as error:
            if not driver.in_transaction:
                raise
            driver.execute("ROLLBACK TO operation")
            outcome = _Outcome(operation.future, None, as_storage_error(error))
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

    def _settle(self, outcomes: Iterable[_Outcome]) -> None:
        """Wake the callers, in the order of their operations."""
        for future, value, error in outcomes:
            if isinstance(error, DatabaseDamagedError):
                self._report(error)
            if future.done():  # the caller was cancelled; its operation is committed all the same
                continue
            if error:
                future.set_exception(error)
            else:
                future.set_result(value)

    def _report(self, error: DatabaseDamagedError) -> None:
        if not self._damage.done():
            self._damage.set_result(error)

    def _call_soon(self, callback: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)
