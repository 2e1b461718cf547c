"""The admin page: log in, see what runs and waits as it changes, and act on it."""

import asyncio
import dataclasses
import json
import logging
import math
import time
from collections.abc import AsyncIterator
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tgbot.config import Settings
from tgbot.delivery.delivery import Delivery
from tgbot.model import ChatId, InstanceId, RowId
from tgbot.store import audit, day, instances, queue
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.locks import shared
from tgbot.store.engine.writer import Database
from tgbot.store.overview import overview
from tgbot.tally import tally
from tgbot.turns.dispatcher import Dispatcher
from tgbot.watch import health
from tgbot.watch.actions import ACTIONS, Done, Hints, Role, act, pass_on
from tgbot.watch.sessions import SESSION_SECONDS, LockedOutError, Sessions, WrongTokenError

log = logging.getLogger(__name__)

STATIC = Path(str(files("tgbot.watch") / "static"))
LOOK: list[str | tuple[str, str]] = [("tgbot.look", "static")]  # what all pages share
LISTED_MAX = 50  # of each kind
WORDS_MAX_CHARACTERS = 240
AUDIT_MAX = 50
LOOK_SECONDS = 1.0  # between two looks at the database, while a page is open
KEEPALIVE_SECONDS = 15.0
STREAMS_MAX = 20
BODY_BYTES_MAX = 4_096
BODY_SECONDS_MAX = 10
COOKIE = "tgbot"
SECURE_COOKIE = "__Host-tgbot"  # such a name a browser takes from this host alone, by https


