"""Pure: what a PostgreSQL server says against us, in words for people: what is wrong, and what to do.

Where no connection is made the driver has no SQLSTATE, only the words of the server or of libpq. They are
known in English here; where they are in another language they are shown as they are.
"""

import re
from typing import NamedTuple


class Refusal(NamedTuple):
    """`passes`: whether it may help to wait."""

    text: str
    passes: bool


_RIGHTS = "let the role own the database (`ALTER DATABASE NAME OWNER TO ROLE`), or GRANT it what it lacks"
_BY_STATE = {
    "42501": f"this role may not do that ({{said}}): {_RIGHTS}",
    "3F000": f"this role has no schema to make tables in ({{said}}): {_RIGHTS}",
}
_STAYS = [
    (
        r'password authentication failed for user "([^"]*)"',
        "wrong password for the role {0}: correct it in the URL (or in PGPASSWORD, or ~/.pgpass)",
    ),
    (
        r"no password supplied",
        "it asks for a password: write it into the URL (USER:PASSWORD@HOST)",
    ),
    (
        r'database "([^"]*)" does not exist|no such database: "?([^"\s]*)',
        "the server has no database {0}: make it (`createdb {0}`), or correct the URL",
    ),
    (
        r'role "([^"]*)" (?:does not exist|is not permitted to log in)|no such user: "?([^"\s]*)',
        "the server lets no role {0} log in: make it (`createuser {0}`), or correct the URL",
    ),
    (
        r'authentication failed for user "([^"]*)"',
        "the server does not take this process for {0}: name another role, or change its pg_hba.conf",
    ),
    (
        r'permission denied for database "?([^"\s]*)',
        "this role may not connect to it: GRANT CONNECT ON DATABASE {0} TO the role",
    ),
    (
        r"pg_hba\.conf.* no encryption",
        "the server lets this role in with TLS only, or not from here: see sslmode and its pg_hba.conf",
    ),
    (
        r"pg_hba\.conf",
        "the server does not let this role in from here: change the server's pg_hba.conf",
    ),
    (
        r"server does not support SSL",
        "the server has no TLS: turn it on there, or take sslmode out of the URL",
    ),
    (
        r"certificate verify failed|root certificate|does not match host name",
        "the server's certificate is not trusted ({said}): correct sslrootcert or the host in the URL",
    ),
    (
        r"(invalid connection option .*|invalid \S+ value: .*|invalid (?:integer|port) .*)",
        "the URL cannot be used ({0}): correct it",
    ),
]
_MAY_PASS = [
    (
        r"too many (?:clients|connections)|connection slots are reserved|no more connections allowed",
        "the server takes no more connections: raise its max_connections, or end what uses them",
    ),
    (
        r"failed to resolve host '([^']*)'|could not translate host name \"([^\"]*)\"",
        "the name of the host {0} is not known here: correct it in the URL, or see to the network",
    ),
    (
        r"Connection refused|Is the server running|timeout expired",
        "no server answers there: start PostgreSQL, or correct the host and port in the URL",
    ),
]


def find(state: str | None, said: str) -> Refusal | None:
    """Find what to say, by the SQLSTATE, or without one by the words in one line; None for anything else."""
    if state:
        text = _BY_STATE.get(state)
        return Refusal(text.format(said=said), passes=False) if text else None
    for known, passes in ((_STAYS, False), (_MAY_PASS, True)):
        for words, text in known:
            if found := re.search(words, said):
                return Refusal(text.format(found[found.lastindex or 0], said=said), passes)
    return None
