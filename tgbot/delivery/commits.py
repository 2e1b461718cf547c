"""What one chat's sender reads and writes: each write reads the next part in the same transaction.

Where there is none, that transaction leaves the chat, so that any worker may go on with it.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

from tgbot.delivery.backoff import Backoff
from tgbot.model import ChatId, Owner, Part
from tgbot.store import sending, workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database

log = logging.getLogger(__name__)


class Commits:
    """The outbox of one chat, as its sender works through it."""

    def __init__(self, db: Database, owner: Owner, chat_id: ChatId) -> None:
        self._db = db
        self._chat_id = chat_id
        self._lock = functools.partial(workers.lock_chat, bot_id=owner.bot_id, chat_id=chat_id)
        self._place = (owner.bot_id, chat_id, owner.instance_id)
        self._backoff = Backoff()
        self._hinted = False  # there may be something new
        self._following: Part | None = None  # the next part, as the last write saw it
        self._keeps = False

    @property
    def waiting(self) -> bool:
        """Whether `next` may find a part."""
        return self._hinted or self._following is not None

    def hint(self) -> None:
        """Note that there may be a part that nobody has looked at."""
        self._hinted = True

    def offer(self, part: Part) -> None:
        """Take a part that was stored as `sending` just now: a hint that saves a look."""
        if self.waiting:
            self._hinted = True
        else:
            self._following = part

    async def keep(self) -> bool:
        """Take the chat, and do not leave it before `may_leave`: no other worker sends to it meanwhile.

        False where one does. Raises StorageError.
        """
        self._keeps = self._keeps or await self._db.write(sending.take, *self._place)
        return self._keeps

    def may_leave(self) -> None:
        """Leave the chat with the next write that finds nothing to send."""
        self._keeps = False

    async def next(self) -> Part | None:
        """Take the next part as the last write saw it, or read it anew if there was a hint since.

        Raises StorageError.
        """
        following, self._following = self._following, None
        if not self._hinted:
            return following
        self._hinted = False
        try:
            return await self._db.write(self._look)
        except StorageError:
            self._hinted = True
            raise

    async def write(self, change: Callable[..., Any], *args: object, **options: object) -> Any:  # noqa: ANN401 - what the change returns
        """Commit a change of a part, and read the next one. Raises StorageError."""
        self._hinted = False  # whatever it hinted at is committed, so this transaction sees it

        def change_and_look(conn: Connection) -> tuple[Any, Part | None]:
            self._lock(conn)
            return change(conn, *args, **options), self._look(conn)

        result, self._following = await self._db.write(change_and_look)
        return result

    def _look(self, conn: Connection) -> Part | None:
        return (sending.next_part if self._keeps else sending.next_or_leave)(conn, *self._place)

    async def note(self, change: Callable[..., Any], *args: object, **options: object) -> Any:  # noqa: ANN401 - as above
        """Commit what has happened on screen already, retrying for as long as the database refuses."""
        while True:
            try:
                result = await self.write(change, *args, **options)
            except StorageError as error:
                log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
                await asyncio.sleep(self._backoff.failed(asyncio.get_running_loop().time()))
            else:
                self._backoff.succeeded()
                return result
