"""A model server for tests: aimock (npm, a mock of the model APIs that nobody here wrote) on loopback.

Needs node (or NODE=...) and aimock (from npm, or AIMOCK=...).
"""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx
import pytest

from tests.llm.answers import Fixture
from tests.llm.recorder import HOST, Recorder
from tests.llm.request import Request
from tests.needed import NPM_INSTALL, need
from tests.waiting import DEADLINE_SECONDS

NODE = Path(os.environ.get("NODE") or shutil.which("node") or "/usr/bin/node")
AIMOCK = Path(os.environ.get("AIMOCK", "node_modules/@copilotkit/aimock/dist/aimock-cli.cjs"))
READY = "aimock server listening on "


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A server of models, of any name and with any key, for the APIs of OpenAI, Anthropic and Ollama."""

    _recorder: Recorder
    _aimock_url: str

    @property
    def url(self) -> str:
        """The base URL for Anthropic's client, and for Ollama's own API."""
        return f"http://{HOST}:{self._recorder.port}"

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI's client, and for Ollama as pydantic-ai speaks to it."""
        return f"{self.url}/v1"

    def journal(self) -> list[Request]:
        """Return the requests so far as they were sent, the oldest first."""
        return list(self._recorder.requests)

    async def answers_by(self, *fixtures: Fixture) -> None:
        """Answer by these fixtures from now on, instead of those before; the journal goes on."""
        async with _control(self._aimock_url) as http:
            (await http.delete("/__aimock/fixtures")).raise_for_status()
            (await http.post("/__aimock/fixtures", json={"fixtures": fixtures})).raise_for_status()

    def streams_next(self, *events: str) -> None:
        """Answer the next request with these events, whatever the fixtures say, and end the stream there."""
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        self._recorder.instead.append((head + "".join(events)).encode())

    def never_answers(self, text: str) -> None:
        """Take requests that contain this text, and let them wait for ever."""
        self._recorder.never_answered = text.encode()

    @asynccontextmanager
    async def down(self) -> AsyncGenerator[None]:
        """Refuse every connection for a while."""
        await self._recorder.close()
        try:
            yield
        finally:
            await self._recorder.open()


@asynccontextmanager
async def model_server(*fixtures: Fixture) -> AsyncGenerator[ModelServer]:
    """Run a server that answers by these fixtures (see `answers`); a request without one fails the test."""
    with TemporaryDirectory() as folder:
        async with _aimock(Path(folder), fixtures) as url, Recorder(urlsplit(url).port or 0) as recorder:
            try:
                yield ModelServer(recorder, url)
            except Exception as error:
                for message in await _unanswered(url):
                    error.add_note(f"no fixture for {message}")
                raise
            if unanswered := await _unanswered(url):
                pytest.fail(f"no fixture for {unanswered}")


@asynccontextmanager
async def _aimock(folder: Path, fixtures: Sequence[Fixture]) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(
        *(need(NODE, "install Node 20 or later, or set NODE"), _cli(), "--config", _config(folder, fixtures)),
        env={**os.environ, "AIMOCK_STRICT_TURN_INDEX": "1"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        yield await asyncio.wait_for(_url_of(process), DEADLINE_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()  # it has nothing to lose, and at SIGTERM would wait for open connections
        await process.communicate()


def _cli() -> Path:
    return need(AIMOCK, f"{NPM_INSTALL}, or set AIMOCK")


def _config(folder: Path, fixtures: Sequence[Fixture]) -> Path:
    path = folder / "fixtures.json"
    path.write_text(json.dumps({"fixtures": fixtures}))
    config = folder / "config.json"
    config.write_text(
        json.dumps({"strict": True, "llm": {"fixtures": str(path), "logLevel": "silent"}, "port": 0})
    )
    return config


async def _url_of(process: Process) -> str:
    assert process.stdout
    line = (await process.stdout.readline()).decode().strip()
    if not line.startswith(READY):
        raise RuntimeError(f"aimock did not start: {line} {(await process.stdout.read()).decode()}")
    return line.removeprefix(READY)


async def _unanswered(url: str) -> list[str]:
    """Return path and last message of the requests that no fixture was for."""
    async with _control(url) as http:
        entries = (await http.get("/__aimock/journal", params={"status": 503})).json()
    return [
        f"{entry['path']} {entry['body'].get('messages', [])[-1:]}"
        for entry in entries
        if entry["response"]["fixture"] is None
    ]


def _control(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=DEADLINE_SECONDS, verify=False)
