"""A proxy in front of workers that take webhooks: each post goes to the next of them."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.posted import free_port
from tests.whole_bot.process import BotProcess
from tests.workers.crew import Crew
from tgbot import http_server

LOST = Response(status_code=502)


class Proxy:
    """Passes each post on to `copies` workers at once; who sent it hears of the first answer.

    `on_taken` is awaited once, with the worker that has answered 200 while nobody knows it yet; that answer
    is lost.
    `posts` counts those that each worker has answered with 200.
    """

    def __init__(self, client: httpx.AsyncClient, ports: dict[int, BotProcess]) -> None:
        self.copies = 1
        self.on_taken: Callable[[BotProcess], Awaitable[None]] | None = None
        self.posts = dict.fromkeys(ports, 0)
        self._client = client
        self._ports = ports
        self._turns = itertools.cycle(ports)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        ports = [next(self._turns) for _ in range(self.copies)]
        answers = await asyncio.gather(*(self._answer(port, body, request) for port in ports))
        await answers[0](scope, receive, send)

    async def _answer(self, port: int, body: bytes, request: Request) -> Response:
        try:
            taken = await self._client.post(
                f"http://127.0.0.1:{port}/", content=body, headers=request.headers.raw
            )
        except httpx.TransportError:
            return LOST
        self.posts[port] += taken.is_success
        if self.on_taken and taken.is_success:
            happens, self.on_taken = self.on_taken, None
            await happens(self._ports[port])
            return LOST
        return Response(status_code=taken.status_code)


@asynccontextmanager
async def with_proxy(crew: Crew) -> AsyncIterator[Proxy]:
    """Let workers that are not started yet have a webhook, behind this."""
    listening = socket.create_server(("127.0.0.1", 0))
    ports = {free_port(): worker for worker in crew.workers}
    for port, worker in ports.items():
        worker.setting(
            webhook_url=f"http://127.0.0.1:{listening.getsockname()[1]}/",
            webhook_address=f"127.0.0.1:{port}",
        )
    async with httpx.AsyncClient(timeout=60) as client:
        proxy = Proxy(client, ports)
        async with http_server.serving(proxy, listening):
            yield proxy
