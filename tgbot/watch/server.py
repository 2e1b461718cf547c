"""Serves /healthz, /readyz, /metrics and the admin page, for what keeps the bot running and for people."""

import asyncio
import logging
import socket
import time
from collections.abc import Collection

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from tgbot import config, http_server
from tgbot.store import report
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.tally import Tally, tally
from tgbot.watch import health, metrics
from tgbot.watch.gate import Gate
from tgbot.watch.page import AdminPage

log = logging.getLogger(__name__)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Watch:
    """A service: it serves until it is cancelled.

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
        """Serve until cancelled. Raises ConfigError where the address cannot be had."""
        listening = self._socket()
        host, port = listening.getsockname()[:2]
        log.info("watch.serving http://%s:%s", f"[{host}]" if ":" in host else host, port)
        async with http_server.serving(self._app, listening):
            try:
                await asyncio.get_running_loop().create_future()  # never: until cancelled
            finally:
                if self._admin:
                    self._admin.close()

    def _socket(self) -> socket.socket:
        try:
            return http_server.listen(self._address)
        except ValueError as error:
            raise config.wrong_setting("http_address", error) from None

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
