"""A gateway between the bot and the playground: it answers with pages of its own, and garbles updates."""

import asyncio
import json
import re
import socket
from collections import defaultdict
from typing import Self

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tgbot.playground.server import PlaygroundServer
from tgbot.playground.wire import Server

_STAND_IN = re.compile(r'\{"update_id":(\d+),"garbled":(\d+)\}')


class Gateway:
    """Each method answers with its `pages` in turn; those requests never reach the playground."""

    def __init__(self, behind: PlaygroundServer) -> None:
        self._behind = behind
        self.pages: dict[str, list[Response]] = defaultdict(list)
        self._garbled: list[str] = []

    def inject(self, text: str) -> None:
        """Queue an update with exactly this text; "ID" in it stands for its number."""
        self._behind.world.inject_update({"garbled": len(self._garbled)})
        self._garbled.append(text)

    async def __aenter__(self) -> Self:
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._client = httpx.AsyncClient(base_url=self._behind.url, timeout=None)
        app = Starlette(routes=[Route("/{token}/{method}", self._answer, methods=["POST"])])
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._serving
        await self._client.aclose()

    async def _answer(self, request: Request) -> Response:
        if self.pages[request.path_params["method"]]:
            return self.pages[request.path_params["method"]].pop(0)
        kind = {"content-type": request.headers.get("content-type", "application/x-www-form-urlencoded")}
        answer = await self._client.post(request.url.path, content=await request.body(), headers=kind)
        if request.path_params["method"] != "getUpdates":
            return Response(answer.content, answer.status_code)
        text = json.dumps(answer.json(), ensure_ascii=False, separators=(",", ":"))
        garbled = _STAND_IN.sub(lambda found: self._garbled[int(found[2])].replace("ID", found[1]), text)
        return Response(garbled, answer.status_code)
