"""`write` and `read`: one writer thread with group commit, and every quirk of SQLite."""

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

__all__ = [
    "Connection",
    "Database",
    "DatabaseLockedError",
    "ProcessLock",
    "StorageError",
    "read_once",
    "storage_errors",
    "writing_engine",
]

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

BATCH_MAX = 256  # operations a commit: bounds what one failing commit takes along
BUSY_TIMEOUT_MS = 5000
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit survives a power cut; group commit pays for it
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA journal_size_limit={64 * 1024 * 1024}",
    "PRAGMA temp_store=MEMORY",
)


class StorageError(Exception):
    """The database could not take the operation (disk full, locked, I/O): nothing was written."""


class DatabaseLockedError(Exception):
    """Another process owns the database; the text says which."""


class ProcessLock:
    """One process per database file: a lock the kernel releases at any death of its holder."""

    def __init__(self, database: Path) -> None:
        self._database = database
        # One lock for a file, whichever symlink names it.
        target = database.resolve()
        self._path = target.with_name(target.name + ".lock")
        self._fd: int | None = None

    def __enter__(self) -> Self:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"can not open {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(fd, 32).decode().strip() or "unknown"
            os.close(fd)
            raise DatabaseLockedError(f"{self._database} is in use: process {holder} runs on it") from None
        with contextlib.suppress(OSError):  # disk full: it is locked all the same, by nobody known
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        # What an agent forks (a process pool, say) may outlive us, and shall not hold the lock then.
        os.register_at_fork(after_in_child=self._let_go)
        return self

    def __exit__(self, *_: object) -> None:
        # The file stays: unlinking it would let two processes lock two files of one name.
        self._let_go()

    def is_held(self) -> bool:
        """Tell whether a process owns the database now."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False  # it was never locked
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def _let_go(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class _Operation(NamedTuple):
    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    value: Any
    error: BaseException | None


class Database:
    """The one way to the database: store functions go in, their results come out.

    `async with Database(path) as db`, then `await db.write(store.finish, ...)` and
    `await db.read(store.status, ...)`. The file must be migrated already.
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
        self._writer = writing_engine(self._path)
        self._conn = self._writer.connect()
        self._inode = self._path.stat().st_ino
        self._reader = _reading_engine(self._path)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        self._queue.put(None)
        await self._ended.wait()  # not for a join in one of the loop's threads: agents may sit in them all
        self._thread.join()
        await self._reader.dispose()
        self._conn.close()
        self._writer.dispose()

    def write(
        self,
        operation: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> asyncio.Future[T]:
        """Hand an operation to the writer; the future holds its result after the commit.

        The operation runs even if the future is cancelled. Raises StorageError (through the
        future) when the database refused, and whatever the operation raised; then nothing of it
        was written.
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

        Raises StorageError.
        """
        with storage_errors():
            async with self._reader.connect() as conn:
                return await conn.run_sync(operation, *args, **kwargs)

    def _work(self) -> None:
        try:
            while batch := self._take():
                self._call_soon(_settle, self._commit(batch))
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
            with self._transaction():
                outcomes = [self._run(operation) for operation in batch]
        except Exception as error:  # noqa: BLE001 - told to its caller, or to all of the batch
            self._rollback()
            failure = _as_storage_error(error)
            if len(batch) > 1 and not isinstance(failure, StorageError):
                return self._commit_apart(batch)
            return [_Outcome(operation.future, None, failure) for operation in batch]
        return outcomes

    def _commit_apart(self, batch: list[_Operation]) -> list[_Outcome]:
        """Run a batch as one transaction in which each operation fails for itself."""
        try:
            with self._transaction():
                outcomes = [self._attempt(operation) for operation in batch]
        except Exception as error:  # noqa: BLE001 - told to every caller of the batch
            self._rollback()
            failure = _as_storage_error(error)
            return [_Outcome(operation.future, None, failure) for operation in batch]
        return outcomes

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._conn.begin()
        yield
        self._check_file()
        self._conn.commit()

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
        if not _driver(self._conn).in_transaction:
            # Disk full or I/O error: SQLite rolled back all of it, not only this operation.
            raise StorageError("the transaction was lost")
        return _Outcome(operation.future, value, None)

    def _attempt(self, operation: _Operation) -> _Outcome:
        driver = _driver(self._conn)
        driver.execute("SAVEPOINT operation")
        try:
            outcome = self._run(operation)
        except Exception as error:
            if not driver.in_transaction:
                raise
            driver.execute("ROLLBACK TO operation")
            outcome = _Outcome(operation.future, None, _as_storage_error(error))
        driver.execute("RELEASE operation")
        return outcome

    def _rollback(self) -> None:
        try:
            self._conn.rollback()
            # After a COMMIT that failed SQLAlchemy counts the transaction as ended, SQLite does not.
            if not self._conn.invalidated:  # to ask one that is gone for its driver would open it again
                _driver(self._conn).rollback()
        except (DBAPIError, sqlite3.Error) as error:
            log.warning("db.rollback_failed reason=%s", _reason(error))
            self._conn.invalidate()

    def _call_soon(self, callback: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)


def _settle(outcomes: Iterable[_Outcome]) -> None:
    """Wake the callers, in the order of their operations."""
    for future, value, error in outcomes:
        if future.done():  # the caller was cancelled; its operation is committed all the same
            continue
        if error:
            future.set_exception(error)
        else:
            future.set_result(value)


def writing_engine(path: Path) -> Engine:
    """Make the engine of the one writing connection: every transaction is BEGIN IMMEDIATE."""
    engine = create_engine(f"sqlite:///{path}", paramstyle="named", connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connect(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # we begin; the driver's own BEGIN would be deferred
        for pragma in PRAGMAS:
            raw.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        # A deferred transaction that reads, then writes, fails at once when another one wrote.
        _driver(conn).execute("BEGIN IMMEDIATE")

    return engine


def read_once(path: Path, operation: Callable[[Connection], T]) -> T:
    """Run one reading operation on a file that another process may be writing. Raises StorageError."""
    engine = create_engine(f"sqlite:///{path}", paramstyle="named")
    event.listen(engine, "connect", _only_read)
    try:
        with storage_errors(), engine.connect() as conn:
            return operation(conn)
    finally:
        engine.dispose()


def _only_read(raw: Any, _: object) -> None:  # noqa: ANN401 - sqlite3's connection, or aiosqlite's in an adapter
    cursor = raw.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


def _reading_engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", paramstyle="named")

    event.listen(engine.sync_engine, "connect", _only_read)
    return engine


def _driver(conn: Connection) -> sqlite3.Connection:
    driver = conn.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


@contextlib.contextmanager
def storage_errors(prefix: str = "") -> Iterator[None]:
    """Tell whatever the database raises as a StorageError, its reason after `prefix`."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise StorageError(prefix + _reason(error)) from error


def _as_storage_error(error: Exception) -> Exception:
    """Tell the database's troubles, which may pass, from our own mistakes, which do not."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.OperationalError) and type(cause) is not sqlite3.DatabaseError:
        return error
    storage_error = StorageError(_reason(error))
    storage_error.__cause__ = error
    return storage_error


def _reason(error: Exception) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)
