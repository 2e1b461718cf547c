"""Calls the Bot API through python-telegram-bot (PTB): raw dicts in and out, every failure a BotApiError.

Raw, because an answer that PTB cannot parse would look like a failed call, though it took effect. PTB makes
the requests; what an answer means is judged in `answers`, since PTB looks at the HTTP status alone.
"""

import ssl
import warnings
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, cast

import httpx
from telegram import Bot, InputFile, InputMediaDocument, InputMediaPhoto
from telegram.error import TelegramError
from telegram.request import HTTPXRequest
from telegram.warnings import PTBUserWarning

from tgbot.model import FileKind
from tgbot.telegram import answers, get_updates
from tgbot.telegram.errors import BotApiError, NotSentError, UnreachableError
from tgbot.telegram.files import DOWNLOAD_BYTES_MAX, Files

CONNECTIONS_MAX = 64
REQUEST_SECONDS = 20.0
UPLOADED_BYTES_PER_SECOND = 500_000  # sets how long to wait for an answer: too short, and it is sent twice
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
        self._host = httpx.URL(url).netloc.decode()  # without a password, which the URL may hold
        tls = httpx.create_ssl_context()  # shared by both: making one costs as much as a hundred messages
        request = _request(_Request, CONNECTIONS_MAX, tls)
        self._files = Files(self.call, request.stream, f"{url}/file/bot{token}")
        self._bot = Bot(
            token,
            base_url=f"{url}/bot",
            base_file_url=f"{url}/file/bot",
            request=request,
            get_updates_request=_request(_UpdatesRequest, 1, tls),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Not Bot.shutdown(): that expects initialize(), which wants the network at once.
        for request in self._bot._request:  # noqa: SLF001 - see above
            await request.shutdown()

    async def call(self, method: str, wait_seconds: float | None = None, /, **params: object) -> Any:  # noqa: ANN401 - each method has its own
        """Call a method and return its raw result; parameters that are None are left out.

        Waits `wait_seconds` at most for a connection, and as long for the answer. Raises BotApiError, or a
        subclass of it, for every failure.
        """
        given = _given(params)
        # `from None`: the cause's text can hold the URL, and with it the token.
        try:
            return await self._ask(method, given, _patience(params, wait_seconds))
        except BotApiError:
            raise
        except Exception as error:  # noqa: BLE001 - an odd answer makes PTB raise anything
            reason = f"{method}: useless answer ({type(error).__name__})"
            raise UnreachableError(f"{self._host}: {reason}") from None

    async def download(self, file_id: str, max_bytes: int = DOWNLOAD_BYTES_MAX) -> bytes:
        """Fetch a file that somebody sent, and return its content; never reads more than `max_bytes`.

        Raises FileTooLargeError if it is larger, or beyond Telegram's own limit of 20 MB; RefusedError if
        Telegram does not know the file any more, or the Bot API server runs with --local; UnreachableError
        if it did not arrive, which may succeed later.
        """
        return await self._files.download(file_id, max_bytes)

    async def _ask(self, method: str, given: dict[str, object], patience: dict[str, float]) -> Any:  # noqa: ANN401
        try:
            return await self._bot.do_api_request(method, api_kwargs=given, **patience)  # type: ignore[arg-type]  # timeouts
        except TelegramError as error:
            raise self._of_ours(error) from None

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


class _Request(HTTPXRequest):
    """PTB's HTTP client, with answers judged before PTB does."""

    parse = staticmethod(answers.parse)

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:  # noqa: ANN401 - as PTB has them
        """Raise for every HTTP status that is no success."""
        status, payload = await super().do_request(*args, **kwargs)
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise _FailureError(answers.failure(status, payload))
        return status, payload

    def stream(self, url: str) -> AbstractAsyncContextManager[httpx.Response]:
        """Open a URL for reading, without compression: the bytes as they are stored."""
        return self._client.stream("GET", url, headers={"Accept-Encoding": "identity"})

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


def _request(kind: type[_Request], connections: int, tls: ssl.SSLContext) -> _Request:
    return kind(
        httpx_kwargs={"verify": tls},
        connection_pool_size=connections,
        connect_timeout=REQUEST_SECONDS,
        read_timeout=REQUEST_SECONDS,
        write_timeout=REQUEST_SECONDS,
        pool_timeout=REQUEST_SECONDS,
    )


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
        return dict.fromkeys(("pool_timeout", "connect_timeout", "read_timeout"), wait_seconds)
    timeout = params.get("timeout")
    if isinstance(timeout, int):
        return {"read_timeout": timeout + LONG_POLL_MARGIN_SECONDS}
    return {"read_timeout": REQUEST_SECONDS + _uploaded_bytes(params) / UPLOADED_BYTES_PER_SECOND}


def _uploaded_bytes(params: dict[str, object]) -> int:
    media = params.get("media")
    values = [*params.values(), *(media if isinstance(media, list) else ())]
    return sum(len(value.content) for value in values if isinstance(value, Upload))
