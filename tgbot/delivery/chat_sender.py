"""Sends the answers of one chat, one request at a time: parts in order, each on screen exactly once.

Text reaches a chat only by editing a message whose id is committed. Sending cannot be repeated safely
(Telegram has no idempotency key), editing can; so what is sent is a placeholder, and an edit whose
outcome is unknown is simply made again.
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
GONE_MAX = 3  # how often the message of one part may be deleted before the part is parked
STALE_SECONDS = 0.1  # a part that was read longer ago than this is read again before it is sent
REACTIONS_MAX = 50  # reactions waiting for the rate limit in one chat; the oldest are dropped


@dataclass(frozen=True, slots=True)
class Tools:
    """What every chat sender works with."""

    db: Database
    api: BotApi
    rate_limiter: RateLimiter
    answers: LiveAnswers
    bot_id: BotId
    stream: str
    wake: Callable[[ChatId], None]  # wakes another chat's sender


class ChatSender:
    """Sends to one chat; `run` returns when nothing is left to do."""

    def __init__(self, chat_id: ChatId, tools: Tools) -> None:
        self._chat_id = chat_id
        self._tools = tools
        self._previews = Previews(
            chat_id, tools.db, tools.api, tools.rate_limiter, tools.answers, tools.stream, self._note
        )
        self._hint = asyncio.Event()  # there may be something in the outbox
        self._following: Part | None = None  # the next part, as the last write saw it
        self._news = asyncio.Event()  # the same, or a running turn has said more
        self._resting = False  # a preview was shown just now: new words can wait
        self._reactions: dict[MessageId, Reaction] = {}
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

    def react(self, message_id: MessageId, reaction: Reaction) -> None:
        """React to the user's message when there is time; a newer reaction replaces one still waiting."""
        self._reactions.pop(message_id, None)  # a newer reaction goes to the end of the queue
        self._reactions[message_id] = reaction
        if len(self._reactions) > REACTIONS_MAX:
            del self._reactions[next(iter(self._reactions))]
        self._news.set()

    async def run(self) -> None:
        """Work until nothing is left to send and no running turn has more to say."""
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
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes right after the event is set.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._resting = False

    async def _spare_time(self) -> float | None:
        """Show previews and reactions while no part is waiting to be sent.

        Returns how many seconds to wait before the next one, None if there is none.
        """
        mode = self._previews.mode
        try:
            preview = await self._previews.step()
        except StorageError as error:
            log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
            return RETRY_SECONDS[1]
        if self._previews.mode != mode:
            self.wake()  # no drafts here: the placeholder is wanted after all
        message_id = self._next_reaction()
        if message_id is None or self._hint.is_set():  # the answer may have come during the preview
            return preview
        reaction = await self._show_reaction(message_id)
        return reaction if preview is None else min(preview, reaction)

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
        """Take the next part as the last write saw it, or read it anew if there was a hint since."""
        following, self._following = self._following, None
        if not self._hint.is_set():
            return following
        self._hint.clear()
        # Through the writer: it sees what was committed just now.
        return await self._tools.db.write(self._look())

    async def _write(self, change: Callable[..., None], *args: object) -> None:
        """Commit what became of a part, and read the next part in the same transaction."""
        self._hint.clear()  # whatever it hinted at is committed, so this transaction sees it
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
        if fresh := await self._next():  # by now the part may be rewritten, too old, or not the next any more
            await self._attempt(fresh)

    async def _attempt(self, part: Part) -> None:
        """Make the one request that the part needs now."""
        self._hint.set()  # read the next part anew, unless a write below already does
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
        """Send the placeholder, then commit its id. A crash between the two leaves a stray "…"."""
        message = await self._tools.api.call(
            "sendMessage",
            chat_id=part.chat_id,
            message_thread_id=part.topic_id,
            text=PLACEHOLDER,
            reply_parameters=shapes.reply_to(part.reply_to),
            reply_markup=stop_button(part.row_id) if part.state == "open" else None,
        )
        await self._note(sending.placed, part, _message_id(message))

    async def _show(self, part: Part) -> None:
        """Edit the content in; "not modified" means that an earlier try took effect."""
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
        """Reply to the finished answer, because an edit notifies nobody."""
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
        """Send what cannot be made by an edit: after an unknown outcome once more, then never again.

        `parts` are those of an album; its first one counts the tries. Raises RefusedError when no try is
        left.
        """
        if part.tries >= shapes.TRIES_MAX:
            raise RefusedError("this was sent twice, and no answer came")
        await self._tools.db.write(sending.trying, part.part_id, part.tries + 1)
        try:
            answer = await self._tools.api.call(
                method, chat_id=part.chat_id, message_thread_id=part.topic_id, **content
            )
        except (FloodedError, NotSentError, RefusedError):  # nothing took effect, so it does not count
            await self._tools.db.write(sending.trying, part.part_id, part.tries)
            raise
        await self._note(sending.all_sent, _as_shown(parts or [part], answer))

    async def _note(self, change: Callable[..., None], *args: object) -> None:
        """Commit what is on screen already, retrying for as long as the database refuses.

        Giving up would send it a second time.
        """
        while True:
            try:
                return await self._write(change, *args)
            except StorageError as error:
                log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
                await self._back_off()

    async def _remove(self, part: Part) -> None:
        """Delete a placeholder that no edit can turn into this part."""
        with contextlib.suppress(RefusedError):  # it is gone already, or too old to be deleted
            await self._tools.api.call("deleteMessage", chat_id=part.chat_id, message_id=part.message_id)
        await self._write(sending.forget_message, part.part_id)

    async def _refused(self, part: Part, reason: str) -> None:
        """Show a plainer form of what Telegram refuses for good; park the part when there is none."""
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
        """Send a new placeholder for a message that the user deleted, GONE_MAX times at most."""
        part_id, times = self._gone
        self._gone = (part.part_id, times + 1 if part_id == part.part_id else 1)
        if self._gone[1] > GONE_MAX:
            await self._refused(part, "the message was deleted again and again")
        else:
            await self._write(sending.forget_message, part.part_id)

    def _next_reaction(self) -> MessageId | None:
        """Choose the oldest reaction; not WORKING while streaming, which already shows that a turn works."""
        skipped = Reaction.WORKING if self._previews.streaming else None
        return next((message_id for message_id, one in self._reactions.items() if one != skipped), None)

    async def _show_reaction(self, message_id: MessageId) -> float:
        """React to one message if the rate limit allows it now; returns how many seconds to wait."""
        if not self._tools.rate_limiter.try_acquire(self._chat_id):
            return max(0.1, self._tools.rate_limiter.wait_seconds(self._chat_id))
        reaction = self._reactions.pop(message_id)
        try:
            await self._tools.api.call(
                "setMessageReaction",
                chat_id=self._chat_id,
                message_id=message_id,
                reaction=[{"type": "emoji", "emoji": reaction.value}],
            )
        except FloodedError as error:
            self._tools.rate_limiter.pause(self._chat_id, error.retry_after_seconds)
        except BotApiError as error:
            log.info("delivery.reaction_failed chat=%s reason=%s", self._chat_id, error)
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
    """Give each part its message id; an album is answered with a list of messages."""
    messages = answer if isinstance(answer, list) else [answer]
    if len(messages) != len(parts):
        raise UnreachableError("useless answer: not one message for each part")
    return [
        replace(part, message_id=_message_id(message)) for part, message in zip(parts, messages, strict=True)
    ]


def _message_id(message: object) -> MessageId:
    """Find the id of the sent message. Raises UnreachableError without one: the outcome is unknown."""
    found = message.get("message_id") if isinstance(message, dict) else None
    if not isinstance(found, int):
        raise UnreachableError("useless answer: no message id")
    return MessageId(found)


def _priority(part: Part) -> Priority:
    if part.kind == "reply":
        return Priority.CONTROL
    return Priority.GROWING if part.state == "open" else Priority.ANSWER
