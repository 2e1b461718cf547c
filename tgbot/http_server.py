"""Serves an ASGI application inside the bot's own event loop, which keeps its signals to itself."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

CLOSE_SECONDS_MAX = 1
SILENT_SECONDS_MAX = 10.0  # until the first request of a connection has its headers
KEPT_SECONDS = 75  # an idle connection: longer than Telegram and nginx keep theirs, so that they close it
CONNECTIONS_MAX = 256  # a guard for file descriptors, which the database needs too


def listen(address: tuple[str, int]) -> socket.socket:
    """Take an address. Raises ValueError with the reason: another program has it, say."""
    try:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        return socket.create_server(address, family=family)
    except socket.gaierror as error:
        raise ValueError(error.strerror) from None
    except OSError as error:  # whose own words name the address a second time
        raise ValueError(os.strerror(error.errno or 0)) from None


@asynccontextmanager
async def serving(
    app: ASGIApp,
    listening: socket.socket,
    certificate: Path | None = None,
    key: Path | None = None,
) -> AsyncIterator[None]:
    """Serve on a socket, and at the end give requests under way CLOSE_SECONDS_MAX; the socket is closed.

    With a `certificate` it speaks TLS; its `key` may stand in the same file.
    """
    config = uvicorn.Config(
        app,
        http=_Impatient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEPT_SECONDS,
        timeout_graceful_shutdown=CLOSE_SECONDS_MAX,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    try:
        yield
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the bot."""
        yield


class _Impatient(H11Protocol):
    """Closes connections on which nothing comes, and those that are too many: uvicorn would keep them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        self.loop.call_later(SILENT_SECONDS_MAX, self._close_if_silent, None)

    def _close_if_silent(self, answered: RequestResponseCycle | None) -> None:
        """Close it if no request came since the last look, when all were `answered`.

        Of what is no whole request uvicorn would let any byte stop its own clock, and wait for ever.
        """
        if self.transport.is_closing():
            return
        if self.cycle is answered:
            self.transport.close()
            return
        answered = self.cycle if self.cycle.response_complete else None
        self.loop.call_later(KEPT_SECONDS, self._close_if_silent, answered)
