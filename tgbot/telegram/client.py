"""Calls the Bot API through python-telegram-bot (PTB): raw dicts in and out, every failure a BotApiError.

Raw, because an answer that PTB cannot parse would look like a failed call, though it took effect. PTB makes
the requests; what an answer means is judged in `answers`, since PTB looks at the HTTP status alone.
"""

import asyncio
import logging
import math
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, cast

import httpx
from telegram import Bot, InputFile, InputMediaDocument, InputMediaPhoto
from telegram.error import TelegramError
from telegram.request import BaseRequest
from telegram.warnings import PTBUserWarning

from tgbot.model import FileKind
from tgbot.telegram import answers, get_updates
from tgbot.telegram.connections import REQUEST_SECONDS, Connections
from tgbot.telegram.errors import BotApiError, NotSentError, UnreachableError
from tgbot.telegram.files import DOWNLOAD_BYTES_MAX, Arriving, Files

log = logging.getLogger(__name__)

UPLOADED_BYTES_PER_SECOND = 500_000  # sets how long to wait for an answer: too short, and it is sent twice
UPLOADS_MAX = 16  # at once: each has up to 50 MB in memory, and they share the line with all that is short
UPLOAD_WAIT_SECONDS = 120.0  # for another upload to end: the largest takes as long
LONG_POLL_MARGIN_SECONDS = 5.0  # a long poll without an answer this long after its timeout is dead
NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

