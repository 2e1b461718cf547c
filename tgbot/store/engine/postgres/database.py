"""One database on a server: a connection that writes and one that reads, made anew when they are lost."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager

import psycopg
from sqlalchemy.exc import DBAPIError

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import LeaseLostError, StorageError, as_storage_error, reason
from tgbot.store.engine.locks import TRIES_ONLY, ContendedError
from tgbot.store.engine.postgres import opening
from tgbot.store.engine.postgres.listening import hints
from tgbot.store.engine.writer import Database, Operation, Outcome, failed
from tgbot.tally import tally

log = logging.getLogger(__name__)

COLLISIONS_MAX = 5  # times that an operation may meet others before its caller has to try again
FATE_SECONDS = 1.0  # between the looks at what became of a commit
# SQLAlchemy's, those of what is executed on the driver, and ours of a connection that is made anew.
ERRORS = (DBAPIError, psycopg.Error, StorageError)
COLLISIONS = frozenset({"40001", "40P01"})


class PostgresDatabase(Database):
    """A server. What queues up during a commit is one transaction, as long as nobody else is in its way."""

    shared = True

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._fence = "true"  # SQL
        self._conn: Connection | None = None

    def fence_by(self, condition: str) -> None:
        """Let every later transaction that writes fail with LeaseLostError where this SQL is not true."""
        self._fence = condition

    def hints(self) -> AsyncIterator[str]:
        """Give the hints of other processes, as they come."""
        return hints(self._url)

    def _open(self) -> None:
        self._writer = opening.engine(self._url)  # `_begin` does more than to begin
        self._readers = opening.engine(self._url, opening.READING)
        self._conn = self._writer.connect()

    def _close_writer(self) -> None:
        self._disconnect()
        self._writer.dispose()

    def _close_reader(self) -> None:
        self._readers.dispose()

    def _reader(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    def _commit(self, batch: Sequence[Operation]) -> list[Outcome]:
        """Run a batch as one transaction that waits for nobody; if that fails, each as one of its own."""
        if len(batch) > 1:
            try:
                return self._attempt(batch, tries_only=True)
            except Exception as error:  # noqa: BLE001 - told to all, or each has it again
                if isinstance(as_storage_error(error), StorageError) and not _is_collision(error):
                    return failed(batch, error)
        return [self._commit_alone(operation) for operation in batch]

    def _commit_alone(self, operation: Operation) -> Outcome:
        for left in reversed(range(COLLISIONS_MAX)):
            try:
                [outcome] = self._attempt([operation], tries_only=False)
            except Exception as error:  # noqa: BLE001 - told to its caller
                if not (left and _is_collision(error)):
                    [outcome] = failed([operation], error)
                    return outcome
            else:
                return outcome
        raise AssertionError("the last attempt returns")

    def _attempt(self, batch: Sequence[Operation], *, tries_only: bool) -> list[Outcome]:
        """Run operations as one transaction. Raises what one of them raised; then nothing is committed."""
        began_at = time.monotonic()
        try:
            conn = self._connected()
            conn.info[TRIES_ONLY] = tries_only
            transaction_id = self._begin(conn)
            outcomes = [Outcome(one.future, one.run(conn), None) for one in batch]
        except BaseException:
            self._rollback()
            raise
        self._end(conn, transaction_id)
        tally.commit_seconds.add(time.monotonic() - began_at)
        tally.commit_writes.add(len(batch))
        return outcomes

    def _begin(self, conn: Connection) -> str:
        """Begin a transaction and give its id. Raises LeaseLostError."""
        conn.begin()
        both = f"{opening.WRITING}; SELECT pg_current_xact_id()::text, {self._fence}"  # in one round trip
        cursor = opening.driver_of(conn).execute(both, prepare=False)
        cursor.nextset()
        [[transaction_id, is_ours]] = cursor.fetchall()
        if not is_ours:
            raise LeaseLostError("the lease of this process is over: others go on with what it did")
        return str(transaction_id)

    def _end(self, conn: Connection, transaction_id: str) -> None:
        """Commit. Raises StorageError if it is certain that nothing was."""
        try:
            conn.commit()
        except ERRORS as error:
            self._disconnect()
            if not self._was_committed(transaction_id):
                raise
            log.info("db.commit_found transaction=%s reason=%s", transaction_id, reason(error))

    def _was_committed(self, transaction_id: str) -> bool:
        """Find out what became of a commit whose answer was lost, however long that takes.

        To guess would lose or double what it did. Raises StorageError when the database is closed meanwhile.
        """
        while True:
            try:
                found = self._fate(transaction_id)
            except ERRORS as error:
                self._disconnect()
                log.warning("db.commit_unknown reason=%s", reason(error))
            else:
                if found != "in progress":
                    return found == "committed"
            if self._closed:
                raise StorageError("the answer to a commit was lost")
            time.sleep(FATE_SECONDS)

    def _fate(self, transaction_id: str) -> str | None:
        conn = self._connected()
        row = opening.driver_of(conn).execute("SELECT txid_status(%s::bigint)", (transaction_id,)).fetchone()
        return None if row is None else row[0]

    def _connected(self) -> Connection:
        if self._conn is None:
            self._conn = self._writer.connect()
        return self._conn

    def _rollback(self) -> None:
        if self._conn is None:
            return
        try:
            self._conn.rollback()
        except ERRORS as error:
            log.info("db.rollback_failed reason=%s", reason(error))
            self._disconnect()
        else:
            if self._conn.invalidated or opening.driver_of(self._conn).closed:
                self._disconnect()

    def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(*ERRORS):
                conn.invalidate()
                conn.close()


def _is_collision(error: BaseException) -> bool:
    """Say whether another transaction was in the way: then the same operation may succeed at once."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(error, ContendedError) or getattr(original, "sqlstate", None) in COLLISIONS
