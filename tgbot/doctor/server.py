"""Checks the PostgreSQL server that the database is on."""

from collections.abc import Iterator

from tgbot.doctor.check import Check, fail, ok, warn
from tgbot.doctor.database import SERVER
from tgbot.store.engine.place import Place
from tgbot.store.engine.postgres.health import Health, look

CLOCK, RIGHTS = "database clock", "database rights"
CONNECTIONS, TLS = "database connections", "database encryption"
CLOCK_SECONDS_MAX = 10.0
LEFT_MIN = 10  # connections: a worker has three, and each command one


def checks(place: Place) -> Iterator[Check]:
    """Check a server. Raises StorageError where it lets nobody in."""
    found = place.read_once(look)
    through = "through a pooler in session mode" if found.pooled else "connected to directly"
    yield ok(SERVER, f"PostgreSQL {found.version}, {through}; its encoding is UTF8")
    yield clock(found.ahead_seconds)
    yield rights(found)
    yield connections(found.connections, found.connections_max)
    yield encryption(remote=found.remote, encrypted=found.encrypted)


def clock(ahead_seconds: float) -> Check:
    """Judge by how much the server's clock is ahead of this machine's."""
    if abs(ahead_seconds) < CLOCK_SECONDS_MAX:
        return ok(CLOCK, f"within {CLOCK_SECONDS_MAX:.0f} s of this machine's")
    what = f"it is {abs(ahead_seconds):.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this machine's"
    return warn(CLOCK, what, "set both, as with `timedatectl set-ntp true`")


def rights(found: Health) -> Check:
    """Judge whether the role may make tables, and change those that are there."""
    if found.foreign_tables:
        what = f"{found.foreign_tables} tables belong to another role, so this one cannot upgrade them"
        return warn(RIGHTS, what, "`REASSIGN OWNED BY OTHER TO ROLE`, or log in as the other one")
    if not found.may_create:
        what = "this role may make no tables"
        return fail(RIGHTS, what, "let it own the database: `ALTER DATABASE NAME OWNER TO ROLE`")
    return ok(RIGHTS, "this role may make tables")


def connections(used: int, most: int) -> Check:
    """Judge how many connections are left on the server."""
    what = f"{used} of {most} are in use"
    if most - used >= LEFT_MIN:
        return ok(CONNECTIONS, what)
    return warn(CONNECTIONS, what, "raise the server's max_connections: each worker needs three")


def encryption(*, remote: bool, encrypted: bool) -> Check:
    """Judge whether others on the network could read along."""
    if encrypted:
        return ok(TLS, "the connection is encrypted")
    if not remote:
        return ok(TLS, "none, and none is needed: the server is on this machine")
    return warn(
        TLS, "messages go over the network in the clear", "turn TLS on there, and set sslmode in the URL"
    )
