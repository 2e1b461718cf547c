"""Keeps a turn that has lost its guard from writing anything."""

from sqlalchemy import bindparam, select

from tgbot.model import Ownership, SessionKey, Token
from tgbot.store import workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import shared
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import guard

_HOLDER = Statement(select(guard.c.session_key).where(guard.c.turn_id == bindparam("token")))


class LostGuardError(Exception):
    """The guard has another owner by now, so this turn may not write anything any more."""


def hold(conn: Connection, token: Token, expected: SessionKey | None = None) -> None:
    """Keep whoever else works on the chat of this turn's session waiting until the commit.

    `expected` is the session that it held when it was seen last: mostly it still does, which saves a look.
    """
    if shared(conn):
        _held(conn, token, expected)


def session_of(conn: Connection, turn: Ownership) -> SessionKey:
    """Find the session whose guard a turn holds: a chat can move while its turn runs.

    Raises LostGuardError if it holds none any more.
    """
    session_key = _held(conn, turn.token, turn.session_key)
    if session_key is None:
        raise lost(turn)
    return session_key


def lost(turn: Ownership) -> LostGuardError:
    """Make the error of a turn that does not hold its guard any more."""
    return LostGuardError(f"turn {turn.token} does not hold {turn.session_key} any more")


def _held(conn: Connection, token: Token, expected: SessionKey | None) -> SessionKey | None:
    """Find the session whose guard a turn holds, and lock its chat."""
    locked, held = None, expected or _holder(conn, token)
    while held is not None and held != locked:
        workers.lock_chats(conn, [held])  # and look: it may have moved before, or while it was waited for
        locked, held = held, _holder(conn, token)
    return held


def _holder(conn: Connection, token: Token) -> SessionKey | None:
    session_key: SessionKey | None = _HOLDER(conn, token=token).scalar()
    return session_key
