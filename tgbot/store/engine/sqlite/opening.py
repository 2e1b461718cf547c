"""Opens the file: for the one writing connection, and for those that only read."""

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event

from tgbot.store.engine.errors import storage_errors
from tgbot.store.engine.private import create_private

__all__ = ["Connection", "driver_of", "read_once", "reading_engine", "write_once", "writing_engine"]

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit survives a power cut; group commit pays for it
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # what somebody had erased is overwritten
    f"PRAGMA journal_size_limit={64 * 1024 * 1024}",
    "PRAGMA temp_store=MEMORY",
)
READING_PRAGMAS = ("PRAGMA query_only=ON", f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def writing_engine(path: Path) -> Engine:
    """Make the engine of the one writing connection: every transaction is BEGIN IMMEDIATE.

    A file that is not there is made, and is private. Raises StorageError.
    """
    create_private(path)
    # A deferred transaction that reads, then writes, fails at once when another one wrote.
    return _engine(path, PRAGMAS, "BEGIN IMMEDIATE")


def reading_engine(path: Path) -> Engine:
    """Make the engine of connections that only read: a transaction sees one state of the file."""
    return _engine(path, READING_PRAGMAS, "BEGIN")


def read_once(path: Path, operation: Callable[[Connection], T]) -> T:
    """Run one reading operation on a file that another process may be writing. Raises StorageError."""
    engine = reading_engine(path)
    try:
        with storage_errors(f"{path} cannot be read: "), engine.connect() as conn:
            return operation(conn)
    finally:
        engine.dispose()


def write_once(path: Path, operation: Callable[[Connection], T]) -> T:
    """Run one operation as a transaction, also while another process writes. Raises StorageError.

    SQLite lets the two write one after the other. The other one must be short, too, and does not hear of it.
    """
    engine = writing_engine(path)
    try:
        with storage_errors(f"{path} cannot be written: "), engine.begin() as conn:
            return operation(conn)
    finally:
        engine.dispose()


def _engine(path: Path, pragmas: Iterable[str], begin: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", paramstyle="named", connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connected(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # we begin; the driver's own BEGIN would be deferred, and not for a read
        for pragma in pragmas:
            raw.execute(pragma)

    @event.listens_for(engine, "begin")
    def begun(conn: Connection) -> None:
        driver_of(conn).execute(begin)

    return engine


def driver_of(conn: Connection) -> sqlite3.Connection:
    """Give sqlite3's own connection."""
    driver = conn.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
