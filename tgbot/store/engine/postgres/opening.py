"""Opens connections to a server: those that write, and those that only read."""

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import Engine, create_engine, event

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import storage_errors
from tgbot.store.engine.postgres.text import accept_nul

T = TypeVar("T")

STATEMENTS_MAX = 1000  # that a connection keeps prepared; there are fewer
# Who is paused in the middle of a transaction (SIGSTOP, a virtual machine that is moved) holds its locks:
# after so long the server ends it. We are never idle in a transaction ourselves.
IDLE_MS = 5000
LOCK_MS = 10_000  # longer than a paused process can hold one
PROBES = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
CONNECT_SECONDS = 5

WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED"
READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"  # it sees one state


def engine(url: str, begin: str | None = None) -> Engine:
    """Make an engine of one connection at a time, which is made anew when it is lost.

    A transaction begins with `begin`, or has to be begun by whoever uses it.
    """
    made = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        isolation_level="AUTOCOMMIT",  # the driver's own BEGIN would be a round trip more
        connect_args=connect_args(),
    )

    @event.listens_for(made, "connect")
    def connected(raw: psycopg.Connection[Any], _: object) -> None:
        raw.prepare_threshold = 1
        raw.prepared_max = STATEMENTS_MAX
        # By itself it would choose the type by the size of each number: one plan for every size.
        raw.adapters.register_dumper(int, Int8Dumper)
        accept_nul(raw)

    @event.listens_for(made, "begin")
    def begun(conn: Connection) -> None:
        if begin:
            driver_of(conn).execute(begin)

    return made


def connect_args() -> dict[str, object]:
    """Give what libpq is told about each connection."""
    # To compile a plan takes longer than to run it; the server decides by a cost that it guesses.
    options = f"-c jit=off -c idle_in_transaction_session_timeout={IDLE_MS} -c lock_timeout={LOCK_MS}"
    return {"options": options, "connect_timeout": CONNECT_SECONDS, **PROBES}


def once(url: str, name: str, begin: str, operation: Callable[[Connection], T]) -> T:
    """Run one operation as a transaction on a connection of its own. Raises StorageError."""
    made = engine(url, begin)
    try:
        with storage_errors(f"{name}: "), made.begin() as conn:
            return operation(conn)
    finally:
        made.dispose()


def driver_of(conn: Connection) -> psycopg.Connection[Any]:
    """Give psycopg's own connection."""
    driver = conn.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    return driver
