"""Opens the file: for the one writing connection, and for those that only read."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tgbot.store.engine.errors import storage_errors

__all__ = ["Connection", "driver_of", "read_once", "reading_engine", "writing_engine"]

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit survives a power cut; group commit pays for it
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA journal_size_limit={64 * 1024 * 1024}",
    "PRAGMA temp_store=MEMORY",
)


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
        driver_of(conn).execute("BEGIN IMMEDIATE")

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


def reading_engine(path: Path) -> AsyncEngine:
    """Make the engine of the connections that only read, beside the writer."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", paramstyle="named")
    event.listen(engine.sync_engine, "connect", _only_read)
    return engine


def driver_of(conn: Connection) -> sqlite3.Connection:
    """Give sqlite3's own connection."""
    driver = conn.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
