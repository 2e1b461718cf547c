"""How an MCP server is reached: a child process on a leash, streamable HTTP, or SSE. Imports mcp."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

import httpx2
from mcp.client import Transport
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tgbot.agents.llm.tools import leash
from tgbot.agents.llm.tools.servers import Entry

Streams = tuple[Any, Any]  # to read from, and to write to

REQUEST_SECONDS = 30.0
READ_SECONDS = 300.0  # that a stream may be silent
WORDS_MAX = 2_000  # bytes
WORDS_SECONDS = 0.2  # to hear the last of them

# Tracebacks for what servers do wrong, and URLs; what a reader needs is in the lines of `connection`.
for name in ("mcp", "client", "httpx2", "httpcore2"):
    logging.getLogger(name).setLevel(logging.CRITICAL)


class LastWords(asyncio.Protocol):
    """The last that a process wrote to stderr: mostly why it ended."""

    def __init__(self) -> None:
        self._said = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Keep the end of it."""
        self._said = (self._said + data)[-WORDS_MAX:]

    def connection_lost(self, _: Exception | None) -> None:
        """Note that nothing will come any more."""
        self.ended.set()

    @property
    def line(self) -> str:
        """The last three lines as one."""
        lines = (" ".join(line.split()) for line in self._said.decode(errors="replace").split("\n"))
        return " / ".join([line for line in lines if line][-3:])


def transport(entry: Entry, words: LastWords) -> Transport:
    """Make the way to a server; leaving it ends its process, or the session."""
    if entry.command is not None:
        return _process(entry.command, entry, words)
    assert entry.url is not None
    seconds = max(READ_SECONDS, entry.tgbot.timeout_seconds)
    if entry.type == "sse":
        return sse_client(entry.url, entry.headers, REQUEST_SECONDS, seconds)
    return _http(entry.url, entry.headers, seconds)


@asynccontextmanager
async def _process(command: str, entry: Entry, words: LastWords) -> AsyncIterator[Streams]:
    # The environment of the bot, with its token, is not passed on: only PATH, HOME and the like.
    on_leash = StdioServerParameters(
        command=sys.executable,
        args=["-I", "-S", str(Path(leash.__file__)), command, *(entry.args or ())],
        env=entry.env,
        cwd=entry.cwd,
    )
    async with _heard(words) as stderr, stdio_client(on_leash, errlog=stderr) as streams:
        yield streams


@asynccontextmanager
async def _http(url: str, headers: dict[str, str] | None, read_seconds: float) -> AsyncIterator[Streams]:
    client = httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(REQUEST_SECONDS, read=read_seconds))
    async with client, streamable_http_client(url, http_client=client) as streams:
        yield streams


@asynccontextmanager
async def _heard(words: LastWords) -> AsyncIterator[TextIO]:
    """Open a stderr for a child process."""
    read_end, write_end = os.pipe()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: words, os.fdopen(read_end, "rb"))
    try:
        with os.fdopen(write_end, "w") as stderr:
            yield stderr
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(words.ended.wait(), WORDS_SECONDS)
        pipe.close()
