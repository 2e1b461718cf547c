"""Telegram in: commit, then acknowledge, then wake.

An update counts as received when its row is committed; only the getUpdates after that confirms it.
So nothing is confirmed that is not on disk, and what comes twice is stored once.
"""

import asyncio
import logging
from collections.abc import Sequence

from tgbot.delivery.delivery import Delivery
from tgbot.intake import commands
from tgbot.intake.acceptor import Acceptor
from tgbot.model import Raw
from tgbot.store.engine.errors import StorageError
from tgbot.telegram import updates
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import (
    BotApiError,
    ConflictError,
    FloodedError,
    TokenRefusedError,
    UnreachableError,
)

log = logging.getLogger(__name__)

LONG_POLL_SECONDS = 30
BATCH_MAX = 100  # Telegram's limit for one getUpdates
RETRY_SECONDS = (0.5, 1.0, 3.0, 10.0)  # after a failure; the last one repeats
FLOOD_SECONDS_MAX = 60.0  # however long Telegram asks to wait, we look again after this


class Poller:
    """Asks Telegram for updates, hands them to the acceptor, and confirms what is on disk."""

    def __init__(self, api: BotApi, acceptor: Acceptor, delivery: Delivery) -> None:
        self._api = api
        self._acceptor = acceptor
        self._delivery = delivery
        self._failures = 0

    async def serve(self) -> None:
        """Poll for ever. Raises TokenRefusedError, if the token was never good: no retry helps."""
        offset = None
        while True:
            try:
                await self._introduce()
                raws = await self._poll(offset)
                await self._acceptor.accept(raws)
                # Only now, and only here: what this offset confirms is on disk.
                offset = _behind(raws, offset)
                self._recovered()
            except FloodedError as error:
                log.warning("intake.flooded retry_after_seconds=%s", error.retry_after_seconds)
                await asyncio.sleep(min(error.retry_after_seconds, FLOOD_SECONDS_MAX))
            except (BotApiError, StorageError) as error:
                if isinstance(error, TokenRefusedError) and self._acceptor.username is None:
                    raise
                await self._back_off(error)

    async def _introduce(self) -> None:
        """Learn our own name, to tell /stop@this_bot from /stop@another, and show our commands."""
        if self._acceptor.username is not None:
            return
        me = await self._api.call("getMe")
        if not isinstance(me, dict) or not isinstance(me.get("username"), str):
            raise UnreachableError("getMe gives no username")
        self._acceptor.username = me["username"]
        log.info("intake.ready bot=%s username=%s", me.get("id"), self._acceptor.username)
        self._delivery.show_commands(commands.menu())

    async def _poll(self, offset: int | None) -> list[Raw]:
        raws = await self._api.call(
            "getUpdates",
            offset=offset,
            limit=BATCH_MAX,
            timeout=LONG_POLL_SECONDS,
            allowed_updates=list(updates.ALLOWED_UPDATES),
        )
        if not isinstance(raws, list):
            raise UnreachableError("getUpdates gives no list")
        return raws

    async def _back_off(self, error: BotApiError | StorageError) -> None:
        self._failures += 1
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


def _behind(raws: Sequence[Raw], offset: int | None) -> int | None:
    """Compute the offset that confirms a batch. Raises UnreachableError if it would come again at once."""
    behind = max(
        (update_id + 1 for raw in raws if (update_id := updates.update_id(raw)) is not None), default=offset
    )
    if raws and behind == offset:
        raise UnreachableError("getUpdates gives updates that can not be confirmed")
    return behind
