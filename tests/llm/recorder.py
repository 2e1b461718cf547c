"""Stands between a client and the model server, and keeps every request as it was sent.

aimock's own journal keeps a translation: without media, without settings, and without long bodies.
"""

import asyncio
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import Coroutine
from contextlib import closing, suppress
from typing import Self

from tests.llm.request import Request, parse

HOST = "127.0.0.1"
PIECE_BYTES = 65_536


class Recorder:
    """Listens on a free port of loopback and passes all on to `port`; closes what the other side closes."""

    def __init__(self, port: int) -> None:
        self._onward_port = port
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0
        self.requests: list[Request] = []
        self.never_answered = b""  # a request that contains these bytes waits until its client gives up
        self.instead: list[bytes] = []  # answers the next requests with these bytes instead, then closes

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections, and drop those that there are."""
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _relay(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError), closing(writer):
            onward_reader, onward_writer = await asyncio.open_connection(HOST, self._onward_port)
            with closing(onward_writer):
                requests = self._pass_requests(reader, onward_writer, writer)
                await _until_one_ends(requests, _pass_answers(onward_reader, writer))

    async def _pass_requests(self, reader: StreamReader, onward: StreamWriter, back: StreamWriter) -> None:
        with suppress(IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(parse(head, b"").headers.get("content-length", 0)))
                self.requests.append(parse(head, body))
                if self.never_answered and self.never_answered in body:
                    continue
                if self.instead:
                    back.write(self.instead.pop(0))
                    await back.drain()
                    return
                onward.write(head + body)
                await onward.drain()


async def _pass_answers(reader: StreamReader, back: StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(PIECE_BYTES):
            back.write(piece)
            await back.drain()


async def _until_one_ends(*ways: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
