"""The page's stream of events: what it carries, and what happens to a page that can't keep up."""

import asyncio
import json
from pathlib import Path

import httpx

from tests.playground.conftest import Json
from tests.waiting import DEADLINE_SECONDS
from tgbot.playground import page as pages
from tgbot.playground.page import Page
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World


async def events(server: PlaygroundServer, page: Page, count: int) -> list[dict[str, Json]]:
    """Return the first `count` events of a page that opens now."""
    seen: list[dict[str, Json]] = []
    http = httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_SECONDS)
    async with http, http.stream("GET", "/playground/events") as stream:
        async for line in stream.aiter_lines():
            seen += [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []
            if seen == [{"kind": "hello"}]:
                server.world.post_message(7, 7, "hello")
            if len(seen) == count:
                break
    return seen


async def test_a_page_hears_what_happens(tmp_path: Path) -> None:
    page = Page(World(), tmp_path / "bot.db")
    async with PlaygroundServer(world=page.world, routes=page.routes()) as server:
        hello, chat, message = await events(server, page, 3)
        assert (hello["kind"], chat["kind"], message["kind"]) == ("hello", "chat", "message")
        assert message["message"]["text"] == "hello"


async def test_a_page_that_falls_behind_is_asked_to_reload(tmp_path: Path) -> None:
    page = Page(World(), tmp_path / "bot.db")
    queue: asyncio.Queue[dict[str, Json]] = asyncio.Queue(pages.EVENTS_QUEUED_MAX + 1)
    page._queues.add(queue)
    for number in range(3 * pages.EVENTS_QUEUED_MAX):
        page.send("message", number=number)
    kinds = [queue.get_nowait()["kind"] for _ in range(queue.qsize())]
    assert kinds[0] == "reload"
    assert len(kinds) <= pages.EVENTS_QUEUED_MAX + 1
