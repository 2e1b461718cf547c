"""A bot with a webhook, in the test's own process, and whoever posts to it."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.running import running
from tests.scripted import ScriptedAgent
from tests.waiting import eventually
from tests.whole_bot.process import TOKEN, Person
from tgbot.intake.listener import SECRET_HEADER
from tgbot.intake.webhook import secret_of
from tgbot.playground.server import PlaygroundServer

RIGHT = {SECRET_HEADER: secret_of(TOKEN)}
PATH = "/hook/of-ours"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Posted:
    """The bot behind `url`, and the person who may talk to it."""

    def __init__(self, wire: PlaygroundServer, url: str, client: httpx.AsyncClient, person: Person) -> None:
        self.wire = wire
        self.url = url
        self.person = person
        self.client = client

    async def post(self, update: object, headers: dict[str, str] | None = None) -> httpx.Response:
        """Post as Telegram does, or with other headers; text and bytes as they are."""
        body = update if isinstance(update, str | bytes) else json.dumps(update)
        return await self.client.post(self.url, content=body, headers=RIGHT if headers is None else headers)

    def calls(self, method: str) -> list[dict[str, Any]]:
        return [call["params"] for call in self.wire.world.journal if call["method"] == method]

    async def is_set(self) -> None:
        await eventually(lambda: self.wire.world.bot(TOKEN).webhook is not None, "the webhook is set")


@asynccontextmanager
async def posted(
    wire: PlaygroundServer,
    database_path: Path,
    agent: ScriptedAgent,
    **settings: Any,  # noqa: ANN401 - as Settings has them
) -> AsyncIterator[Posted]:
    port = free_port()
    url = f"http://127.0.0.1:{port}{PATH}"
    chosen = {"webhook_url": url, "webhook_address": ("127.0.0.1", port), **settings}
    async with (
        httpx.AsyncClient(timeout=60) as client,
        running(wire, database_path, agent.run, **chosen) as person,
    ):
        built = Posted(wire, chosen["webhook_url"], client, person)
        wire.world._chat_of(person.chat_id, person.user_id)  # for what the test posts itself
        await built.is_set()
        yield built
