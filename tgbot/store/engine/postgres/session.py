"""Sees that a new connection is a session of its own, on a server that can do what we need."""

import uuid
from collections.abc import Callable
from typing import Any

import psycopg

from tgbot.store.engine.errors import DatabaseRefusedError

Raw = psycopg.Connection[Any]

VERSION_MIN = 14
ENCODING = "UTF8"
LOOKS = 3  # on a pool that others use one may show nothing
# Who is paused in the middle of a transaction (SIGSTOP, a virtual machine that is moved) holds its locks:
# after so long the server ends it. We are never idle in a transaction ourselves.
IDLE_MS = 5000
LOCK_MS = 10_000  # longer than a paused process can hold one


def prepare(raw: Raw, connect: Callable[[], Raw], name: str) -> None:
    """Check it and set what holds for its session; `connect` makes one more. Raises DatabaseRefusedError."""
    raw.autocommit = True
    version, encoding = raw.info.server_version // 10_000, raw.info.parameter_status("server_encoding")
    if version < VERSION_MIN:
        raise DatabaseRefusedError(f"{name}: it is PostgreSQL {version}: {VERSION_MIN} or newer is needed")
    if encoding != ENCODING:
        how = f"make one with `createdb --template=template0 --encoding={ENCODING} NAME`"
        raise DatabaseRefusedError(f"{name}: its encoding is {encoding}, not {ENCODING}: {how}")
    if is_pooled(raw) and not _is_kept(raw, connect):
        how = "connect to the server itself, or set pool_mode=session"
        why = "a pooler in transaction mode is between, which loses notifications and a session's settings"
        raise DatabaseRefusedError(f"{name}: {why}: {how}")
    # Not as options of the connection, which PgBouncer refuses; and not before: another one would have them.
    raw.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MS}; SET lock_timeout = {LOCK_MS}")


def is_pooled(raw: Raw) -> bool:
    """Say whether a pooler is between: it gives each client a made-up process id, for its cancel requests."""
    return _only(raw, "SELECT pg_backend_pid()") != raw.info.backend_pid


def _is_kept(raw: Raw, connect: Callable[[], Raw]) -> bool:
    """Say whether what a session sets stays with it, and with nobody else.

    In transaction mode another client gets the same session of the server, or this one gets another.
    """
    with connect() as other:
        other.autocommit = True
        return all(_is_alone(raw, other) for _ in range(LOOKS))


def _is_alone(raw: Raw, other: Raw) -> bool:
    mark = uuid.uuid4().hex
    _only(raw, "SELECT set_config('tgbot.session', %s, false)", mark)
    look = "SELECT current_setting('tgbot.session', true)"
    return _only(other, look) != mark and _only(raw, look) == mark


def _only(raw: Raw, sql: str, *values: str) -> object:
    row = raw.execute(sql, values, prepare=False).fetchone()
    assert row
    return row[0]
