"""The database's troubles as one error of ours, and how they are told from mistakes of ours."""

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError


class StorageError(Exception):
    """The database could not take the operation (disk full, locked, I/O): nothing was written."""


@contextlib.contextmanager
def storage_errors(prefix: str = "") -> Iterator[None]:
    """Tell whatever the database raises as a StorageError, its reason after `prefix`."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise StorageError(prefix + reason(error)) from error


def as_storage_error(error: Exception) -> Exception:
    """Tell the database's troubles, which may pass, from our own mistakes, which do not."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.OperationalError) and type(cause) is not sqlite3.DatabaseError:
        return error
    storage_error = StorageError(reason(error))
    storage_error.__cause__ = error
    return storage_error


def reason(error: Exception) -> str:
    """Give the database's own words."""
    return str(error.orig if isinstance(error, DBAPIError) else error)
