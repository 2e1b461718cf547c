"""The page for people: its files, its stream of events, the bot's process and agent, the commands menu."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tgbot.playground import pending
from tgbot.playground.agents import Choice
from tgbot.playground.errors import ApiError
from tgbot.playground.supervisor import Supervisor
from tgbot.playground.wire import cut
from tgbot.playground.world import World

STATIC = Path(str(files("tgbot.playground") / "static"))
LOOK: list[str | tuple[str, str]] = [("tgbot.look", "static")]  # what all pages share
EVENTS_QUEUED_MAX = 2_000  # a page that falls further behind is told to load afresh
PAGES_MAX = 32
# Nothing is loaded from anywhere but this server, and nothing a bot sends can run.
# `blob:` is a picture that is chosen and not sent yet.
_SOURCES = "default-src 'self'; img-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'"
POLICY = {"Content-Security-Policy": _SOURCES}
LOOK_SECONDS = 0.2
KEEPALIVE_SECONDS = 15.0
# What happens to a world that concerns the page.
_SHOWN = ("message", "deleted", "reactions", "action", "draft", "callback", "commands", "chat", "faults")


class Page:
    """Feeds the pages that are open: every event goes to each, and the pending table when it changes.

    `database` is the bot's: a file, or the URL of one on a server. `private`: nobody may talk to the bot whom
    its owner does not let in.
    """

    def __init__(self, world: World, database: Path | str, *, private: bool = False) -> None:
        self.world = world
        self.private = private
        self.opened = asyncio.Event()
        self._supervisor: Supervisor | None = None
        self._agents: Mapping[str, Choice] = {}
        self._look = pending.look_at(database)
        self._queues: set[asyncio.Queue[dict[str, Any]]] = set()
        self.pending = pending.nothing()
        world.listeners.append(self._on_world)

    def send(self, kind: str, **facts: object) -> None:
        """Send an event to every open page."""
        for queue in self._queues:
            if queue.full():
                _empty(queue)
                queue.put_nowait({"kind": "reload"})
            queue.put_nowait({"kind": kind, **facts})

    async def watch_pending(self) -> None:
        """Look at the bot's database while a page is open, and send what changed. Runs until cancelled."""
        while True:
            if self._queues:
                seen = await asyncio.to_thread(self._look)
                if seen != self.pending:
                    self.pending = seen
                    self.send("pending", pending=seen)
            await asyncio.sleep(LOOK_SECONDS)

    def supervise(self, supervisor: Supervisor, agents: Mapping[str, Choice]) -> None:
        """Show how the bot is and what it says, with buttons to end and start it, and the agents for it."""
        self._supervisor = supervisor
        self._agents = agents
        supervisor.changed = lambda: self.send("bot", bot=supervisor.state())
        supervisor.said = lambda line: self.send("line", line=line)

    def routes(self) -> list[BaseRoute]:
        """Return the page, and what only the page uses."""
        return [
            Route("/", lambda _request: FileResponse(STATIC / "index.html", headers=POLICY)),
            Mount("/static", StaticFiles(directory=STATIC, packages=LOOK)),
            Route("/playground/events", self._events),
            Route("/playground/state", self._state),
            Route("/playground/bot/{act}", self._act, methods=["POST"]),
            Route("/playground/agents/{name:path}", self._choose, methods=["POST"]),
            Route("/playground/files/{id}", self._file),
        ]

    def _on_world(self, event: dict[str, Any]) -> None:
        if event["kind"] in _SHOWN:
            self.send(**event)

    async def _events(self, request: Request) -> Response:
        if len(self._queues) >= PAGES_MAX:
            raise HTTPException(503, f"more than {PAGES_MAX} pages are open: close some")
        return StreamingResponse(self._stream(request), media_type="text/event-stream")

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(EVENTS_QUEUED_MAX + 1)
        self._queues.add(queue)
        self.opened.set()
        closing = asyncio.create_task(self.world.closing.wait())
        # A page that does not read would hold up the end, and be reported by the server.
        closing.add_done_callback(lambda _: cut(request.scope))
        try:
            yield _sse({"kind": "hello"})
            while not closing.done() and not await request.is_disconnected():
                if event := await _next(queue, closing):
                    yield _sse(event)
                else:
                    yield ":\n\n"
        finally:
            closing.cancel()
            self._queues.discard(queue)

    async def _state(self, _request: Request) -> Response:
        bot = self._supervisor.state() if self._supervisor else {"running": False, "pid": None, "since": 0}
        lines = list(self._supervisor.lines) if self._supervisor else []
        return JSONResponse(
            {
                "bot": bot,
                "private": self.private,
                "account": self._account(),
                "agents": list(self._agents),
                "lines": lines,
                "pending": self.pending,
                "commands": self.world.commands(),
                "faults": self.world.faults.kinds(),
            }
        )

    def _account(self) -> dict[str, Any]:
        """Return the bot that the page talks to, as a User: that of the playground has the lowest id."""
        bots = sorted(self.world.bots.values(), key=lambda bot: bot.id)
        return bots[0].user if bots else {"id": 0, "is_bot": True, "first_name": "Bot", "username": "bot"}

    async def _act(self, request: Request) -> Response:
        if self._supervisor is None:
            raise HTTPException(409, "this playground runs no bot of its own")
        acts = {"start": self._supervisor.start, "stop": self._supervisor.stop, "kill": self._supervisor.kill}
        act = acts.get(request.path_params["act"])
        if act is None:
            raise HTTPException(404, "start, stop or kill")
        await act()
        return JSONResponse(self._supervisor.state())

    async def _choose(self, request: Request) -> Response:
        choice = self._agents.get(request.path_params["name"])
        if self._supervisor is None or choice is None:
            raise HTTPException(404, "no such agent")
        await self._supervisor.choose(choice)
        return JSONResponse(self._supervisor.state())

    async def _file(self, request: Request) -> Response:
        try:
            stored = self.world.files.get(request.path_params["id"])
        except ApiError as error:
            return JSONResponse(error.body(), error.code)
        # Never shown as a page of this origin: a bot may send any HTML or SVG as a document.
        inline = (
            "inline" if stored.kind in ("photo", "voice", "audio", "video", "animation") else "attachment"
        )
        return FileResponse(
            self.world.files.on_disk(stored),
            media_type=stored.mime_type,
            filename=stored.file_name,
            content_disposition_type=inline,
            headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"},
        )


async def _next(queue: asyncio.Queue[dict[str, Any]], closing: asyncio.Task[bool]) -> dict[str, Any] | None:
    """Return the next event, or None after a quiet while or at the end."""
    waiting = asyncio.create_task(queue.get())
    try:
        await asyncio.wait({waiting, closing}, timeout=KEEPALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()  # also when the page has gone meanwhile


def _empty(queue: asyncio.Queue[dict[str, Any]]) -> None:
    while not queue.empty():
        queue.get_nowait()


def _sse(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"
