"""Keeps the files that were downloaded, in a folder beside the database.

A turn that runs again, or a later one of its session, does not fetch them again; a download that was cut off
goes on where it was. They are kept for a week, and up to a limit. Where the disk refuses, nothing is kept.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

from tgbot.model import SessionKey
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.private import create_private, create_private_folder
from tgbot.telegram.client import BotApi
from tgbot.telegram.files import Arriving

log = logging.getLogger(__name__)

KEPT_SECONDS = 7 * 86_400.0
KEPT_BYTES_MAX = 1024 * 1024 * 1024  # over all sessions; the oldest make room
CLEAN_SECONDS = 3_600.0
CLEAN_BYTES = KEPT_BYTES_MAX // 10  # so much fetched since the last cleaning, and the next one comes early
SAVE_BYTES = 1024 * 1024  # what a kill can cost of a download
UNFINISHED = ".partial"


class Downloads:
    """Downloads files through `api`, and keeps them beside `database`, each for one session."""

    def __init__(self, api: BotApi, database: Path) -> None:
        target = database.resolve()  # one folder for a database, whichever symlink names it
        self.folder = target.with_name(target.name + ".files")
        self._api = api
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._fetched_bytes = 0  # since the last cleaning

    async def fetch(self, session_key: SessionKey, file_id: str, unique_id: str = "") -> bytes:
        """Give a file: the kept one, or what `BotApi.download` gives, whose errors it raises.

        `unique_id` names the content, while `file_id` may change; without it that has to do.
        """
        path = self._path(session_key, unique_id or file_id)
        async with self._locks.setdefault(path, asyncio.Lock()):
            kept = await asyncio.to_thread(_read, path)
            return await self._download(file_id, path) if kept is None else kept

    def forget(self, session_key: SessionKey) -> None:
        """Remove what is kept for a session; any thread may call it. Raises OSError."""
        for kept in self._kept():
            if kept.path.name.startswith(_prefix(session_key)):
                kept.path.unlink(missing_ok=True)

    async def serve(self) -> None:
        """Clean now, and once an hour."""
        while True:
            await asyncio.to_thread(self.clean)
            await asyncio.sleep(CLEAN_SECONDS)

    def clean(self) -> None:
        """Remove what is too old, and of the rest the oldest until no more is kept than may be."""
        self._fetched_bytes = 0
        try:
            for kept in self._too_much():
                kept.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("downloads.not_cleaned reason=%s", error)

    def _too_much(self) -> Iterator["_Kept"]:
        since, room_bytes = time.time() - KEPT_SECONDS, KEPT_BYTES_MAX
        for kept in sorted(self._kept(), key=lambda kept: kept.modified_at, reverse=True):
            room_bytes -= kept.size_bytes
            if kept.modified_at < since or room_bytes < 0:
                yield kept

    async def _download(self, file_id: str, path: Path) -> bytes:
        arriving = _Saved(path)
        try:
            await asyncio.to_thread(arriving.begin)
            content = await self._api.download(file_id, arriving=arriving)
            await asyncio.to_thread(arriving.finish)
        finally:
            arriving.save()  # not in a thread: who was cancelled must not wait again
        self._fetched_bytes += len(content)
        if self._fetched_bytes > CLEAN_BYTES:
            await asyncio.to_thread(self.clean)
        return content

    def _path(self, session_key: SessionKey, name: str) -> Path:
        # Hashed: Telegram's ids may differ in case alone, and some disks ignore that.
        return self.folder / f"{_prefix(session_key)}{hashlib.sha256(name.encode()).hexdigest()}"

    def _kept(self) -> Iterator["_Kept"]:
        with contextlib.suppress(FileNotFoundError):  # nothing was ever kept
            for path in self.folder.iterdir():
                with contextlib.suppress(FileNotFoundError):  # it is gone meanwhile
                    found = path.stat()
                    yield _Kept(path, found.st_mtime, found.st_size)


class _Kept(NamedTuple):
    path: Path
    modified_at: float  # Unix time in seconds
    size_bytes: int


class _Saved(Arriving):
    """A download that is saved as it comes, and becomes the file `path` when it is whole.

    Where the disk refuses, it goes on in memory alone.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._unfinished = path.with_name(path.name + UNFINISHED)
        self._lock = threading.Lock()  # a save in a thread goes on when whoever waits for it is cancelled
        self._saved_bytes = 0

    def begin(self) -> None:
        """Take up what an earlier download left."""
        with self._disk():
            create_private_folder(self._path.parent)
            create_private(self._unfinished)
            self.content += self._unfinished.read_bytes()
            self._saved_bytes = len(self.content)

    async def add(self, chunk: bytes) -> None:
        """Take what comes next, and save it when there is enough."""
        await super().add(chunk)
        if len(self.content) - self._saved_bytes >= SAVE_BYTES:
            await asyncio.to_thread(self.save)

    async def restart(self) -> None:
        """Drop all of it, also on disk."""
        await super().restart()
        await asyncio.to_thread(self._empty)

    def save(self) -> None:
        """Save what has arrived since the last time.

        Into the file that `begin` found or made, never a new one: if it was removed (/forget), nothing may
        come back, and least of all without its start.
        """
        with self._disk():
            if self._saved_bytes < len(self.content):
                with self._unfinished.open("r+b") as file:
                    file.seek(self._saved_bytes)
                    file.write(bytes(self.content[self._saved_bytes :]))
                self._saved_bytes = len(self.content)

    def finish(self) -> None:
        """Give the file its name once all of it is on disk, so that no power cut leaves a half one."""
        self.save()
        with self._disk():
            if self._saved_bytes == len(self.content):
                with self._unfinished.open("rb") as file:
                    os.fsync(file.fileno())
                self._unfinished.rename(self._path)

    def _empty(self) -> None:
        with self._disk():
            self._saved_bytes = 0
            os.truncate(self._unfinished, 0)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (OSError, StorageError) as error:
                log.warning("downloads.not_saved reason=%s", error)


def _prefix(session_key: SessionKey) -> str:
    return f"{session_key}."


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):  # then it is fetched
        return path.read_bytes()
    return None
