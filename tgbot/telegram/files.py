"""Downloads the files that people send, with bounds on their size, time and number."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from tgbot.telegram.errors import BotApiError, FileTooLargeError, RefusedError, UnreachableError

DOWNLOAD_BYTES_MAX = 20 * 1024 * 1024  # https://core.telegram.org/bots/api#getfile
DOWNLOADS_MAX = 8  # at once, because each is held in memory
GET_FILE_SECONDS = 60.0  # the Bot API server answers only when it has fetched the file itself
DEADLINE_SECONDS = 600.0  # for a whole download, including the wait for others

Call = Callable[..., Awaitable[Any]]
Stream = Callable[[str], AbstractAsyncContextManager[httpx.Response]]


class Files:
    """Downloads files by their id. `call` calls a method, `stream` opens a URL, files are below `url`."""

    def __init__(self, call: Call, stream: Stream, url: str) -> None:
        self._call = call
        self._stream = stream
        self._url = url
        self._slots = asyncio.Semaphore(DOWNLOADS_MAX)

    async def download(self, file_id: str, max_bytes: int) -> bytes:
        """Find a file and read it; raises what `BotApi.download` says."""
        # `from None`: the cause's text can hold the URL, and with it the token.
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._slots:
                return await self._read(await self._find(file_id, max_bytes), max_bytes)
        except BotApiError:
            raise
        except Exception as error:  # noqa: BLE001 - httpx, or an odd path, raises anything: no file came
            raise UnreachableError(f"the file did not arrive ({type(error).__name__})") from None

    async def _find(self, file_id: str, max_bytes: int) -> str:
        """Ask Telegram for the path of a file, and make its URL."""
        try:
            file = await self._call("getFile", GET_FILE_SECONDS, file_id=file_id)
        except RefusedError as error:
            raise _refused(error) from None
        path = file.get("file_path") if isinstance(file, dict) else None
        if not isinstance(path, str) or not path:
            raise UnreachableError("getFile: useless answer (no path)")
        if path.startswith("/"):
            raise RefusedError("the Bot API server runs with --local and keeps its files on its own disk")
        _check(file.get("file_size"), max_bytes)
        return f"{self._url}/{quote(path)}"

    async def _read(self, url: str, max_bytes: int) -> bytes:
        content = bytearray()
        async with self._stream(url) as response:
            _check_answer(response, max_bytes)
            # Raw: unpacked bytes could be of any size.
            async for chunk in response.aiter_raw():
                if len(content) + len(chunk) > max_bytes:
                    raise FileTooLargeError(max_bytes)
                content += chunk
        return bytes(content)


def _refused(error: RefusedError) -> BotApiError:
    if "file is too big" in str(error).lower():
        return FileTooLargeError(DOWNLOAD_BYTES_MAX)
    return _gone()


def _gone() -> RefusedError:
    return RefusedError("Telegram does not have this file any more, or does not give it now")


def _check(size_bytes: object, max_bytes: int) -> None:
    if type(size_bytes) is int and size_bytes > max_bytes:
        raise FileTooLargeError(max_bytes, size_bytes)


def _check_answer(response: httpx.Response, max_bytes: int) -> None:
    if response.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise _gone()
    if response.status_code != HTTPStatus.OK:
        raise UnreachableError(f"the file did not arrive (HTTP {response.status_code})")
    length = response.headers.get("content-length", "")
    _check(int(length) if length.isdecimal() else None, max_bytes)
