"""HTTP/1.1 on loopback, with a connection that an endpoint can cut."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class CuttableProtocol(H11Protocol):
    """uvicorn's protocol, which also tells the app its transport, as `scope["state"]["transport"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport where every request of this connection finds it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def cut(scope: Scope) -> None:
    """Reset the connection that a request came by."""
    cast("asyncio.Transport", scope["state"]["transport"]).abort()


class Cut(Response):
    """A response that never comes: the connection is reset, and the client can't tell what took effect."""

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Cut, then wait until the server has noticed, so that it doesn't report an app without an answer."""
        cut(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


class Server(uvicorn.Server):
    """A uvicorn server that leaves signal handlers alone: it runs inside somebody else's loop."""

    @contextmanager
    def capture_signals(self) -> Generator[None, Any, None]:
        """Capture nothing."""
        yield
