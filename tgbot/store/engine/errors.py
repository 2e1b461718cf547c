"""The database's troubles as errors of ours, apart from mistakes of ours, which stay as they are."""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy.exc import DBAPIError

from tgbot.store.engine import refusals

# The same operation succeeds when the trouble has passed, by itself or because a person saw to it.
# All else fails for ever: a table that is missing, a row that breaks a constraint. (NOMEM is a
# MemoryError of the driver's, and nobody here interrupts.)
MAY_PASS = frozenset(
    {
        sqlite3.SQLITE_BUSY,  # another connection holds the lock
        sqlite3.SQLITE_LOCKED,  # another statement does
        sqlite3.SQLITE_PROTOCOL,  # too many connections opened the write-ahead log at once
        sqlite3.SQLITE_PERM,  # the kernel refuses a lock
        sqlite3.SQLITE_FULL,  # no room on the disk
        sqlite3.SQLITE_IOERR,  # the disk fails, or a quota has no room
        sqlite3.SQLITE_CANTOPEN,  # the folder is away, or no file handle is left
        sqlite3.SQLITE_READONLY,  # the disk or the file was made read-only
    }
)
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


# PostgreSQL's, by SQLSTATE and by its class, which is the first two characters.
MAY_PASS_STATES = frozenset(
    {
        "25006",  # read only: a standby, or a server whose disk is full
        "25P03",  # the server ended a transaction in which nothing came from us
        "40001",  # another transaction was first
        "40P01",  # two waited for each other
        "55P03",  # a lock was waited for too long
    }
)
MAY_PASS_CLASSES = frozenset({"08", "53", "57", "58"})  # connection, resources, operators, the system
DAMAGED_CLASS = "XX"  # pages that cannot be read


class StorageError(Exception):
    """The database could not take the operation now (disk full, locked, I/O): nothing was written."""


class DatabaseRefusedError(StorageError):
    """The server does not let us in or do what we need, until a person changes that; the text says what."""


class DatabaseDamagedError(Exception):
    """The database's content is broken, which does not pass; the text says what to do."""


class LeaseLostError(StorageError):
    """Others may have taken over what this process did: it may write nothing any more, and has to end."""


@contextlib.contextmanager
def storage_errors(prefix: str = "") -> Iterator[None]:
    """Raise the database's troubles as errors of ours, their reason after `prefix`."""
    try:
        yield
    except Exception as error:
        known = as_storage_error(error, prefix)
        if known is error:
            raise
        raise known from error


def as_storage_error(error: Exception, prefix: str = "") -> Exception:
    """Give StorageError or DatabaseDamagedError for the database's troubles; our own mistakes stay."""
    known: Exception
    if refusal := _refusal(error):
        known = (StorageError if refusal.passes else DatabaseRefusedError)(prefix + refusal.text)
    elif _may_pass(error):
        known = StorageError(prefix + reason(error))
    elif _code(error) in DAMAGED:
        how = "restore a backup, or what `sqlite3 FILE .recover` can save"
        known = DatabaseDamagedError(f"{prefix}the file is damaged ({reason(error)}): {how}")
    elif _state(error)[:2] == DAMAGED_CLASS:
        known = DatabaseDamagedError(
            f"{prefix}the server finds it damaged ({reason(error)}): restore a backup"
        )
    else:
        return error
    known.__cause__ = error
    return known


def _refusal(error: Exception) -> refusals.Refusal | None:
    original: Any = _original(error)
    if not _is_postgres(original):
        return None
    return refusals.find(original.sqlstate, original.diag.message_primary or reason(error))


def _may_pass(error: Exception) -> bool:
    state = _state(error)
    return _code(error) in MAY_PASS or state in MAY_PASS_STATES or state[:2] in MAY_PASS_CLASSES


def is_full(error: BaseException | None) -> bool:
    """Say whether the disk had no room for what failed."""
    return _code(error) in NO_ROOM


def reason(error: BaseException) -> str:
    """Give the database's own words, in a line."""
    return " ".join(str(_original(error)).split())


def _code(error: BaseException | None) -> int | None:
    """Give SQLite's primary code; None for errors that are not SQLite's, though perhaps its driver's."""
    code = getattr(_original(error), "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # the rest says where it happened


def _original(error: BaseException | None) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _state(error: BaseException | None) -> str:
    """Give PostgreSQL's SQLSTATE, that of a lost connection if its driver knows none; "" for other errors."""
    original = _original(error)
    if not _is_postgres(original):
        return ""
    lost = "08000" if type(original).__name__ == "OperationalError" else ""
    return getattr(original, "sqlstate", None) or lost


def _is_postgres(error: BaseException | None) -> bool:
    return type(error).__module__.startswith("psycopg")
