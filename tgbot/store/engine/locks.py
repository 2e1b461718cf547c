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

TRIES_ONLY = "tries_only"  # the key in Connection.info: a lock that another one holds is not waited for


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
    if not shared(conn):
        return
    if not conn.info.get(TRIES_ONLY):
        _LOCK(conn, names=_listed(names))
    elif not try_lock(conn, names):
        raise ContendedError


def try_lock(conn: Connection, names: Iterable[str]) -> bool:
    """Do the same, but wait for nobody; False if somebody else holds one of them."""
    return not shared(conn) or all(_TRY(conn, names=_listed(names)).scalars())


def _listed(names: Iterable[str]) -> str:
    return json.dumps(list(names))
