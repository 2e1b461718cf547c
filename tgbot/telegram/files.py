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
Stream = Callable[[str, int], AbstractAsyncContextManager[httpx.Response]]


class Arriving:
    """What has arrived of a file so far, from its start."""

    def __init__(self) -> None:
        self.content = bytearray()

    async def add(self, chunk: bytes) -> None:
        """Take what comes next."""
        self.content += chunk

    async def restart(self) -> None:
        """Drop all of it: the file comes from its start."""
        self.content.clear()


class Files:
    """Downloads files by their id, below `url`.

    `call` calls a method, `stream` opens a URL from a byte on.
    """

    def __init__(self, call: Call, stream: Stream, url: str) -> None:
        self._call = call
        self._stream = stream
        self._url = url
        self._slots = asyncio.Semaphore(DOWNLOADS_MAX)

    async def download(self, file_id: str, max_bytes: int, arriving: Arriving) -> bytes:
        """Find a file and read what has not arrived of it; raises what `BotApi.download` says."""
        # `from None`: the cause's text can hold the URL, and with it the token.
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._slots:
                url, size_bytes = await self._find(file_id, max_bytes)
                if size_bytes is None or len(arriving.content) != size_bytes:
                    await self._read(url, max_bytes, arriving)
        except BotApiError:
            raise
        except Exception as error:  # noqa: BLE001 - httpx, or an odd path, raises anything: no file came
            raise UnreachableError(f"the file did not arrive ({type(error).__name__})") from None
        return bytes(arriving.content)

    async def _find(self, file_id: str, max_bytes: int) -> tuple[str, int | None]:
        """Ask Telegram for the path of a file; give its URL, and its size if Telegram says it."""
        try:
            file = await self._call("getFile", GET_FILE_SECONDS, file_id=file_id)
        except RefusedError as error:
            raise _refused(error) from None
        path = file.get("file_path") if isinstance(file, dict) else None
        if not isinstance(path, str) or not path:
            raise UnreachableError("getFile: useless answer (no path)")
        if path.startswith("/"):
            raise RefusedError("the Bot API server runs with --local and keeps its files on its own disk")
        size_bytes = file.get("file_size")
        _check(size_bytes, max_bytes)
        return f"{self._url}/{quote(path)}", size_bytes if type(size_bytes) is int else None

    async def _read(self, url: str, max_bytes: int, arriving: Arriving) -> None:
        """Read the rest; all of it, if the server does not go on where an earlier download ended."""
        if arriving.content:
            if await self._read_rest(url, max_bytes, arriving):
                return
            await arriving.restart()
        async with self._stream(url, 0) as response:
            _check_answer(response, max_bytes)
            await _take(response, max_bytes, arriving)

    async def _read_rest(self, url: str, max_bytes: int, arriving: Arriving) -> bool:
        start = len(arriving.content)
        async with self._stream(url, start) as response:
            if continues := _continues(response, start):
                await _take(response, max_bytes, arriving)
        return continues


async def _take(response: httpx.Response, max_bytes: int, arriving: Arriving) -> None:
    # Raw: unpacked bytes could be of any size.
    async for chunk in response.aiter_raw():
        if len(arriving.content) + len(chunk) > max_bytes:
            raise FileTooLargeError(max_bytes)
        await arriving.add(chunk)


def _continues(response: httpx.Response, start: int) -> bool:
    """Whether an answer is the rest from `start` on; a trouble of the server's is raised."""
    if response.status_code in {HTTPStatus.OK, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
        return False
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        raise _no_file(response)
    sent: str = response.headers.get("content-range", "")
    return sent.startswith(f"bytes {start}-")


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
    if response.status_code != HTTPStatus.OK:
        raise _no_file(response)
    length = response.headers.get("content-length", "")
    _check(int(length) if length.isdecimal() else None, max_bytes)


def _no_file(response: httpx.Response) -> BotApiError:
    if response.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return _gone()
    return UnreachableError(f"the file did not arrive (HTTP {response.status_code})")
