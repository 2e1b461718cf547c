"""Sends what one chat wants, one request at a time: parts in order, exactly once on screen.

Text reaches a chat only by editing a message whose id is committed. Sending is not repeatable
(Telegram has no idempotency key), editing is; so what is sent is a placeholder, and a request
whose outcome nobody knows can be made again.
"""

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tgbot.delivery import shapes
from tgbot.delivery.preview import Previews, stop_button
from tgbot.model import BotId, ChatId, MessageId, Part, PartId
from tgbot.store import chats, outbox, sending
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import (
    BotApiError,
    ChatMigratedError,
    FloodedError,
    MessageGoneError,
    NotModifiedError,
    NotSentError,
    RefusedError,
    UnreachableError,
)
from tgbot.telegram.rate_limit import Priority, RateLimiter
from tgbot.turns.answer import LiveAnswers, Reaction

log = logging.getLogger(__name__)

PLACEHOLDER = "…"
RETRY_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)  # after a failure; the last one repeats
GONE_MAX = 3  # how often the message of one part may vanish before it is parked
STALE_SECONDS = 0.1  # what was read longer ago than this is read again
RECEIPTS_MAX = 50  # marks waiting for room in one chat; the oldest are dropped


@dataclass(frozen=True, slots=True)
class Tools:
    """What every lane works with."""

    db: Database
    api: BotApi
    rate_limiter: RateLimiter
    answers: LiveAnswers
    bot_id: BotId
    stream: str
    wake: Callable[[ChatId], None]  # another chat's sender


