"""Hints to other processes that work on the same database. Each may be lost."""

from typing import Any

from sqlalchemy import Executable, func, select

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.locks import shared
from tgbot.store.engine.statement import Statement

CHANNEL = "tgbot"


class Hint:
    """`HINT(conn, name=value)` sends a text to everyone, with the commit, where anybody else may work."""

    def __init__(self, text: Any, *conditions: Any) -> None:  # noqa: ANN401 - SQL expressions
        clause: Executable = select(func.pg_notify(CHANNEL, text)).where(*conditions)
        self._send = Statement(clause)

    def __call__(self, conn: Connection, **values: object) -> None:
        """Send it once for each row for which the conditions hold."""
        if shared(conn):
            self._send(conn, **values)
