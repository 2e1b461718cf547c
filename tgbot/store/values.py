"""Keeps what an agent notes for a session: text by kind and name.

What a turn calls works for the session whose guard it holds, and raises LostGuardError if it holds none: the
chat may have moved while the turn runs, so the turn's own key may be an old one. A control, which acts beside
the turns, names the session itself (`put_in`, `get_in`, `remove_in`).
"""

import time

from sqlalchemy import bindparam, delete, select

from tgbot.model import Ownership, SessionKey
from tgbot.store import fence
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import session_value

_COLUMNS = tuple(session_value.c.keys())
_insert = insert(session_value).values({name: bindparam(name) for name in _COLUMNS})
_PUT = Statement(
    _insert.on_conflict_do_update(
        index_elements=["session_key", "kind", "name"],
        set_={"value": _insert.excluded.value, "updated_at": _insert.excluded.updated_at},
    )
)
_OF_KIND = (
    session_value.c.session_key == bindparam("session_key"),
    session_value.c.kind == bindparam("kind"),
)
_NAMED = (*_OF_KIND, session_value.c.name == bindparam("name"))
_GET = Statement(select(session_value.c.value).where(*_NAMED))
_ALL = Statement(
    select(session_value.c.name, session_value.c.value).where(*_OF_KIND).order_by(session_value.c.name)
)
_REMOVE = Statement(delete(session_value).where(*_NAMED))


def put(conn: Connection, turn: Ownership, kind: str, name: str, value: str) -> None:
    """Keep a value, in place of an earlier one of that kind and name."""
    put_in(conn, fence.session_of(conn, turn), kind, name, value)


def get(conn: Connection, turn: Ownership, kind: str, name: str) -> str | None:
    """Read one value; None if there is none."""
    return get_in(conn, fence.session_of(conn, turn), kind, name)


def all_of(conn: Connection, turn: Ownership, kind: str) -> dict[str, str]:
    """Read all values of a kind by their names, in the order of these."""
    rows = _ALL(conn, session_key=fence.session_of(conn, turn), kind=kind)
    return {row.name: row.value for row in rows}


def remove(conn: Connection, turn: Ownership, kind: str, name: str) -> bool:
    """Forget a value. Returns whether there was one."""
    return remove_in(conn, fence.session_of(conn, turn), kind, name)


def put_in(conn: Connection, session_key: SessionKey, kind: str, name: str, value: str) -> None:
    """Keep a value for a session."""
    _PUT(conn, session_key=session_key, kind=kind, name=name, value=value, updated_at=time.time())


def get_in(conn: Connection, session_key: SessionKey, kind: str, name: str) -> str | None:
    """Read one value of a session."""
    value: str | None = _GET(conn, session_key=session_key, kind=kind, name=name).scalar()
    return value


def remove_in(conn: Connection, session_key: SessionKey, kind: str, name: str) -> bool:
    """Forget a value of a session. Returns whether there was one."""
    return _REMOVE(conn, session_key=session_key, kind=kind, name=name).rowcount > 0
