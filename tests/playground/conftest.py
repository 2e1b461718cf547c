"""What the playground's tests share: a server, and a client that speaks the Bot API in plain HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import pytest

from tests.playground.browsing import browser, page, playground
from tests.playground.process import Json
from tests.waiting import DEADLINE_SECONDS
from tgbot.playground.server import PlaygroundServer

__all__ = ["Json", "browser", "page", "playground"]

T = TypeVar("T")
TOKEN = "1:playground"


@dataclass
class Client:
    """Calls methods as a bot, and the people's side, and hands back the JSON."""

    http: httpx.AsyncClient
    token: str = TOKEN

    async def raw(self, method: str, **params: Json) -> dict[str, Any]:
        answer = await self.http.post(f"/bot{self.token}/{method}", json=params)
        body: dict[str, Any] = answer.json()
        assert answer.status_code == (200 if body["ok"] else body["error_code"])
        return body

    async def call(self, method: str, **params: Json) -> Json:
        body = await self.raw(method, **params)
        assert body["ok"], body
        return body["result"]

    async def refused(self, method: str, **params: Json) -> str:
        body = await self.raw(method, **params)
        assert not body["ok"], body
        return str(body["description"])


@pytest.fixture
async def server() -> AsyncIterator[PlaygroundServer]:
    async with PlaygroundServer() as running:
        yield running


@pytest.fixture
async def bot(server: PlaygroundServer) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_SECONDS, verify=False) as http:
        client = Client(http)
        await client.call("getMe")
        yield client


async def until(look: Callable[[], T]) -> T:
    """Return the first true value of `look`, or fail at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (seen := look()):
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.01)
    return seen
