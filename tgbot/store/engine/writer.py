"""`write` and `read`: one writer thread with group commit, one that reads beside it."""

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import (
    DatabaseDamagedError,
    LeaseLostError,
    StorageError,
    as_storage_error,
    storage_errors,
)

P = ParamSpec("P")
T = TypeVar("T")

BATCH_MAX = 256  # operations a commit: bounds what one failing commit takes along


class Operation(NamedTuple):
    """One store function with its arguments, and who waits for it."""

    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]


class Outcome(NamedTuple):
    """What became of an operation: it is committed, or nothing of it was written."""

    future: asyncio.Future[Any]
    value: Any
    error: BaseException | None


class Database(ABC):
    """The one way to the database: store functions go in, their results come out.

    `async with place.database() as db`, then `await db.write(turns.end, ...)` and
    `await db.read(report.everything)`. The database must be migrated already.
    """

    shared = False  # whether other processes may work on the same database

    def __init__(self) -> None:
        # Bounded by its users: each of them waits for what it handed in.
        self._queue: SimpleQueue[Operation | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._fatal: asyncio.Future[DatabaseDamagedError | LeaseLostError] = self._loop.create_future()
        with storage_errors():
            self._open()
        self._reading = ThreadPoolExecutor(1, "reader")
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        self._queue.put(None)
        await self._ended.wait()  # not for a join in one of the loop's threads: agents may sit in them all
        self._thread.join()
        await self._loop.run_in_executor(self._reading, self._close_reader)
        self._reading.shutdown()
        self._close_writer()

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
        self._queue.put(Operation(lambda conn: operation(conn, *args, **kwargs), future))
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
            # would keep old states of the database alive.
            with storage_errors(), self._reader() as conn:
                return operation(conn, *args, **kwargs)

        try:
            return await self._loop.run_in_executor(self._reading, run)
        except DatabaseDamagedError as error:
            self._report(error)
            raise

    def fence_by(self, condition: str) -> None:  # noqa: B027 - where it has to do something, it does
        """Let every later transaction that writes fail with LeaseLostError where this SQL is not true.

        Where only one process may own the database, nobody takes over while it lives, and this does nothing.
        """

    async def empty_log(self) -> None:  # noqa: B027 - as above
        """Let what was erased disappear also from where the database keeps older states, if it can."""

    async def hints(self) -> AsyncIterator[str]:
        """Give the hints of other processes that work on the same database, as they come."""
        await asyncio.Event().wait()  # where there are no others
        yield ""

    async def serve(self) -> None:
        """Wait, as a service, until an operation finds that no further one can succeed.

        Raises DatabaseDamagedError or LeaseLostError then: not all who meet it end the process.
        """
        raise await self._fatal

    @abstractmethod
    def _open(self) -> None:
        """Connect, for writing at least."""

    @abstractmethod
    def _close_writer(self) -> None: ...

    @abstractmethod
    def _close_reader(self) -> None: ...

    @abstractmethod
    def _reader(self) -> AbstractContextManager[Connection]:
        """Give a connection that can only read, in the thread that reads."""

    @abstractmethod
    def _commit(self, batch: Sequence[Operation]) -> list[Outcome]:
        """Run operations in their order, so that each is committed or fails for itself."""

    def _work(self) -> None:
        try:
            while batch := self._take():
                self._call_soon(self._settle, self._commit(batch))
        finally:
            self._call_soon(self._ended.set)

    def _take(self) -> list[Operation]:
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

    def _settle(self, outcomes: Iterable[Outcome]) -> None:
        """Wake the callers, in the order of their operations."""
        for future, value, error in outcomes:
            if isinstance(error, DatabaseDamagedError | LeaseLostError):
                self._report(error)
            if future.done():  # the caller was cancelled; its operation is committed all the same
                continue
            if error:
                future.set_exception(error)
            else:
                future.set_result(value)

    def _report(self, error: DatabaseDamagedError | LeaseLostError) -> None:
        if not self._fatal.done():
            self._fatal.set_result(error)

    def _call_soon(self, callback: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *args)


def failed(batch: Iterable[Operation], error: BaseException) -> list[Outcome]:
    """Give the outcome of operations of which nothing is committed."""
    known = as_storage_error(error) if isinstance(error, Exception) else error
    return [Outcome(operation.future, None, known) for operation in batch]
