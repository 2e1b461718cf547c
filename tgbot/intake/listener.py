"""Receives Telegram's posts over HTTP: 200 once the update is on disk, anything else and it comes again."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tgbot.model import Raw
from tgbot.store.engine.errors import StorageError
from tgbot.telegram import get_updates
from tgbot.telegram.get_updates import Unparsed

log = logging.getLogger(__name__)

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header
BODY_BYTES_MAX = 1_048_576  # Telegram queues no update above 512 KiB (tdlib/td, TQueue: MAX_EVENT_LEN)
BODY_SECONDS_MAX = 10.0
STORE_SECONDS_MAX = 20.0  # Telegram waits for 60 s; with no answer by then, it could not say why
POSTS_MAX = 100  # at once, as many as Telegram ever makes
# So that Telegram repeats after a second: without it, it waits twice as long each time, up to two minutes.
_SOON = {"Retry-After": "1"}
_CLOSE = {"Connection": "close"}  # whoever is refused keeps no connection


class Listener:
    """An ASGI application that takes the posts to one path with the right secret.

    `take` returns when an update is stored, and raises StorageError when it is not. Before `open` is set,
    each post is to come again later. The counts of secrets are for whoever sets the webhook.
    """

    def __init__(self, path: str, secret: str, take: Callable[[Raw | Unparsed], Awaitable[None]]) -> None:
        self.open = False
        self.right_secrets = self.wrong_secrets = 0
        self._path = path
        self._secret = secret.encode()
        self._take = take
        self._posts = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST" or request.scope["path"] != self._path:
            return Response(status_code=HTTPStatus.NOT_FOUND, headers=_CLOSE)
        if not self._is_telegrams(request):
            self.wrong_secrets += 1
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers=_CLOSE)
        self.right_secrets += 1
        if not self.open or self._posts >= POSTS_MAX:
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=_SOON)
        self._posts += 1
        try:
            return await self._receive(request)
        except asyncio.CancelledError:  # the bot stops, and this took too long: without an answer it is a 500
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=_SOON)
        finally:
            self._posts -= 1

    def _is_telegrams(self, request: Request) -> bool:
        # Of bytes: a header may have other characters than ASCII in it, which `compare_digest` refuses.
        given = request.headers.get(SECRET_HEADER, "").encode("latin-1")
        return hmac.compare_digest(given, self._secret)

    async def _receive(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                body = await _body(request)
        except TimeoutError:
            return Response(status_code=HTTPStatus.REQUEST_TIMEOUT, headers=_CLOSE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST, headers=_CLOSE)  # which nobody reads
        if body is None:
            return Response(status_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, headers=_CLOSE)
        return await self._stored(get_updates.one(body))

    async def _stored(self, item: Raw | Unparsed) -> Response:
        try:
            async with asyncio.timeout(STORE_SECONDS_MAX):
                await self._take(item)
        except (StorageError, TimeoutError) as error:
            reason = str(error) or "the database takes too long"
            log.warning("webhook.not_stored update=%s reason=%s", get_updates.update_id(item), reason)
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers=_SOON)
        return Response()


async def _body(request: Request) -> bytes | None:
    """Read the body; None if it is larger than any update. Raises ClientDisconnect."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return bytes(body)