class AdminPage:
    """Serves the page, as `app`."""

    def __init__(self, db: Database, instance_id: InstanceId, sessions: Sessions, hints: Hints) -> None:
        self._db = db
        self._instance_id = instance_id
        self._sessions = sessions
        self._hints = hints
        self._streams = 0
        self._closing = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/login", self._login),
                Route("/login", self._log_in, methods=["POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                Route("/events", self._events),
                Route("/day", self._day),
                Route("/act", self._act, methods=["POST"]),
                Mount("/static", StaticFiles(directory=STATIC, packages=LOOK)),
            ]
        )

    def close(self) -> None:
        """End the streams: a server that stops waits for them."""
        self._closing.set()

    async def _page(self, request: Request) -> Response:
        if self._role(request) is None:
            return RedirectResponse("/login", 303)
        return FileResponse(STATIC / "admin.html")

    async def _login(self, request: Request) -> Response:
        return RedirectResponse("/", 303) if self._role(request) else _login_page("", 200)

    async def _log_in(self, request: Request) -> Response:
        address = _address(request)
        given = parse_qs((await _body(request)).decode("utf-8", "replace"))
        try:
            session_id = self._sessions.log_in(given.get("token", [""])[0].strip(), address)
        except WrongTokenError:
            log.warning("admin.wrong_token address=%s", address)
            return _login_page("This is not the token.", 401)
        except LockedOutError as error:
            minutes = int(error.seconds // 60) + 1
            return _login_page(f"Too many wrong tokens. Try again in {minutes} min.", 429)
        log.info("admin.login role=%s address=%s", self._sessions.role(session_id), address)
        return _with_cookie(RedirectResponse("/", 303), request, session_id, int(SESSION_SECONDS))

    async def _log_out(self, request: Request) -> Response:
        self._sessions.log_out(_session_id(request))
        return _with_cookie(RedirectResponse("/login", 303), request, "", 0)

    async def _events(self, request: Request) -> Response:
        role = self._role(request)
        if role is None:
            return _refused(401, "log in first")
        if self._streams >= STREAMS_MAX:
            return _refused(503, f"{STREAMS_MAX} pages are open: close some")
        chat_id = request.query_params.get("chat", "")
        if chat_id and not _is_id(chat_id):
            return _refused(400, "a chat or a user has a number")
        stream = self._stream(request, role, int(chat_id) if chat_id else None)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _stream(self, request: Request, role: Role, chat_id: int | None) -> AsyncIterator[str]:
        """Send what there is when it changed, as long as the session lasts."""
        self._streams += 1
        try:
            sent, sent_at = "", time.monotonic()
            while self._role(request) == role and not self._closing.is_set():
                seen = await self._seen(role, chat_id)
                if seen != sent or time.monotonic() - sent_at > KEEPALIVE_SECONDS:
                    yield ":\n\n" if seen == sent else f"data: {seen}\n\n"
                    sent, sent_at = seen, time.monotonic()
                await self._pause()
            yield 'data: {"ended": true}\n\n'
        finally:
            self._streams -= 1

    async def _pause(self) -> None:
        waiting = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({waiting}, timeout=LOOK_SECONDS)
        finally:
            waiting.cancel()

    async def _seen(self, role: Role, chat_id: int | None) -> str:
        try:
            shown = await self._db.read(_shown, chat_id)
        except StorageError as error:
            shown = {"failure": str(error)}
        why = health.why_not_ready(tally.polled_at, time.monotonic(), shown.get("failure"))
        return json.dumps({"role": role, "not_ready": why, "worker": self._instance_id, **shown})

    async def _day(self, request: Request) -> Response:
        if self._role(request) is None:
            return _refused(401, "log in first")
        try:
            hours = await self._db.read(day.hours)
        except StorageError as error:
            return _refused(503, f"The database: {error}")
        return JSONResponse([dataclasses.asdict(hour) for hour in hours])

    async def _act(self, request: Request) -> Response:
        role = self._role(request)
        if role != "admin":
            return _refused(403, "You may only look.") if role else _refused(401, "log in first")
        asked = _asked(await _body(request))
        if asked is None:
            return _refused(400, "no such action")
        action, row_id = asked
        try:
            done = await self._do(role, action, row_id)
        except StorageError as error:
            return _refused(503, f"The database: {error}")
        log.info("admin.acted role=%s action=%s row=%s changed=%s", role, action, row_id, done.changed)
        return JSONResponse({"said": done.said, "changed": done.changed})

    async def _do(self, role: Role, action: str, row_id: RowId) -> Done:
        done = await self._db.write(act, role, action, row_id)
        if done.changed:
            pass_on(done, await self._db.read(queue.address, row_id), self._hints)
        return done

    def _role(self, request: Request) -> Role | None:
        return self._sessions.role(_session_id(request))


def admin_page(settings: Settings, db: Database, dispatcher: Dispatcher, delivery: Delivery) -> AdminPage:
    """Make the page of a bot."""

    def send(chat_id: ChatId) -> None:
        delivery.alive(chat_id)  # somebody expects that it may be written to again
        delivery.wake(chat_id)

    hints = Hints(dispatcher.wake, send, delivery.cards.waits, delivery.react)
    instance_id = dispatcher.owner.instance_id
    return AdminPage(db, instance_id, Sessions(settings.admin_token, settings.viewer_token), hints)


def _shown(conn: Connection, chat_id: int | None) -> dict[str, Any]:
    sections = overview(conn, LISTED_MAX, WORDS_MAX_CHARACTERS, chat_id)
    noted = audit.newest(conn, AUDIT_MAX)
    workers = instances.workers(conn) if shared(conn) else []
    return {
        "workers": [_rounded(dataclasses.asdict(worker)) for worker in workers],
        "sections": {kind: dataclasses.asdict(section) for kind, section in sections.items()},
        "audit": [dataclasses.asdict(one) for one in noted],
    }


def _rounded(worker: dict[str, Any]) -> dict[str, Any]:
    return worker | {"lease_seconds": math.ceil(worker["lease_seconds"])}  # 0 is for what is gone


def _asked(body: bytes) -> tuple[str, RowId] | None:
    """Take an action and its row out of the body; None if it has not both."""
    try:
        given = json.loads(body)
        action, row_id = given["action"], given["row_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    known = isinstance(action, str) and action in ACTIONS
    return (action, RowId(row_id)) if known and type(row_id) is int and 0 < row_id < 2**63 else None


async def _body(request: Request) -> bytes:
    """Read a small body; what is larger, or slower, or breaks off, is none."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_BYTES_MAX:
                    return b""
    except (TimeoutError, ClientDisconnect):
        return b""
    return body


def _address(request: Request) -> str:
    """Find where a request comes from. A proxy may pass on whatever a client says of that."""
    said = request.client.host if request.client else ""
    try:
        return str(ip_address(said.partition("%")[0]))
    except ValueError:
        return "unknown"


def _is_id(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= len(str(2**52))


def _session_id(request: Request) -> str:
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE, "")


def _with_cookie(response: Response, request: Request, value: str, seconds: int) -> Response:
    """Set the cookie. `Secure` where the page came by https, which the browser says itself, proxy or not.

    By plain http, to this machine, it would be lost: not every browser takes a Secure cookie there.
    """
    secure = request.headers.get("origin", "").startswith("https://")
    name = SECURE_COOKIE if secure else COOKIE
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="strict", secure=secure)
    return response


def _login_page(message: str, status: int) -> Response:
    text = (STATIC / "login.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace("<!-- message -->", message), status)


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"description": why}, status)
