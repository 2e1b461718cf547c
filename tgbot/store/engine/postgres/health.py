"""What can be seen of a server, for whoever judges it."""

import ipaddress
import time
from typing import NamedTuple

from sqlalchemy import text

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.postgres.opening import driver_of
from tgbot.store.engine.postgres.session import is_pooled

_LOOK = text("""
SELECT extract(epoch FROM clock_timestamp())::float8,
    has_schema_privilege(current_schema(), 'CREATE'),
    (SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()
        AND NOT pg_has_role(tableowner, 'USAGE')),
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
""")


class Health(NamedTuple):
    """A server, as one connection sees it.

    `remote`: the connection goes to another machine; `encrypted`: nobody on its way can read along.
    `ahead_seconds`: by how much its clock is ahead of ours. `may_create`: whether this role may make tables;
    `foreign_tables`: how many it may not change, as others own them.
    """

    version: str
    pooled: bool
    remote: bool
    encrypted: bool
    ahead_seconds: float
    may_create: bool
    foreign_tables: int
    connections: int
    connections_max: int


def look(conn: Connection) -> Health:
    """Look at the server of a connection."""
    driver = driver_of(conn)
    asked_at = time.time()
    now, may_create, foreign, connections, most = conn.execute(_LOOK).one()
    halfway = (asked_at + time.time()) / 2
    return Health(
        version=driver.info.parameter_status("server_version") or "",
        pooled=is_pooled(driver),
        remote=_is_remote(driver.info.hostaddr),
        encrypted=driver.pgconn.ssl_in_use,
        ahead_seconds=now - halfway,
        may_create=bool(may_create),
        foreign_tables=foreign,
        connections=connections,
        connections_max=most,
    )


def _is_remote(address: str) -> bool:
    return bool(address) and not ipaddress.ip_address(address).is_loopback  # "" is a socket in a folder
