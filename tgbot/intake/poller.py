"""Polls Telegram for updates: commit, then confirm.

An update counts as received when its row is committed; only the next getUpdates confirms it to Telegram.
So nothing is confirmed that is not on disk, and an update that comes twice is stored once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile
from urllib.parse import urlsplit

from tgbot.intake import attempts
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.attempts import Attempts
from tgbot.model import Raw
from tgbot.tally import tally
from tgbot.telegram import get_updates
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import ConflictError, UnreachableError
from tgbot.telegram.get_updates import Unparsed

log = logging.getLogger(__name__)

LONG_POLL_SECONDS = 30
STANDBY_SECONDS = 1.0  # between the looks of a worker at whether the poller is gone
BATCH_MAX = 100  # Telegram's limit for one getUpdates


class Poller:
    """Asks Telegram for updates, hands them to the acceptor, and confirms what is on disk.

    `may_poll` says whether this process is the one of several that polls. It may raise StorageError.
    """

    def __init__(
        self, api: BotApi, acceptor: Acceptor, tries: Attempts, may_poll: Callable[[], Awaitable[bool]]
    ) -> None:
        self._api = api
        self._acceptor = acceptor
        self._tries = tries
        self._may_poll = may_poll
        self._offset: int | None = None

    async def serve(self) -> None:
        """Poll for ever. Raises TokenRefusedError if the token was never good: then no retry helps."""
        await self._tries.repeat(self._take)

    async def _take(self) -> None:
        if not await self._may_poll():
            tally.polled_at = tally.poll_tried_at = time.monotonic()  # another worker sees to it
            self._offset = None
            await asyncio.sleep(STANDBY_SECONDS)
            return
        try:
            batch = await self._poll()
        except ConflictError:
            # Not if another worker polls by now, as after a pause: that one has ended this poll.
            if await self._may_poll() and not await self._deletes_webhook():
                raise
            return
        await self._acceptor.accept(batch)
        # Only now, and only here: what this offset confirms is on disk.
        self._confirm(batch)

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

    async def _deletes_webhook(self) -> bool:
        """Delete the webhook that ended a poll; False if there is none, so that it was another poller."""
        info = await self._api.call("getWebhookInfo")
        if not isinstance(info, dict) or not info.get("url"):
            return False
        host = urlsplit(str(info["url"])).hostname  # the rest is often a secret
        log.warning("intake.webhook_deleted Telegram posted the updates to %s, and this bot polls", host)
        # Without drop_pending_updates: what people wrote waits for the bot.
        await self._api.call("deleteWebhook")
        await asyncio.sleep(attempts.RETRY_SECONDS[0])  # another program may set it again at once
        return True

    def _confirm(self, batch: Sequence[Raw | Unparsed]) -> None:
        """Move the offset behind a batch.

        Raises UnreachableError if the offset does not confirm it: Telegram would send it again at once.
        """
        ids = [get_updates.update_id(item) for item in batch]
        before, self._offset = self._offset, _behind(ids, self._offset)
        if batch and (self._offset == before or not any(ids)):
            raise UnreachableError("getUpdates gives updates that cannot be confirmed")


def _behind(ids: Sequence[int | None], offset: int | None) -> int | None:
    """Compute the offset that confirms a batch.

    Telegram counts up, so an update without a usable id has at least its predecessor's id plus one. If its id
    is greater, it comes again; but no update behind it is ever confirmed by mistake.
    """
    known = [update_id for update_id in ids if update_id is not None]
    behind = max(known) + 1 if known else offset
    unknown_at_end = len(list(takewhile(lambda update_id: update_id is None, reversed(ids))))
    return None if behind is None else behind + unknown_at_end
