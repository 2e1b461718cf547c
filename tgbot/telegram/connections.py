"""Connections to the Bot API server: one HTTP client for each, so that no request waits for another.

Not one pool of httpx for all: where hundreds of requests are under way it looks through every connection for
each of them, which costs five times the CPU of the request itself (12 ms instead of 2 with 64 at once).
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from telegram.error import NetworkError
from telegram.request import HTTPXRequest

# Whoever sends is bounded elsewhere: one request at a time for each chat that is served (256) or has a turn
# that runs (TGBOT_MAX_TURNS, 64), 64 courtesies, 8 downloads. So this is only a guard for file descriptors.
CONNECTIONS_MAX = 512
KEPT_MAX = 32  # idle ones: 30 requests a second that take half a second each leave no more than 15
KEPT_SECONDS = 5.0  # idle for longer, it may be half closed: a request on it could be lost
REQUEST_SECONDS = 20.0


class Connections:
    """Opens and keeps connections; those that were idle for `KEPT_SECONDS` are closed with the next use."""

    def __init__(self) -> None:
        self._tls = httpx.create_ssl_context()  # shared: making one costs as much as a hundred messages
        self._busy = 0
        self._idle: deque[tuple[float, Connection]] = deque()  # the one used last stands last

    @asynccontextmanager
    async def one(self) -> AsyncIterator["Connection"]:
        """Lend a connection. Raises NetworkError when CONNECTIONS_MAX are in use, and never waits."""
        if self._busy >= CONNECTIONS_MAX:
            raise NetworkError("too many requests at once") from httpx.PoolTimeout("")
        connection = self._idle.pop()[1] if self._idle else Connection(self._tls)
        self._busy += 1
        try:
            yield connection
        except BaseException:
            # It may be in any state, and an answer that comes late must meet nobody: a new one is cheap.
            await connection.shutdown()
            raise
        else:
            await self._keep(connection)
        finally:
            self._busy -= 1

    @asynccontextmanager
    async def stream(self, url: str, start: int) -> AsyncIterator[httpx.Response]:
        """Open a URL for reading from byte `start` on, without compression: the bytes as they are stored."""
        async with self.one() as connection, connection.stream(url, start) as response:
            yield response

    async def close(self) -> None:
        """Close what is kept; call it when no request is under way any more."""
        while self._idle:
            await self._idle.pop()[1].shutdown()

    async def _keep(self, connection: "Connection") -> None:
        now = asyncio.get_running_loop().time()
        self._idle.append((now, connection))
        while len(self._idle) > KEPT_MAX or now - self._idle[0][0] > KEPT_SECONDS:
            await self._idle.popleft()[1].shutdown()


class Connection(HTTPXRequest):
    """PTB's HTTP client, with one connection."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(
            httpx_kwargs={"verify": tls},
            connection_pool_size=1,
            connect_timeout=REQUEST_SECONDS,
            read_timeout=REQUEST_SECONDS,
            write_timeout=REQUEST_SECONDS,
            pool_timeout=REQUEST_SECONDS,
        )

    @asynccontextmanager
    async def stream(self, url: str, start: int) -> AsyncIterator[httpx.Response]:
        """Open a URL for reading from byte `start` on; a server need not heed that."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        async with self._client.stream("GET", url, headers=headers) as response:
            yield response
