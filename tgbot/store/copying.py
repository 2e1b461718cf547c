"""Copies all rows of a database into an empty one, and reads them back to see that all are there."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Float, LargeBinary, Table, cast, exists, func, literal_column, select

from tgbot.store import workers
from tgbot.store.engine.bulk import Row, bulk_of, counts_for_ever
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import shared
from tgbot.store.schema import chat_lease, instance, metadata, role

ROWS_AT_ONCE = 500
PIECES_AT_ONCE = 8  # of files: up to a megabyte each

_ALL = metadata.sorted_tables  # a table comes after those that it refers to
# Who works on what says nothing of the copy. The processes are there, because turns refer to them, but over.
_COPIED = [table for table in _ALL if table not in (chat_lease, role)]
_OVER: ColumnElement[float] = cast(literal_column("0"), Float)


class CopyError(Exception):
    """It cannot be copied, and nothing was; the text is for the person at the terminal."""


def hold(source: Connection) -> None:
    """Let nobody write to it before the transaction ends. Raises CopyError if a bot runs on it."""
    bulk_of(source).hold(source, _ALL)
    if shared(source) and workers.is_any_live(source):
        killed = f"one that was killed counts for {workers.LEASE_SECONDS:.0f} seconds more"
        raise CopyError(f"a bot runs on the old one: stop it first ({killed})")


def refuse_rows(target: Connection) -> None:
    """Raise CopyError if there is a row already."""
    for table in _ALL:
        if target.scalar(select(exists(select(table)))):
            raise CopyError(f"the new one has rows already ({table.name}): name another database")


def copy(source: Connection, target: Connection) -> dict[str, int]:
    """Copy all rows, with their ids; gives how many, by table.

    Both are held until their transactions end. Raises CopyError: then the target has to be rolled back.
    """
    bulk_of(target).hold(target, _ALL)
    refuse_rows(target)
    return {table.name: _copy(source, target, table) for table in _COPIED}


def size_bytes(conn: Connection) -> int:
    """Measure what the rows take on disk."""
    return bulk_of(conn).size_bytes(conn, _ALL)


class _Checksum:
    """Counts rows and their values, while they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self._hash = hashlib.sha256()

    def passing(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.rows += 1
            # Python's values are the same whichever database they are from, and so is how it writes them.
            self._hash.update(repr(row).encode())
            yield row

    @property
    def seen(self) -> tuple[int, str]:
        return self.rows, self._hash.hexdigest()


def _copy(source: Connection, target: Connection, table: Table) -> int:
    written, read = _Checksum(), _Checksum()
    with _reading(source, table) as rows:
        bulk_of(target).fill(target, table, written.passing(_fit(rows, target)))
    last_id = _copy_last_id(source, target, table)
    with _reading(target, table) as rows:
        deque(read.passing(rows), maxlen=0)
    if read.seen != written.seen or _last_id(target, table) != last_id:
        raise CopyError(f"what was read back of {table.name} is not what was written: this is a bug")
    return written.rows


@contextmanager
def _reading(conn: Connection, table: Table) -> Iterator[Iterator[Row]]:
    """Read a table in the order of its keys, a few rows at a time."""
    columns = (_OVER if column is instance.c.lease_until else column for column in table.c)
    has_pieces = any(isinstance(column.type, LargeBinary) for column in table.c)
    ordered = select(*columns).order_by(*table.primary_key)
    at_once = PIECES_AT_ONCE if has_pieces else ROWS_AT_ONCE
    with conn.execute(ordered.execution_options(yield_per=at_once)) as result:
        yield map(tuple, result)


def _fit(rows: Iterable[Row], target: Connection) -> Iterable[Row]:
    """Put a space for each NUL where the new database cannot hold one, as wherever text is stored there."""
    return map(_without_nul, rows) if shared(target) else rows


def _without_nul(row: Row) -> Row:
    return tuple(value.replace("\0", " ") if isinstance(value, str) else value for value in row)


def _copy_last_id(source: Connection, target: Connection, table: Table) -> int:
    last_id = _last_id(source, table)
    if "id" in table.c:
        bulk_of(target).set_last_id(target, table, last_id)
    return last_id


def _last_id(conn: Connection, table: Table) -> int:
    """Find the id above which new ones begin: none may be given again, also where its row is gone."""
    if "id" not in table.c:
        return 0
    largest: int = conn.scalar(select(func.max(table.c.id))) or 0
    return max(largest, bulk_of(conn).last_id(conn, table)) if counts_for_ever(table) else largest
