"""Puts updates that come one by one, and in parallel, into batches in the order of their ids.

Telegram posts the messages of a chat one at a time, but presses, reactions and other people's messages beside
them (tdlib/telegram-bot-api, WebhookActor: a queue for each chat and kind), and the network may let one
overtake another. Its ids count up by one, so a gap shows that: what stands behind a gap waits a moment for it
to close. What comes later than that is stored when it comes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tgbot.model import Raw
from tgbot.store.engine.errors import StorageError
from tgbot.telegram import get_updates
from tgbot.telegram.get_updates import Unparsed

GAP_SECONDS = 0.1  # as long as packets of one connection or another may differ


@dataclass(eq=False, slots=True)
class _Post:
    item: Raw | Unparsed
    due_at: float  # in the event loop's time: then it goes, gap or not
    taken: asyncio.Future[None]

    @property
    def update_id(self) -> int:
        return get_updates.update_id(self.item) or 0


class Collector:
    """Hands batches to `accept`, one after the other: what comes while one is stored is the next.

    `accept` raises StorageError when nothing was stored.
    """

    def __init__(self, accept: Callable[[Sequence[Raw | Unparsed]], Awaitable[None]]) -> None:
        self._accept = accept
        self._waiting: set[_Post] = set()
        self._arrived = asyncio.Event()
        self._next_id: int | None = None  # after a start nobody knows which one comes first

    async def take(self, item: Raw | Unparsed) -> None:
        """Return when the update is stored. Raises StorageError when it is not.

        Cancelled, it may be stored nevertheless.
        """
        loop = asyncio.get_running_loop()
        post = _Post(item, loop.time() + GAP_SECONDS, loop.create_future())
        self._waiting.add(post)
        self._arrived.set()
        try:
            await post.taken
        finally:
            self._waiting.discard(post)

    async def serve(self) -> None:
        """Store what is taken, until it is cancelled."""
        while True:
            if batch := self._ready():
                await self._store(batch)
            else:
                await self._something_changes()

    def _ready(self) -> list[_Post]:
        """Choose those without a gap before them, or that have waited for it long enough; oldest first."""
        now = asyncio.get_running_loop().time()
        ordered = sorted(self._waiting, key=lambda post: post.update_id)
        next_id, ready = self._next_id, 0
        for position, post in enumerate(ordered):
            # An id that is smaller comes again, or Telegram counts anew after a quiet week.
            follows = position == ready and next_id is not None and post.update_id <= next_id
            if follows or post.due_at <= now:
                next_id, ready = post.update_id + 1, position + 1
        return ordered[:ready]

    async def _store(self, batch: Sequence[_Post]) -> None:
        self._waiting.difference_update(batch)
        failure: StorageError | None = None
        try:
            await self._accept([post.item for post in batch])
            self._next_id = batch[-1].update_id + 1
        except StorageError as error:
            failure = error
        for post in batch:
            if not post.taken.done():  # nobody waits for it any more
                post.taken.set_exception(failure) if failure else post.taken.set_result(None)

    async def _something_changes(self) -> None:
        """Wait until another post comes, or one has waited long enough."""
        self._arrived.clear()
        due_at = min((post.due_at for post in self._waiting), default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due_at):
                await self._arrived.wait()