# PTB advises against do_api_request where a typed method exists, but raw answers are wanted here.
warnings.filterwarnings("ignore", message=".*do_api_request", category=PTBUserWarning)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a parameter: in `media` it becomes an InputMedia of its `kind`, elsewhere just the file."""

    kind: FileKind
    name: str
    content: bytes
    caption: str | None = None


class BotApi:
    """Calls methods by name: `await api.call("sendMessage", chat_id=1, text="x")` gives the raw result.

    `url` is that of the Bot API server, without the token.
    """

    def __init__(self, token: str, url: str) -> None:
        self.answered_at = -math.inf  # when Telegram last took a call, in the event loop's time
        # Whether another process may do by now what this one was about to do.
        self.is_over: Callable[[], bool] = lambda: False
        self._host = httpx.URL(url).netloc.decode()  # without a password, which the URL may hold
        self._connections = Connections()
        self._files = Files(self.call, self._connections.stream, f"{url}/file/bot{token}")
        self._uploads = asyncio.Semaphore(UPLOADS_MAX)
        self._bot = Bot(
            token,
            base_url=f"{url}/bot",
            base_file_url=f"{url}/file/bot",
            request=_Request(self._connections),
            get_updates_request=_UpdatesRequest(self._connections),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Not Bot.shutdown(): that expects initialize(), which wants the network at once.
        await self._connections.close()

    async def call(self, method: str, wait_seconds: float | None = None, /, **params: object) -> Any:  # noqa: ANN401 - each method has its own
        """Call a method and return its raw result; parameters that are None are left out.

        Waits `wait_seconds` at most for a connection, and as long for the answer; with a file in it, first
        until there are fewer than UPLOADS_MAX others. Raises BotApiError, or a subclass of it, for every
        failure.
        """
        given, patience = _given(params), _patience(params, wait_seconds)
        if not _uploaded_bytes(params):
            return await self._ask(method, given, patience)
        async with self._room_for_an_upload():
            return await self._ask(method, given, patience)

    async def download(
        self, file_id: str, max_bytes: int = DOWNLOAD_BYTES_MAX, arriving: Arriving | None = None
    ) -> bytes:
        """Fetch a file that somebody sent, and return its content; never reads more than `max_bytes`.

        What `arriving` has of it already is not fetched again, if the server can do that.
        Raises FileTooLargeError if it is larger, or beyond Telegram's own limit of 20 MB; RefusedError if
        Telegram does not know the file any more, or the Bot API server runs with --local; UnreachableError
        if it did not arrive, which may succeed later.
        """
        return await self._files.download(file_id, max_bytes, arriving or Arriving())

    async def _ask(self, method: str, given: dict[str, object], patience: dict[str, Any]) -> Any:  # noqa: ANN401
        if self.is_over():
            raise NotSentError("another process does the work of this one by now")
        asked_at = asyncio.get_running_loop().time()
        # `from None`: the cause's text can hold the URL, and with it the token.
        try:
            answer = await self._bot.do_api_request(method, api_kwargs=given, **patience)
        except TelegramError as error:
            raise self._of_ours(error) from None
        except Exception as error:  # noqa: BLE001 - an odd answer makes PTB raise anything
            reason = f"{method}: useless answer ({type(error).__name__})"
            raise UnreachableError(f"{self._host}: {reason}") from None
        self.answered_at = asyncio.get_running_loop().time()
        log.debug("api.answered method=%s seconds=%.3f", method, self.answered_at - asked_at)
        return answer

    @asynccontextmanager
    async def _room_for_an_upload(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(UPLOAD_WAIT_SECONDS):
                await self._uploads.acquire()
        except TimeoutError:
            raise NotSentError(f"{self._host}: too many uploads at once") from None
        try:
            yield
        finally:
            self._uploads.release()

    def _of_ours(self, error: TelegramError) -> BotApiError:
        known = error.failure if isinstance(error, _FailureError) else None
        if known and not isinstance(known, UnreachableError):
            return known
        lost = NotSentError if isinstance(error.__cause__, NO_CONNECTION) else UnreachableError
        return lost(f"{self._host}: {known or answers.one_line(str(error))}")


class _FailureError(TelegramError):
    """Carries a BotApiError through PTB, which would wrap any other exception."""

    def __init__(self, failure: BotApiError) -> None:
        super().__init__(str(failure))
        self.failure = failure


class _Request(BaseRequest):
    """What PTB makes requests with: each on a connection of its own, the answer judged before PTB does."""

    parse = staticmethod(answers.parse)

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @property
    def read_timeout(self) -> float:
        """The time to wait for an answer where the call gives none."""
        return REQUEST_SECONDS

    async def initialize(self) -> None:
        """Nothing: connections are opened when they are needed."""

    async def shutdown(self) -> None:
        """Nothing: `Connections.close` does."""

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:  # noqa: ANN401 - as PTB has them
        """Raise for every HTTP status that is no success."""
        async with self._connections.one() as connection:
            status, payload = await connection.do_request(*args, **kwargs)
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise _FailureError(answers.failure(status, payload))
        return status, payload

    @classmethod
    def parse_json_payload(cls, payload: bytes) -> dict[str, Any]:
        """Raise for a page that only has a successful status; PTB would log it, with what people wrote."""
        answer = cls.parse(payload)
        if not answers.is_success(answer):
            raise _FailureError(answers.failure(HTTPStatus.OK, payload))
        return cast("dict[str, Any]", answer)


class _UpdatesRequest(_Request):
    """Reads updates one by one where it must, so that an unreadable one harms only itself."""

    parse = staticmethod(get_updates.read)


def _given(params: dict[str, object]) -> dict[str, object]:
    return {name: _encoded(name, value) for name, value in params.items() if value is not None}


def _encoded(name: str, value: object) -> object:
    if isinstance(value, list):
        return [_encoded(name, item) for item in value]
    if not isinstance(value, Upload):
        return value
    file = InputFile(value.content, filename=value.name, attach=name == "media")
    if name != "media":
        return file
    media = InputMediaPhoto if value.kind == "photo" else InputMediaDocument
    return media(file, caption=value.caption)


def _patience(params: dict[str, object], wait_seconds: float | None) -> dict[str, float]:
    """Choose PTB's timeouts. A short `wait_seconds` is the limit for a connection too."""
    if wait_seconds is not None:
        return dict.fromkeys(("connect_timeout", "read_timeout"), wait_seconds)
    timeout = params.get("timeout")
    if isinstance(timeout, int):
        return {"read_timeout": timeout + LONG_POLL_MARGIN_SECONDS}
    return {"read_timeout": REQUEST_SECONDS + _uploaded_bytes(params) / UPLOADED_BYTES_PER_SECOND}


def _uploaded_bytes(params: dict[str, object]) -> int:
    media = params.get("media")
    values = [*params.values(), *(media if isinstance(media, list) else ())]
    return sum(len(value.content) for value in values if isinstance(value, Upload))
