"""What stands between Telegram and a bot with a webhook: it delays posts, and loses answers."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.posted import free_port
from tests.whole_bot.process import BotProcess
from tgbot import http_server

LOST = Response(status_code=502)


class Between:
    """Passes posts on to the bot, each after up to `delay_seconds`.

    Of the answers it loses a part, `lost`. `on_taken` is awaited once, when the bot has answered 200 and
    nobody knows it yet; that answer is lost, too.
    """

    def __init__(self, client: httpx.AsyncClient, seed: int) -> None:
        self.delay_seconds = 0.0
        self.lost = 0.0
        self.on_taken: Callable[[], Awaitable[None]] | None = None
        self.answers: list[int] = []
        self._client = client
        self._dice = random.Random(seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        await asyncio.sleep(self._dice.random() * self.delay_seconds)
        try:
            taken = await self._client.post("/", content=body, headers=request.headers.raw)
        except httpx.TransportError:
            return LOST
        self.answers.append(taken.status_code)
        if self.on_taken and taken.is_success:
            happens, self.on_taken = self.on_taken, None
            await happens()
            return LOST
        return LOST if self._dice.random() < self.lost else Response(status_code=taken.status_code)


@asynccontextmanager
async def with_webhook(bot: BotProcess, seed: int = 1) -> AsyncIterator[Between]:
    """Let a bot that is not started yet have a webhook, behind this."""
    port, listening = free_port(), socket.create_server(("127.0.0.1", 0))
    bot.setting(
        webhook_url=f"http://127.0.0.1:{listening.getsockname()[1]}/", webhook_address=f"127.0.0.1:{port}"
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        between = Between(client, seed)
        async with http_server.serving(between, listening):
            yield between
