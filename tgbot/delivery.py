"""Telegram out: the parts of each chat in order, exactly once on screen.

Text reaches a chat only by editing a message whose id is committed. Sending is not repeatable
(Telegram has no idempotency key), editing is; so what is sent is a placeholder, and a request
whose outcome nobody knows can be made again.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping

from tgbot.botapi import (
    BotApi,
    BotApiError,
    FloodedError,
    MessageGoneError,
    NotModifiedError,
    RefusedError,
)
from tgbot.db import Database, StorageError
from tgbot.model import Address, BotId, ChatId, Part, PartId
from tgbot.store import outbox

log = logging.getLogger(__name__)

PLACEHOLDER = "…"
POLL_SECONDS = 5.0  # what a lost wake costs at most
LANES_MAX = 256  # chats served at once
COURTESIES_MAX = 64  # receipts and the like on their way at once; more are dropped
RETRY_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)  # after a failure; the last one repeats
GONE_MAX = 3  # how often the message of one part may vanish before it is parked


class Delivery:
    """One lane (a task) for each chat with something unsent; idle chats cost nothing."""

    def __init__(self, db: Database, api: BotApi, bot_id: BotId, send_within_seconds: float) -> None:
        self._db = db
        self._api = api
        self._bot_id = bot_id
        self._send_within_seconds = send_within_seconds
        self._rescan = asyncio.Event()
        self._lanes: dict[ChatId, asyncio.Task[None]] = {}
        self._woken: set[ChatId] = set()
        self._flooded: set[ChatId] = set()
        self._courtesies: set[asyncio.Task[None]] = set()

    def wake(self, chat_id: ChatId) -> None:
        """Hint that a chat has something unsent."""
        if chat_id in self._lanes:
            self._woken.add(chat_id)
        elif len(self._lanes) < LANES_MAX:
            self._lanes[chat_id] = asyncio.create_task(self._lane(chat_id), name=f"lane-{chat_id}")
        # else: the next scan finds it, which the end of a lane starts.

    async def serve(self) -> None:
        """Find what no wake told of: at the start, after a full house, and every POLL_SECONDS."""
        while True:
            self._rescan.clear()
            try:
                await self._scan()
            except StorageError as error:
                log.warning("delivery.storage_error reason=%s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rescan.wait(), POLL_SECONDS)

    async def flush(self, seconds: float) -> None:
        """Give the lanes `seconds` to send what they can, then end them; the outbox keeps the rest."""
        work = [*self._lanes.values(), *self._courtesies]
        if work:
            await asyncio.wait(work, timeout=seconds)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _scan(self) -> None:
        expired = await self._db.write(outbox.expire, self._send_within_seconds)
        if expired:
            log.warning("delivery.expired parts=%s", expired)
        for chat_id in await self._db.read(outbox.chats, self._bot_id, LANES_MAX):
            self.wake(chat_id)

    async def _lane(self, chat_id: ChatId) -> None:
        try:
            await _Lane(self._db, self._api, chat_id, self._flooded).run(self._bot_id, self._woken)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("delivery.lane_crashed chat=%s", chat_id)
        finally:
            del self._lanes[chat_id]
            if len(self._lanes) == LANES_MAX - 1:
                self._rescan.set()

    def react(self, address: Address, emoji: str) -> None:
        """Put a reaction on a message, if that is easy; nothing depends on it."""
        self._courtesy(
            address.chat_id,
            "setMessageReaction",
            chat_id=address.chat_id,
            message_id=address.message_id,
            reaction=[{"type": "emoji", "emoji": emoji}],
        )

    def answer_callback(self, chat_id: ChatId, callback_id: str) -> None:
        """End the button's spinner."""
        self._courtesy(chat_id, "answerCallbackQuery", callback_query_id=callback_id)

    def show_commands(self, commands: Mapping[str, str]) -> None:
        """Set the commands menu: name -> description."""
        menu = [{"command": name, "description": what} for name, what in commands.items()]
        self._courtesy(None, "setMyCommands", commands=menu)

    def _courtesy(self, chat_id: ChatId | None, method: str, /, **params: object) -> None:
        # A chat in its penalty window keeps what it may send for what it has to send.
        if len(self._courtesies) >= COURTESIES_MAX or chat_id in self._flooded:
            return
        task = asyncio.create_task(self._try(method, params))
        self._courtesies.add(task)
        task.add_done_callback(self._courtesies.discard)

    async def _try(self, method: str, params: dict[str, object]) -> None:
        try:
            await self._api.call(method, **params)
        except BotApiError as error:
            log.info("delivery.courtesy_failed method=%s reason=%s", method, error)


