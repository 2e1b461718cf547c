"""The server that tests and `tgbot play` start: one ASGI app on loopback, in the running event loop."""

import asyncio
import contextlib
import ipaddress
import socket
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from tgbot.playground import botapi, people
from tgbot.playground.origin import SameOriginOnly
from tgbot.playground.wire import CuttableProtocol, Server
from tgbot.playground.world import World

CLOSE_SECONDS_MAX = 2
CONNECTIONS_MAX = 2_000


class PlaygroundServer:
    """A Bot API server with the people who talk to the bot.

    `async with PlaygroundServer(port=0) as server:` serves until the block ends; port 0 picks a free one.
    Raises OSError when the port is taken, and ValueError for a host that is not loopback unless
    `allow_remote` is set: whoever reaches the server is everybody in it.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        world: World | None = None,
        routes: list[BaseRoute] | None = None,
        allow_remote: bool = False,
    ) -> None:
        if not allow_remote and not _is_loopback(host):
            raise ValueError(f"the playground listens on loopback only, not on {host}")
        self.world = world or World()
        self._address = (host, port)
        self._app = Starlette(
            routes=[*botapi.routes(self.world), *people.routes(self.world), *(routes or [])],
            middleware=[] if allow_remote else [Middleware(SameOriginOnly)],
        )

    @property
    def url(self) -> str:
        """Return the server's address, without a slash at the end; TGBOT_API_URL for the bot."""
        host, port = self._address
        return f"http://{host}:{port}"

    async def __aenter__(self) -> Self:
        listening = socket.create_server(self._address, backlog=CONNECTIONS_MAX)
        # For what it accepts: asyncio leaves it out for a socket made elsewhere, and answers come 40 ms late.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._address = (self._address[0], listening.getsockname()[1])
        config = uvicorn.Config(
            self._app,
            http=CuttableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=CLOSE_SECONDS_MAX,
            timeout_keep_alive=120,
        )
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.world.close()
        self._server.should_exit = True
        await self._serving
        self.world.files.close()  # not before: a late call may still bring one


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
