"""A server for transcriptions on loopback."""

import asyncio
import socket
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tgbot.playground.wire import Server


class Ears:
    """A server for transcriptions: says `words` for each, or gives the next of `answers`."""

    def __init__(self) -> None:
        self.words = "What is the weather?"
        self.answers: list[Response] = []
        self.asked: list[tuple[str, str | None, bytes]] = []  # the model, the file's name and content

    async def __aenter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        app = Starlette(routes=[Route("/v1/audio/transcriptions", self._answer, methods=["POST"])])
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._serving

    async def _answer(self, request: Request) -> Response:
        async with request.form() as form:
            file = form["file"]
            assert isinstance(file, UploadFile)
            self.asked.append((str(form["model"]), file.filename, await file.read()))
        return self.answers.pop(0) if self.answers else JSONResponse({"text": self.words})
