"""Looks into the bot's database where that is on a PostgreSQL server."""

from typing import Any

import psycopg

from tgbot.playground import pending

# A message may have a NUL, as JSON writes it, which the server takes for no text.
_TEXT = r"CAST(replace(p.raw, '\u0000', ' ') AS json) #>> '{{message,{}}}'"
CONNECT_SECONDS = 5


class Server:
    """Keeps its connection: to make one for each look would be work for the server."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("+psycopg", "", 1)
        self._connection: psycopg.Connection[Any] | None = None

    def look(self) -> dict[str, Any]:
        """Return what `pending.look_at` says."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, connect_timeout=CONNECT_SECONDS
                )
            return pending.seen(self._connection, _TEXT.format)
        except psycopg.Error:  # not there, or not migrated yet: a later look will show it
            return pending.nothing()
