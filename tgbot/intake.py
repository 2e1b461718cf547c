"""Telegram in: commit, then acknowledge, then wake.

An update counts as received when its row is committed; only the getUpdates after that confirms it.
So nothing is confirmed that is not on disk, and what comes twice is stored once.
"""

import asyncio
import logging
from collections.abc import Sequence

from tgbot import inbound
from tgbot.botapi import (
    BotApi,
    BotApiError,
    ConflictError,
    FloodedError,
    TokenRefusedError,
    UnreachableError,
)
from tgbot.db import Database, StorageError
from tgbot.delivery import Delivery
from tgbot.dispatcher import Dispatcher
from tgbot.live import Receipt
from tgbot.model import Arrival, BotId, Raw, Unreadable
from tgbot.reception import Received, Rules, receive

log = logging.getLogger(__name__)

LONG_POLL_SECONDS = 30
BATCH_MAX = 100  # Telegram's limit for one getUpdates
RETRY_SECONDS = (0.5, 1.0, 3.0, 10.0)  # after a failure; the last one repeats
FLOOD_SECONDS_MAX = 60.0  # however long Telegram asks to wait, we look again after this


class Intake:
    """`serve` polls; `accept` is what a batch goes through, however it came."""

    def __init__(
        self, db: Database, api: BotApi, rules: Rules, dispatcher: Dispatcher, delivery: Delivery
    ) -> None:
        self._db = db
        self._api = api
        self._rules = rules
        self._dispatcher = dispatcher
        self._delivery = delivery
        self._username: str | None = None
        self._failures = 0

    async def serve(self) -> None:
        """Poll for ever. Raises TokenRefusedError, if the token was never good: no retry helps."""
        offset = None
        while True:
            try:
                await self._introduce()
                raws = await self._poll(offset)
                await self.accept(raws)
                # Only now, and only here: what this offset confirms is on disk.
                offset = _behind(raws, offset)
                self._recovered()
            except FloodedError as error:
                log.warning("intake.flooded retry_after_seconds=%s", error.retry_after_seconds)
                await asyncio.sleep(min(error.retry_after_seconds, FLOOD_SECONDS_MAX))
            except (BotApiError, StorageError) as error:
                if isinstance(error, TokenRefusedError) and self._username is None:
                    raise
                await self._back_off(error)

    async def accept(self, raws: Sequence[Raw]) -> None:
        """Commit a batch, then wake who has work from it. Raises StorageError: nothing was stored."""
        arrivals = _parsed(self._dispatcher.owner.bot_id, self._username, raws)
        try:
            self._pass_on(await self._receive(arrivals))
        except StorageError:
            raise
        except Exception:
            # One of them trips over a bug of ours. Alone, it is the only one to be parked for it.
            log.exception("intake.batch_failed updates=%s", len(arrivals))
            for arrival in arrivals:
                await self._accept_alone(arrival)

    async def _accept_alone(self, arrival: Arrival) -> None:
        try:
            self._pass_on(await self._receive([arrival]))
        except StorageError:
            raise
        except Exception:
            log.exception("intake.parked update=%s", arrival.update.update_id)
            where = arrival if isinstance(arrival, Unreadable) else arrival.address
            parked = Unreadable(arrival.update, where.chat_id, where.topic_id)
            self._pass_on(await self._receive([parked]))

    async def _receive(self, arrivals: Sequence[Arrival]) -> Received:
        if not arrivals:
            return Received()
        return await self._db.write(receive, self._dispatcher.owner, self._rules, arrivals)

    def _pass_on(self, received: Received) -> None:
        self._dispatcher.spawn(received.claimed)
        for chat_id in received.replied:
            self._delivery.wake(chat_id)
        for address in received.waiting:
            self._delivery.receipt(address, Receipt.RECEIVED)
        for callback_id in received.turned_away:
            self._delivery.answer_callback(callback_id, None)
        for control, toast in received.controls:
            log.info("control.acted name=%s session=%s", control.name, control.address.session_key)
            self._dispatcher.wake()
            if control.callback_id:
                self._delivery.answer_callback(control.callback_id, toast)

    async def _introduce(self) -> None:
        """Learn our own name, to tell /stop@this_bot from /stop@another, and show our commands."""
        if self._username is not None:
            return
        me = await self._api.call("getMe")
        if not isinstance(me, dict) or not isinstance(me.get("username"), str):
            raise UnreachableError("getMe tells no username")
        self._username = me["username"]
        log.info("intake.ready bot=%s username=%s", me.get("id"), self._username)
        self._delivery.show_commands(inbound.COMMANDS)

    async def _poll(self, offset: int | None) -> list[Raw]:
        raws = await self._api.call(
            "getUpdates",
            offset=offset,
            limit=BATCH_MAX,
            timeout=LONG_POLL_SECONDS,
            allowed_updates=list(inbound.ALLOWED_UPDATES),
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


def _parsed(bot_id: BotId, username: str | None, raws: Sequence[Raw]) -> list[Arrival]:
    arrivals = []
    for raw in raws:
        try:
            arrival = inbound.parse(bot_id, username, raw)
        except (KeyError, TypeError, ValueError, RecursionError):
            # Without an id it can be neither stored nor confirmed; Telegram never sends such.
            log.exception("intake.update_without_id")
            continue
        if isinstance(arrival, Unreadable):
            log.warning("intake.unreadable update=%s chat=%s", arrival.update.update_id, arrival.chat_id)
        if arrival:
            arrivals.append(arrival)
    return arrivals


def _behind(raws: Sequence[Raw], offset: int | None) -> int | None:
    """Compute the offset that confirms a batch. Raises UnreachableError if it would come again at once."""
    behind = max(
        (update_id + 1 for raw in raws if (update_id := inbound.update_id(raw)) is not None), default=offset
    )
    if raws and behind == offset:
        raise UnreachableError("getUpdates gives updates that can not be confirmed")
    return behind
