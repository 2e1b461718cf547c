"""Lets transactions that change the same things run one after the other, where several could run at once."""

import json
from collections.abc import Iterable

from sqlalchemy import column, func, select

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import POSTGRESQL, listed
from tgbot.store.engine.statement import Statement

# PostgreSQL holds such a lock until the end of the transaction. Two names that have the same hash share one,
# which costs them time only. In the order of the hashes: who locks several never waits in a circle.
_hashes = (
    select(func.hashtextextended(listed("names", str).c.value, 0).label("hash"))
    .distinct()
    .order_by(column("hash"))
    .subquery("hashes")
)
_LOCK = Statement(select(func.pg_advisory_xact_lock(_hashes.c.hash)))
_TRY = Statement(select(func.pg_try_advisory_xact_lock(_hashes.c.hash)))

# Keys in Connection.info.
TRIES_ONLY = "tries_only"  # a lock that another one holds is not waited for
_HELD = "held"  # a transaction, and the names that it has locked


class ContendedError(Exception):
    """Another transaction holds a lock, and this one, which holds others, must not wait for it."""


def shared(conn: Connection) -> bool:
    """Say whether several processes may work on this database at once."""
    return conn.dialect.name == POSTGRESQL


def lock(conn: Connection, names: Iterable[str]) -> None:
    """Let nobody else lock these names before this transaction ends; one who has is waited for.

    What is read after it stays true until the commit, as far as whoever changes it locks the same name.
    SQLite's transactions run one after the other anyway.
    """
    tries_only = shared(conn) and conn.info.get(TRIES_ONLY)
    if not _lock(conn, names, _TRY if tries_only else _LOCK):
        raise ContendedError


def try_lock(conn: Connection, names: Iterable[str]) -> bool:
    """Do the same, but wait for nobody; False if somebody else holds one of them."""
    return _lock(conn, names, _TRY)


def _lock(conn: Connection, names: Iterable[str], statement: Statement) -> bool:
    """Lock those that this transaction has not locked yet: each time is a round trip."""
    if not shared(conn):
        return True
    held = _held(conn)
    wanted = set(names) - held
    if wanted and False in statement(conn, names=json.dumps(list(wanted))).scalars():
        return False
    held |= wanted
    return True


def _held(conn: Connection) -> set[str]:
    """Give the names that this transaction has locked, for whoever adds to them."""
    transaction = conn.get_transaction()
    held: tuple[object, set[str]] | None = conn.info.get(_HELD)
    if held is None or transaction is None or held[0] is not transaction:
        held = conn.info[_HELD] = transaction, set()
    return held[1]
