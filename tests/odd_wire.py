"""A Bot API server that gives the odd answers a test asks for, which the playground never would."""

import asyncio
import socket
from collections import defaultdict
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tgbot.playground.wire import Server

ME = {"id": 42, "is_bot": True, "first_name": "Bot", "username": "the_bot"}
NOTHING = JSONResponse({"ok": True, "result": []})


def result(value: Any) -> Response:  # noqa: ANN401 - any JSON
    return JSONResponse({"ok": True, "result": value})


class OddWire:
    """Each method gives its `answers` in turn, then `getMe` is sane and everything else has nothing new.

    `files` are what a download gets in turn, then it is not found; `paths` are the paths that were asked for,
    and `ranges` which part of each.
    `asked` are the methods that were called. Those in `silent` are accepted and never answered; `unanswered`
    counts them.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[Response]] = defaultdict(list)
        self.files: list[Response] = []
        self.paths: list[str] = []
        self.ranges: list[str | None] = []
        self.offsets: list[int | None] = []
        self.dead_polls = 0  # how many getUpdates to leave without any answer
        self.asked: list[str] = []
        self.silent: set[str] = set()
        self.unanswered = 0

    async def __aenter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        routes = [
            Route("/{token}/{method}", self._answer, methods=["POST"]),
            Route("/file/{token}/{path:path}", self._file),
        ]
        app = Starlette(routes=routes)
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._serving

    async def _answer(self, request: Request) -> Response:
        method = request.path_params["method"]
        self.asked.append(method)
        if method == "getUpdates":
            offset = (await request.form()).get("offset")
            self.offsets.append(int(str(offset)) if offset else None)
            if self.dead_polls:
                self.dead_polls -= 1
                await asyncio.sleep(60)
        if method in self.silent:
            return await self._never(request)
        if self.answers[method]:
            return self.answers[method].pop(0)
        if method == "getMe":
            return result(ME)
        await asyncio.sleep(0.01)  # a long poll, shortened
        return NOTHING

    async def _never(self, request: Request) -> Response:
        self.unanswered += 1
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.unanswered -= 1
        return NOTHING

    async def _file(self, request: Request) -> Response:
        self.paths.append(request.path_params["path"])
        self.ranges.append(request.headers.get("range"))
        return self.files.pop(0) if self.files else JSONResponse({"ok": False}, 404)
