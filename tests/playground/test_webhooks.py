"""Webhooks: real posts with the secret, again until they are taken, in order within a chat."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.playground.conftest import Client, until
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.wire import Server


class Receiver:
    """A bot that takes webhook posts, and refuses the first `refuse` of them."""

    def __init__(self) -> None:
        self.refuse = 0
        self.texts: list[str] = []
        self.secrets: set[str | None] = set()
        self.url = ""

    async def __call__(self, request: Request) -> Response:
        self.secrets.add(request.headers.get("x-telegram-bot-api-secret-token"))
        if self.refuse:
            self.refuse -= 1
            return Response(status_code=500)
        self.texts.append((await request.json())["message"]["text"])
        return Response()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/hook", receiver.__call__, methods=["POST"])])
    config = uvicorn.Config(app, port=0, lifespan="off", ws="none", log_config=None)
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    yield receiver
    server.should_exit = True
    await serving


async def test_updates_are_posted_with_the_secret(
    server: PlaygroundServer, bot: Client, receiver: Receiver
) -> None:
    server.world.post_message(7, 7, "before")
    await bot.call("setWebhook", url=receiver.url, secret_token="s3cret")
    server.world.post_message(7, 7, "after")
    await until(lambda: receiver.texts == ["before", "after"])
    assert receiver.secrets == {"s3cret"}
    await until(lambda: not server.world.bots[bot.token].updates)


async def test_a_refused_update_comes_again_in_order(
    server: PlaygroundServer, bot: Client, receiver: Receiver
) -> None:
    receiver.refuse = 2
    await bot.call("setWebhook", url=receiver.url)
    for text in "abc":
        server.world.post_message(7, 7, text)
    await until(lambda: receiver.texts == ["a", "b", "c"])
    assert "500" in (await bot.call("getWebhookInfo"))["last_error_message"]


async def test_polling_beside_a_webhook_is_a_conflict(bot: Client, receiver: Receiver) -> None:
    await bot.call("setWebhook", url=receiver.url)
    answer = await bot.raw("getUpdates")
    assert answer["error_code"] == 409
    assert "webhook is active" in answer["description"]
    await bot.call("deleteWebhook")
    assert (await bot.call("getWebhookInfo"))["url"] == ""
    await bot.call("getUpdates")


async def test_what_the_webhook_did_not_take_is_polled_later(server: PlaygroundServer, bot: Client) -> None:
    await bot.call("setWebhook", url="http://127.0.0.1:9/closed")
    server.world.post_message(7, 7, "kept")
    await bot.call("deleteWebhook")
    assert [update["message"]["text"] for update in await bot.call("getUpdates")] == ["kept"]


@pytest.mark.parametrize(
    "params", [{"url": "https://example.org/"}, {"url": "http://localhost/", "secret_token": "a b"}]
)
async def test_a_bad_webhook_is_refused(bot: Client, params: dict[str, Any]) -> None:
    assert "bad webhook" in await bot.refused("setWebhook", **params)
