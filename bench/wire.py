"""A model server on loopback that streams one answer, for the time that its words take to the screen."""

import asyncio
import json
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
FIRST, REST = "A sentence. And", " the end."
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class ModelServer:
    """Speaks chat completions. `said_at` is when the first words of its newest answer went out."""

    def __init__(self, pause_seconds: float) -> None:
        self.said_at = 0.0
        self.url = ""
        self._pause_seconds = pause_seconds

    async def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Take one request, and answer with its first words, a pause and the rest."""
        head = await reader.readuntil(b"\r\n\r\n")
        [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(length.partition(b":")[2]))
        writer.write(HEAD)
        self.said_at = time.monotonic()
        writer.write(_chunk(FIRST))
        await writer.drain()
        await asyncio.sleep(self._pause_seconds)
        writer.write(_chunk(REST) + _chunk("", "stop") + b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def model_server(pause_seconds: float) -> AsyncIterator[ModelServer]:
    """Serve on a free port."""
    server = ModelServer(pause_seconds)
    async with await asyncio.start_server(server.answer, HOST, 0) as listening:
        server.url = f"http://{HOST}:{listening.sockets[0].getsockname()[1]}/v1"
        yield server


def _chunk(words: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": words}, "finish_reason": reason}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
