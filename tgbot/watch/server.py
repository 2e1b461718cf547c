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
from tgbot.model import InstanceId
from tgbot.store import instances, report
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.tally import tally
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
        instance_id: InstanceId,
        address: tuple[str, int],
        admin: AdminPage | None = None,
        names: Collection[str] = (),
    ) -> None:
        self._db = db
        self._instance_id = instance_id
        self._address = address
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
        error = poller = None
        try:
            poller = await self._db.read(instances.poller)
        except StorageError as failure:
            error = str(failure)
        why = health.why_not_ready(tally.polled_at, time.monotonic(), error)
        said = health.line(why, self._instance_id, poller)
        return PlainTextResponse(f"{said}\n", 503 if why else 200)

    async def _metrics(self, _: Request) -> Response:
        try:
            found = await self._db.read(report.everything)
            workers = await self._db.read(instances.workers)
        except StorageError as failure:
            return PlainTextResponse(f"the database: {failure}\n", 503)
        seen = metrics.Seen(found, workers, self._instance_id)
        return Response(metrics.text(tally, seen, time.monotonic()), media_type=METRICS_TYPE)
