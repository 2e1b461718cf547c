"""The mode of a session: what becomes of a message that comes while a turn runs there.

queue: it waits, as a turn of its own. collect: all that waits becomes one turn. interrupt: it stops the turn
that runs. steer: it joins that turn where the agent takes it in between two steps, and else waits.
"""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from tgbot.model import BotId, Mode, Ownership, SessionKey
from tgbot.store import fence, values
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal, position
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import session_value

SETTING, NAME = "setting", "mode"

_KEY: ColumnElement[str] = bindparam("session_key")


def _value(session_key: Any) -> ColumnElement[str]:  # noqa: ANN401 - a parameter or an expression
    return (
        select(session_value.c.value)
        .where(
            session_value.c.session_key == session_key,
            session_value.c.kind == literal(f"'{SETTING}'"),
            session_value.c.name == literal(f"'{NAME}'"),
        )
        .scalar_subquery()
    )


# A session's key begins with that of the bot, whose mode is the default.
_of_bot = func.substr(_KEY, literal("1"), position(_KEY, literal("':'")) - literal("1"))
_OF = Statement(select(func.coalesce(_value(_KEY), _value(_of_bot), literal("'queue'"))))


def set_default(conn: Connection, bot_id: BotId, mode: Mode) -> None:
    """Let this be the mode of all sessions that have none of their own."""
    values.put_in(conn, SessionKey(str(bot_id)), SETTING, NAME, mode)


def of(conn: Connection, session_key: SessionKey) -> Mode:
    """Find the mode of a session."""
    mode: Mode = _OF(conn, session_key=session_key).scalar()
    return mode


def of_turn(conn: Connection, turn: Ownership) -> Mode:
    """Find the mode of the session that a turn holds. Raises LostGuardError."""
    return of(conn, fence.session_of(conn, turn))


def choose(conn: Connection, session_key: SessionKey, mode: Mode) -> None:
    """Give a session a mode of its own."""
    values.put_in(conn, session_key, SETTING, NAME, mode)
