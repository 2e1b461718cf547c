"""Sees that a new connection is a session of its own, on a server that can do what we need."""

from collections.abc import Callable
from typing import Any

import psycopg

from tgbot.store.engine.errors import DatabaseRefusedError

Raw = psycopg.Connection[Any]

VERSION_MIN = 14
ENCODING = "UTF8"
LOOKS = 5  # on a pool that others use one may show nothing
# Who is paused in the middle of a transaction (SIGSTOP, a virtual machine that is moved) holds its locks:
# after so long the server ends it. We are never idle in a transaction ourselves.
IDLE_MS = 5000
LOCK_MS = 10_000  # longer than a paused process can hold one


def prepare(raw: Raw, connect: Callable[[], Raw], name: str) -> None:
    """Check it and set what holds for its session; `connect` makes one more. Raises DatabaseRefusedError."""
    raw.autocommit = True
    if complaint := _complaint(raw, connect):
        raise DatabaseRefusedError(f"{name}: {complaint}")
    # Not as options of the connection, which PgBouncer refuses; and not before: another one would have them.
    # To compile a plan (jit) takes longer than to run it, and the server decides by a cost that it guesses.
    raw.execute(
        f"SET idle_in_transaction_session_timeout = {IDLE_MS}; SET lock_timeout = {LOCK_MS}; SET jit = off"
    )


def _complaint(raw: Raw, connect: Callable[[], Raw]) -> str | None:
    version, encoding = raw.info.server_version // 10_000, raw.info.parameter_status("server_encoding")
    if version < VERSION_MIN:
        return f"it is PostgreSQL {version}: {VERSION_MIN} or newer is needed"
    if encoding != ENCODING:
        how = f"make one with `createdb --template=template0 --encoding={ENCODING} NAME`"
        return f"its encoding is {encoding}, not {ENCODING}: {how}"
    if is_pooled(raw) and not _is_kept(raw, connect):
        why = "a pooler in transaction mode is between, which loses notifications and a session's settings"
        return f"{why}: connect to the server itself, or set pool_mode=session"
    return None


def is_pooled(raw: Raw) -> bool:
    """Say whether a pooler is between: it gives each client a made-up process id, for its cancel requests."""
    return _process(raw) != raw.info.backend_pid


def _is_kept(raw: Raw, connect: Callable[[], Raw]) -> bool:
    """Say whether two clients have a process of the server each, and keep it.

    In transaction mode a transaction runs in any process that is idle: the one that was idle last, so that
    the two share it, or the next one in a circle, so that none of them has the same twice in a row.
    """
    with connect() as other:
        other.autocommit = True
        seen = [(_process(raw), _process(other), _process(raw)) for _ in range(LOOKS)]
    ours, theirs = {pid for first, _, last in seen for pid in (first, last)}, {pid for _, pid, _ in seen}
    return len(ours) == len(theirs) == 1 and ours != theirs


def _process(raw: Raw) -> int:
    row = raw.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    assert row
    return int(row[0])
