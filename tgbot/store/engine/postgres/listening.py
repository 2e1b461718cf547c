"""Hears the hints of other processes, on a connection of its own."""

import asyncio
import logging
from collections.abc import AsyncIterator

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from tgbot.store.engine.errors import reason
from tgbot.store.engine.hints import CHANNEL
from tgbot.store.engine.postgres.opening import CONNECT_SECONDS, PROBES

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0  # what is lost meanwhile is found by looking, as often


async def hints(url: str) -> AsyncIterator[str]:
    """Give every hint as it comes; a connection that is lost is made anew."""
    while True:
        try:
            async for hint in _hear(url):
                yield hint
        except (psycopg.Error, OSError) as error:
            log.warning("db.hints_lost reason=%s", reason(error))
        await asyncio.sleep(RETRY_SECONDS)


async def _hear(url: str) -> AsyncIterator[str]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    wanted = make_conninfo(plain, connect_timeout=CONNECT_SECONDS, **PROBES)
    async with await psycopg.AsyncConnection.connect(wanted, autocommit=True) as conn:
        await conn.execute(f"LISTEN {CHANNEL}")
        async for notified in conn.notifies():
            yield notified.payload
