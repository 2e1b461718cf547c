"""Tabs that are closed, or open at the end, leave nothing behind: no task, and no line in the terminal."""

import asyncio
import gc
import logging
from pathlib import Path

import httpx
import pytest

from tests.playground.conftest import until
from tests.waiting import DEADLINE_SECONDS
from tgbot.playground.page import Page
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World

MORE_THAN_FITS = 32 * 1024 * 1024  # into all buffers between server and tab


async def test_a_closed_tab_leaves_no_task_and_no_line_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page = Page(World(), tmp_path / "bot.db")
    async with PlaygroundServer(world=page.world, routes=page.routes()) as server:
        before = len(asyncio.all_tasks())
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_SECONDS) as http,
            http.stream("GET", "/playground/events") as stream,
        ):
            assert "hello" in await anext(stream.aiter_lines())
        await until(lambda: len(asyncio.all_tasks()) <= before)
        gc.collect()
    assert _complaints(caplog) == []


async def test_the_end_is_quiet_though_a_tab_is_open_that_does_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    page = Page(World(), tmp_path / "bot.db")
    async with PlaygroundServer(world=page.world, routes=page.routes()) as server:
        address = httpx.URL(server.url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /playground/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await reader.readuntil(b'"hello"')
        page.send("line", line="x" * MORE_THAN_FITS)
        await reader.readuntil(b"xxx")
    writer.close()
    assert _complaints(caplog) == []


def _complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
