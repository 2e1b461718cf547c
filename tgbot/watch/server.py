"""Serves /healthz, /readyz, /metrics and the admin page, for what keeps the bot running and for people."""

import asyncio
import logging
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from tgbot.store import report
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.tally import Tally, tally
from tgbot.watch import health, metrics
from tgbot.watch.gate import Gate
from tgbot.watch.page import AdminPage

log = logging.getLogger(__name__)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LAG_SECONDS = 1.0  # between two looks at how late the loop is
CLOSE_SECONDS_MAX = 1


class Watch:
    """A service: it serves until it is cancelled. Raises OSError in `serve` where the address is taken.

    The page of the `admin` is shown under the address, this machine's own names, and these `names`.
    """

    def __init__(
        self,
        db: Database,
        address: tuple[str, int],
        counted: Tally = tally,
        admin: AdminPage | None = None,
        names: Collection[str] = (),
    ) -> None:
        self._db = db
        self._address = address
        self._tally = counted
        pages = {"healthz": self._healthz, "readyz": self._readyz, "metrics": self._metrics}
        routes: list[BaseRoute] = [Route(f"/{name}", page) for name, page in pages.items()]
        if admin:
            routes.append(Mount("/", Gate(admin.app, address[0], names)))
        self._admin = admin
        self._app = Starlette(routes=routes)

    async def serve(self) -> None:
        """Serve, and measure how late the loop is."""
        listening = socket.create_server(self._address)
        host, port = listening.getsockname()[:2]
        log.info("watch.serving http://%s:%s", host, port)
        server = _Server(_config(self._app))
        serving = asyncio.create_task(server.serve(sockets=[listening]), name="watch")
        try:
            while True:
                await self._measure()
        finally:
            server.should_exit = True
            if self._admin:
                self._admin.close()
            await serving

    async def _measure(self) -> None:
        due_at = time.monotonic() + LAG_SECONDS
        await asyncio.sleep(LAG_SECONDS)
        self._tally.loop_lag_seconds = max(0.0, time.monotonic() - due_at)

    async def _healthz(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")  # that it answers is the point: the loop turns

    async def _readyz(self, _: Request) -> Response:
        error = None
        try:
            await self._db.read(report.longest_wait_seconds)
        except StorageError as failure:
            error = str(failure)
        why = health.why_not_ready(self._tally.polled_at, time.monotonic(), error)
        return PlainTextResponse(f"not ready: {why}\n", 503) if why else PlainTextResponse("ready\n")

    async def _metrics(self, _: Request) -> Response:
        try:
            found = await self._db.read(report.everything)
            waiting_seconds = await self._db.read(report.longest_wait_seconds)
        except StorageError as failure:
            return PlainTextResponse(f"the database: {failure}\n", 503)
        body = metrics.text(self._tally, found, waiting_seconds or 0.0, time.monotonic())
        return Response(body, media_type=METRICS_TYPE)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the bot."""
        yield


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=CLOSE_SECONDS_MAX,
    )
