"""What both ways to get updates share: the bot learns who it is first, and what fails is tried again."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tgbot.delivery.delivery import Delivery
from tgbot.intake.acceptor import Acceptor
from tgbot.store.engine.errors import StorageError
from tgbot.tally import tally
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import (
    BotApiError,
    ConflictError,
    FloodedError,
    TokenRefusedError,
    UnreachableError,
)
from tgbot.telegram.privacy import has_privacy_mode

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.0, 3.0, 10.0)  # after a failure; the last one repeats
FLOOD_SECONDS_MAX = 60.0  # the longest wait, however long Telegram asks for


class Attempts:
    """Repeats a step for ever, and waits after a failure, longer after each one in a row.

    `invite` is given the bot's username, once, before the first step. It may raise StorageError.
    """

    def __init__(
        self, api: BotApi, acceptor: Acceptor, delivery: Delivery, invite: Callable[[str], Awaitable[None]]
    ) -> None:
        self._api = api
        self._acceptor = acceptor
        self._delivery = delivery
        self._invite = invite
        self._failures = 0

    async def repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Never return. Raises TokenRefusedError if the token was never good: then no retry helps.

        `step` may raise BotApiError and StorageError; anything else ends the repeating.
        """
        while True:
            try:
                await self._introduce()
                await step()
                self._recovered()
            except FloodedError as error:
                log.warning("intake.flooded retry_after_seconds=%s", error.retry_after_seconds)
                seconds = min(error.retry_after_seconds, FLOOD_SECONDS_MAX)
                tally.floods += 1
                tally.flood_seconds += seconds
                await asyncio.sleep(seconds)
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

    async def _back_off(self, error: BotApiError | StorageError) -> None:
        self._failures += 1
        tally.poll_tried_at = time.monotonic()
        if isinstance(error, ConflictError):
            log.error("intake.conflict is there another poller with this token? %s", error)
        elif isinstance(error, TokenRefusedError):
            log.error("intake.token_refused it was good before, so it is tried again: %s", error)
        else:
            log.warning("intake.retry failures=%s reason=%s", self._failures, error)
        await asyncio.sleep(RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1])

    def _recovered(self) -> None:
        if self._failures:
            log.info("intake.recovered failures=%s", self._failures)
        self._failures = 0