class _Lane:
    """Sends one chat's parts, oldest first, until there is none left."""

    def __init__(self, db: Database, api: BotApi, chat_id: ChatId, flooded: set[ChatId]) -> None:
        self._db = db
        self._api = api
        self._chat_id = chat_id
        self._flooded = flooded
        self._failures = 0
        self._gone: tuple[PartId | None, int] = (None, 0)

    async def run(self, bot_id: BotId, woken: set[ChatId]) -> None:
        while True:
            woken.discard(self._chat_id)
            part = await self._next(bot_id)
            if part:
                await self._attempt(part)
            elif self._chat_id not in woken:
                return

    async def _next(self, bot_id: BotId) -> Part | None:
        try:
            return await self._db.read(outbox.next_part, bot_id, self._chat_id)
        except StorageError as error:
            log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
            await self._back_off()
            return None

    async def _attempt(self, part: Part) -> None:
        """Make the one request the part wants now."""
        try:
            await (self._place(part) if part.message_id is None else self._show(part))
        except FloodedError as error:
            await self._sit_out(error.retry_after_seconds)
        except MessageGoneError:
            await self._place_anew(part)
        except RefusedError as error:
            log.warning(
                "delivery.parked chat=%s row=%s part=%s reason=%s",
                part.chat_id,
                part.row_id,
                part.number,
                error,
            )
            await self._db.write(outbox.park, part.part_id, str(error))
        except (BotApiError, StorageError) as error:
            log.warning("delivery.retry chat=%s row=%s reason=%s", part.chat_id, part.row_id, error)
            await self._back_off()
        else:
            self._failures = 0

    async def _place(self, part: Part) -> None:
        """Send the placeholder and commit its id. A crash between the two leaves a stray "…"."""
        message = await self._api.call(
            "sendMessage",
            chat_id=part.chat_id,
            message_thread_id=part.topic_id,
            text=PLACEHOLDER,
        )
        await self._db.write(outbox.placed, part.part_id, message["message_id"])

    async def _show(self, part: Part) -> None:
        """Edit the text in; "not modified" proves that an earlier try took effect."""
        with contextlib.suppress(NotModifiedError):
            await self._api.call(
                "editMessageText",
                chat_id=part.chat_id,
                message_id=part.message_id,
                text=part.text,
                entities=json.loads(part.entities) if part.entities else None,
                reply_markup=json.loads(part.buttons) if part.buttons else None,
                link_preview_options={"is_disabled": True},
            )
        await self._db.write(outbox.sent, part)
        log.info("delivery.sent chat=%s row=%s part=%s", part.chat_id, part.row_id, part.number)

    async def _place_anew(self, part: Part) -> None:
        """Place another message for one that the user deleted, but not for ever."""
        part_id, times = self._gone
        self._gone = (part.part_id, times + 1 if part_id == part.part_id else 1)
        if self._gone[1] > GONE_MAX:
            await self._db.write(outbox.park, part.part_id, "the message was deleted again and again")
        else:
            await self._db.write(outbox.forget_message, part.part_id)

    async def _sit_out(self, seconds: float) -> None:
        log.warning("delivery.flooded chat=%s retry_after_seconds=%s", self._chat_id, seconds)
        self._flooded.add(self._chat_id)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._flooded.discard(self._chat_id)

    async def _back_off(self) -> None:
        await asyncio.sleep(RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)])
        self._failures += 1