class ChatSender:
    """One chat's way out. It ends by itself when nothing is left to do."""

    def __init__(self, chat_id: ChatId, tools: Tools) -> None:
        self._chat_id = chat_id
        self._tools = tools
        self._previews = Previews(
            chat_id, tools.db, tools.api, tools.rate_limiter, tools.answers, tools.stream, self._note
        )
        self._hint = asyncio.Event()  # there may be something in the outbox
        self._following: Part | None = None  # what the last write saw to be next
        self._news = asyncio.Event()  # that, or a running turn has said more
        self._resting = False  # a preview was made just now: new words can wait
        self._receipts: dict[MessageId, Reaction] = {}
        self._failures = 0
        self._gone: tuple[PartId | None, int] = (None, 0)

    def wake(self) -> None:
        """Hint that the outbox has something for this chat."""
        self._hint.set()
        self._news.set()

    def words(self) -> None:
        """Hint that a running turn has said more."""
        if not self._resting:
            self._news.set()

    def receipt(self, message_id: MessageId, mark: Reaction) -> None:
        """Show a mark on the user's message some time; a newer mark takes an older one's place."""
        self._receipts.pop(message_id, None)  # a newer mark stands at the end of the line
        self._receipts[message_id] = mark
        if len(self._receipts) > RECEIPTS_MAX:
            del self._receipts[next(iter(self._receipts))]
        self._news.set()

    async def run(self) -> None:
        """Work until there is nothing left to send, and nobody speaks."""
        self._hint.set()
        while True:
            self._news.clear()
            if self._hint.is_set() or self._following:
                await self._send_next()
                continue
            wait_seconds = await self._spare_time()
            if wait_seconds is None and not self._news.is_set():
                return
            await self._rest(wait_seconds or 0.0)

    async def _rest(self, seconds: float) -> None:
        """Wait for the outbox, for new words, or for the time of the next preview."""
        self._resting = 0 < seconds < 1.0
        # Not wait_for: Python 3.11's swallows a cancellation that comes right behind the news.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._resting = False

    async def _spare_time(self) -> float | None:
        """Preview and mark, while nothing that must go out waits."""
        mode = self._previews.mode
        try:
            preview = await self._previews.step()
        except StorageError as error:
            log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
            return RETRY_SECONDS[1]
        if self._previews.mode != mode:
            self.wake()  # no drafts here: the placeholder is wanted after all
        message_id = self._next_receipt()
        if message_id is None or self._hint.is_set():  # the answer may have come while the preview went
            return preview
        receipt = await self._show_receipt(message_id)
        return receipt if preview is None else min(preview, receipt)

    async def _send_next(self) -> None:
        try:
            part = await self._next()
            if part:
                await self._in_its_time(part)
        except StorageError as error:
            log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
            self._hint.set()
            await self._back_off()

    async def _next(self) -> Part | None:
        """Take what the last write saw to be next, unless there was a hint since."""
        following, self._following = self._following, None
        if not self._hint.is_set():
            return following
        self._hint.clear()
        # Through the writer, which is one hop; a reading connection would take five.
        return await self._tools.db.write(self._look())

    async def _write(self, change: Callable[..., None], *args: object) -> None:
        """Commit what became of a part, and see in the same transaction what is next."""
        self._hint.clear()  # what it told of is committed, so this transaction sees it
        self._following = await self._tools.db.write(_change_and_look, self._look(), change, *args)

    def _look(self) -> Callable[[Connection], Part | None]:
        placeholders = self._previews.mode == "edit"
        return functools.partial(
            sending.next_part, bot_id=self._tools.bot_id, chat_id=self._chat_id, placeholders=placeholders
        )

    async def _in_its_time(self, part: Part) -> None:
        asked_at = _now()
        await self._tools.rate_limiter.acquire(self._chat_id, _priority(part))
        if _now() - asked_at < STALE_SECONDS:
            await self._attempt(part)
            return
        self._hint.set()
        if fresh := await self._next():  # it may be answered, rewritten or too old by now
            await self._attempt(fresh)

    async def _attempt(self, part: Part) -> None:
        """Make the one request that the part wants now."""
        self._hint.set()  # look again, unless a write sees by the way what is next
        try:
            await self._request(part)
        except FloodedError as error:
            log.warning(
                "delivery.flooded chat=%s retry_after_seconds=%s", self._chat_id, error.retry_after_seconds
            )
            self._tools.rate_limiter.pause(self._chat_id, error.retry_after_seconds)
        except ChatMigratedError as error:
            await self._write(chats.move, self._tools.bot_id, self._chat_id, error.new_chat_id)
            self._tools.wake(error.new_chat_id)
        except MessageGoneError:
            await self._place_anew(part)
        except RefusedError as error:
            await self._refused(part, str(error))
        except BotApiError as error:
            log.warning("delivery.retry chat=%s row=%s reason=%s", part.chat_id, part.row_id, error)
            await self._back_off()
        else:
            self._failures = 0

    async def _request(self, part: Part) -> None:
        if shapes.made_by_edit(part):
            await (self._place(part) if part.message_id is None else self._show(part))
        elif part.message_id is not None:
            await self._remove(part)
        elif part.album is not None:
            await self._send_album(part)
        else:
            await (self._ping(part) if part.kind == "ping" else self._speak(part))

    async def _place(self, part: Part) -> None:
        """Send the placeholder and commit its id. A crash between the two leaves a stray "…"."""
        message = await self._tools.api.call(
            "sendMessage",
            chat_id=part.chat_id,
            message_thread_id=part.topic_id,
            text=PLACEHOLDER,
            reply_parameters=shapes.reply_to(part.reply_to),
            reply_markup=stop_button(part.row_id) if part.state == "open" else None,
        )
        await self._note(sending.placed, part.part_id, _message_id(message))

    async def _show(self, part: Part) -> None:
        """Edit the content in; "not modified" proves that an earlier try took effect."""
        with contextlib.suppress(NotModifiedError):
            method, content = shapes.edit(part)
            await self._tools.api.call(
                method,
                chat_id=part.chat_id,
                message_id=part.message_id,
                reply_markup=json.loads(part.buttons) if part.buttons else None,
                **content,
            )
        await self._write(sending.sent, part)
        log.info("delivery.sent chat=%s row=%s part=%s", part.chat_id, part.row_id, part.number)

    async def _ping(self, part: Part) -> None:
        """Say that the answer is there, in reply to it."""
        answer_id = await self._tools.db.read(sending.message_of, part.row_id)
        await self._send(part, "sendMessage", text=part.text, reply_parameters=shapes.reply_to(answer_id))

    async def _speak(self, part: Part) -> None:
        voice = shapes.upload(part)
        await self._send(part, "sendVoice", voice=voice, caption=voice.caption)

    async def _send_album(self, part: Part) -> None:
        parts = await self._tools.db.write(sending.album_of, part)
        await self._send(part, "sendMediaGroup", parts, media=[shapes.upload(member) for member in parts])

    async def _send(
        self, part: Part, method: str, parts: Sequence[Part] | None = None, **content: object
    ) -> None:
        """Send what no edit can make: once more after an unknown outcome, and then no more.

        The tries of an album's `parts` are those of its first.
        """
        if part.tries >= shapes.TRIES_MAX:
            raise RefusedError("no answer came when this was sent, twice")
        await self._tools.db.write(sending.trying, part.part_id, part.tries + 1)
        try:
            answer = await self._tools.api.call(
                method, chat_id=part.chat_id, message_thread_id=part.topic_id, **content
            )
        except (FloodedError, NotSentError, RefusedError):  # nothing took effect, so this was no try
            await self._tools.db.write(sending.trying, part.part_id, part.tries)
            raise
        await self._note(sending.all_sent, _as_shown(parts or [part], answer))

    async def _note(self, change: Callable[..., None], *args: object) -> None:
        """Commit what is on screen already: while the database refuses, sending it again would double it."""
        while True:
            try:
                return await self._write(change, *args)
            except StorageError as error:
                log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
                await self._back_off()

    async def _remove(self, part: Part) -> None:
        """Take away a placeholder that no edit can make into this part."""
        with contextlib.suppress(RefusedError):  # it is gone already, or too old to be deleted
            await self._tools.api.call("deleteMessage", chat_id=part.chat_id, message_id=part.message_id)
        await self._write(sending.forget_message, part.part_id)

    async def _refused(self, part: Part, reason: str) -> None:
        """Show what Telegram will never take in a plainer form; park it when there is none."""
        log.warning(
            "delivery.refused chat=%s row=%s part=%s reason=%s",
            part.chat_id,
            part.row_id,
            part.number,
            reason,
        )
        plainer = shapes.plainer(part)
        if part.album is not None and part.tries < shapes.TRIES_MAX:
            await self._write(sending.take_apart, part)
        elif plainer:
            await self._write(outbox.fall_back, self._tools.bot_id, part, plainer)
        else:
            log.warning("delivery.parked chat=%s row=%s part=%s", part.chat_id, part.row_id, part.number)
            await self._write(sending.park, part, reason)

    async def _place_anew(self, part: Part) -> None:
        """Place another message for one that the user deleted, but not for ever."""
        part_id, times = self._gone
        self._gone = (part.part_id, times + 1 if part_id == part.part_id else 1)
        if self._gone[1] > GONE_MAX:
            await self._refused(part, "the message was deleted again and again")
        else:
            await self._write(sending.forget_message, part.part_id)

    def _next_receipt(self) -> MessageId | None:
        """Choose the oldest mark. Words that come say by themselves that a turn works, and sooner."""
        waits = Reaction.WORKING if self._previews.streaming else None
        return next((message_id for message_id, mark in self._receipts.items() if mark != waits), None)

    async def _show_receipt(self, message_id: MessageId) -> float:
        """Put one mark on a message, if there is room; returns in how many seconds to come again."""
        if not self._tools.rate_limiter.try_acquire(self._chat_id):
            return max(0.1, self._tools.rate_limiter.wait_seconds(self._chat_id))
        mark = self._receipts.pop(message_id)
        try:
            await self._tools.api.call(
                "setMessageReaction",
                chat_id=self._chat_id,
                message_id=message_id,
                reaction=[{"type": "emoji", "emoji": mark.value}],
            )
        except FloodedError as error:
            self._tools.rate_limiter.pause(self._chat_id, error.retry_after_seconds)
        except BotApiError as error:
            log.info("delivery.receipt_lost chat=%s reason=%s", self._chat_id, error)
        return 0.0

    async def _back_off(self) -> None:
        await asyncio.sleep(RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)])
        self._failures += 1


def _change_and_look(
    conn: Connection, look: Callable[[Connection], Part | None], change: Callable[..., None], *args: object
) -> Part | None:
    change(conn, *args)
    return look(conn)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _as_shown(parts: Sequence[Part], answer: object) -> list[Part]:
    """Note the message of each part: an album's answer is a list of them."""
    messages = answer if isinstance(answer, list) else [answer]
    if len(messages) != len(parts):
        raise UnreachableError("an answer of no use: not a message for each part")
    return [
        replace(part, message_id=_message_id(message)) for part, message in zip(parts, messages, strict=True)
    ]


def _message_id(message: object) -> MessageId:
    """Find the id of what was sent; without one its outcome is unknown."""
    found = message.get("message_id") if isinstance(message, dict) else None
    if not isinstance(found, int):
        raise UnreachableError("an answer of no use: no message id")
    return MessageId(found)


def _priority(part: Part) -> Priority:
    if part.kind == "reply":
        return Priority.CONTROL
    return Priority.PLACEHOLDER if part.state == "open" else Priority.FINAL
