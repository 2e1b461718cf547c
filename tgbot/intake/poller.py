"""Polls Telegram for updates: commit, then confirm.

An update counts as received when its row is committed; only the next getUpdates confirms it to Telegram.
So nothing is confirmed that is not on disk, and an update that comes twice is stored once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile

from tgbot.delivery.delivery import Delivery
from tgbot.intake.acceptor import Acceptor
from tgbot.model import Raw
from tgbot.store.engine.errors import StorageError
from tgbot.tally import tally
from tgbot.telegram import get_updates
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import (
    BotApiError,
    ConflictError,
    FloodedError,
    TokenRefusedError,
    UnreachableError,
)
from tgbot.telegram.get_updates import Unparsed
from tgbot.telegram.privacy import has_privacy_mode

log = logging.getLogger(__name__)

LONG_POLL_SECONDS = 30
BATCH_MAX = 100  # Telegram's limit for one getUpdates
RETRY_SECONDS = (0.5, 1.0, 3.0, 10.0)  # after a failure; the last one repeats
FLOOD_SECONDS_MAX = 60.0  # the longest wait, however long Telegram asks for


class Poller:
    """Asks Telegram for updates, hands them to the acceptor, and confirms what is on disk.

    `invite` is given the bot's username, once, before the first poll. It may raise StorageError.
    """

    def __init__(
        self, api: BotApi, acceptor: Acceptor, delivery: Delivery, invite: Callable[[str], Awaitable[None]]
    ) -> None:
        self._api = api
        self._acceptor = acceptor
        self._delivery = delivery
        self._invite = invite
        self._failures = 0
        self._offset: int | None = None

    async def serve(self) -> None:
        """Poll for ever. Raises TokenRefusedError if the token was never good: then no retry helps."""
        while True:
            try:
                await self._introduce()
                batch = await self._poll()
                await self._acceptor.accept(batch)
                # Only now, and only here: what this offset confirms is on disk.
                self._confirm(batch)
                self._recovered()
            except FloodedError as error:
                log.warning("intake.flooded retry_after_seconds=%s", error.retry_after_seconds)
                await asyncio.sleep(min(error.retry_after_seconds, FLOOD_SECONDS_MAX))
            except (BotApiError, StorageError) as error:
                if isinstance(error, TokenRefusedError) and self._acceptor.username is None:
                    raise
                await self._back_off(error)

    async def _introduce(self) -> None:
        """Ask Telegram for the bot's own username, and set the commands menu."""
        if self._acceptor.username is not None:
            return
        me = await self._api.call("getMe")
        if not isinstance(me, dict) or not isinstance(me.get("username"), str):
            raise UnreachableError("getMe gives no username")
        await self._invite(me["username"])
        log.info("intake.ready bot=%s username=%s", me.get("id"), me["username"])
        self._acceptor.introduce(me["username"], privacy_mode=has_privacy_mode(me))
        self._delivery.show_commands(self._acceptor.menu)

    async def _poll(self) -> list[Raw | Unparsed]:
        tally.poll_tried_at = time.monotonic()
        batch = await self._api.call(
            "getUpdates",
            offset=self._offset,
            limit=BATCH_MAX,
            timeout=LONG_POLL_SECONDS,
            # Each time: without it Telegram keeps what an earlier program asked for.
            allowed_updates=self._acceptor.allowed_updates,
        )
        if not isinstance(batch, list):
            raise UnreachableError("getUpdates gives no list")
        tally.polled_at = time.monotonic()
        return batch

    def _confirm(self, batch: Sequence[Raw | Unparsed]) -> None:
        """Move the offset behind a batch.

        Raises UnreachableError if the offset does not confirm it: Telegram would send it again at once.
        """
        ids = [get_updates.update_id(item) for item in batch]
        before, self._offset = self._offset, _behind(ids, self._offset)
        if batch and (self._offset == before or not any(ids)):
            raise UnreachableError("getUpdates gives updates that cannot be confirmed")

    async def _back_off(self, error: BotApiError | StorageError) -> None:
        self._failures += 1
        tally.poll_tried_at = time.monotonic()
        if isinstance(error, ConflictError):
            log.error("intake.conflict is there another poller with this token, or a webhook? %s", error)
        elif isinstance(error, TokenRefusedError):
            log.error("intake.token_refused it was good before, so it is tried again: %s", error)
        else:
            log.warning("intake.retry failures=%s reason=%s", self._failures, error)
        await asyncio.sleep(RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1])

    def _recovered(self) -> None:
        if self._failures:
            log.info("intake.recovered failures=%s", self._failures)
        self._failures = 0


def _behind(ids: Sequence[int | None], offset: int | None) -> int | None:
    """Compute the offset that confirms a batch.

    Telegram counts up, so an update without a usable id has at least its predecessor's id plus one. If its id
    is greater, it comes again; but no update behind it is ever confirmed by mistake.
    """
    known = [update_id for update_id in ids if update_id is not None]
    behind = max(known) + 1 if known else offset
    unknown_at_end = len(list(takewhile(lambda update_id: update_id is None, reversed(ids))))
    return None if behind is None else behind + unknown_at_end
