"""Sends to Telegram: one sender for each chat with something to send, and small courtesies beside them."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from tgbot.delivery.chat_sender import ChatSender, Tools
from tgbot.model import Address, BotId, ChatId, Turn
from tgbot.store import sending
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import BotApiError
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.answer import LiveAnswers, Reaction

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # the longest delay that a lost wake can cause
SENDERS_MAX = 256  # chats served at once
BEFORE_ALL = ChatId(-(2**63))  # smaller than every chat id
COURTESIES_MAX = 64  # requests under way at once; more are dropped
# By the state of the row. A row that is queued again, or stopped, is received but not worked on.
REACTIONS = {
    "done": Reaction.DONE,
    "failed": Reaction.FAILED,
    "dropped": Reaction.FAILED,
    "dead": Reaction.FAILED,
    "queued": Reaction.RECEIVED,
    "stopped": Reaction.RECEIVED,
}


class Delivery:
    """Runs one sender (a task) for each chat with something to send; idle chats cost nothing.

    `stream` is edit, draft or off (TGBOT_STREAM); `reactions`, whether to react to the user's messages (the
    setting TGBOT_RECEIPTS); answers that could not be sent within `send_within_seconds` are parked.
    """

    def __init__(  # noqa: PLR0913 - what it works with, and how it shows things
        self,
        db: Database,
        api: BotApi,
        bot_id: BotId,
        *,
        rate_limiter: RateLimiter,
        stream: str = "edit",
        reactions: bool = True,
        send_within_seconds: float,
    ) -> None:
        self.answers = LiveAnswers(self._words)
        self._db = db
        self._api = api
        self._tools = Tools(db, api, rate_limiter, self.answers, bot_id, stream, self.wake)
        self._reactions = reactions
        self._send_within_seconds = send_within_seconds
        self._rescan = asyncio.Event()
        self._scanned = BEFORE_ALL
        self._flushing = False
        self._senders: dict[ChatId, tuple[ChatSender, asyncio.Task[None]]] = {}
        self._courtesies: set[asyncio.Task[None]] = set()

    def wake(self, chat_id: ChatId) -> None:
        """Hint that a chat has something unsent."""
        sender = self._sender(chat_id)
        if sender:
            sender.wake()

    def turn_began(self, turn: Turn) -> None:
        """Show that a turn works: its placeholder, a reaction to the question, its words as they come."""
        self.wake(turn.chat_id)
        self.react(turn.address, Reaction.WORKING)

    def turn_ended(self, address: Address, state: str) -> None:
        """Send the answer, and react by the `state` of the turn's row."""
        self.wake(address.chat_id)
        if state in REACTIONS:
            self.react(address, REACTIONS[state])

    def react(self, address: Address, reaction: Reaction) -> None:
        """React to the user's message when the rate limit allows; nothing depends on it."""
        sender = self._sender(address.chat_id) if self._reactions else None
        if sender:
            sender.react(address.message_id, reaction)

    def answer_callback(self, callback_id: str, toast: str | None) -> None:
        """End the spinner on a pressed button, showing `toast` if there is one."""
        self._courtesy("answerCallbackQuery", callback_query_id=callback_id, text=toast)

    def show_commands(self, commands: Mapping[str, str]) -> None:
        """Set the commands menu: name -> description."""
        menu = [{"command": name, "description": what} for name, what in commands.items()]
        self._courtesy("setMyCommands", commands=menu)

    async def serve(self) -> None:
        """Find unsent parts without a wake: at the start, when a place becomes free, every POLL_SECONDS."""
        while True:
            self._rescan.clear()
            try:
                await self._scan()
            except StorageError as error:
                log.warning("delivery.storage_error reason=%s", error)
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes right after the wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._rescan.wait()

    async def flush(self, seconds: float) -> None:
        """Give the senders `seconds` to send what they can, then end them; the outbox keeps the rest."""
        self._flushing = True  # no new senders: one that took a free place now would never be ended
        work = [*(task for _, task in self._senders.values()), *self._courtesies]
        if work:
            await asyncio.wait(work, timeout=seconds)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _scan(self) -> None:
        expired = await self._db.write(sending.expire, self._send_within_seconds)
        if expired:
            log.warning("delivery.expired parts=%s", expired)
        await self._db.write(sending.show_uncertain, self._tools.bot_id)
        chats = await self._db.read(sending.chats, self._tools.bot_id, self._scanned, SENDERS_MAX)
        # Where there are more chats than places, the next scan goes on where this one ended.
        self._scanned = chats[-1] if len(chats) == SENDERS_MAX else BEFORE_ALL
        for chat_id in chats:
            self.wake(chat_id)

    def _words(self, chat_id: ChatId) -> None:
        sender = self._sender(chat_id)
        if sender:
            sender.words()

    def _sender(self, chat_id: ChatId) -> ChatSender | None:
        """Find or start the chat's sender; None while flushing, or when all places are taken.

        The chat is not forgotten then: a sender that ends and frees a place starts a scan.
        """
        if chat_id not in self._senders:
            # One whose turn is still running may have nothing to send for long: it gets an extra place.
            if self._flushing or len(self._senders) >= SENDERS_MAX + self.answers.chats:
                return None
            sender = ChatSender(chat_id, self._tools)
            task = asyncio.create_task(self._run(chat_id, sender), name=f"sender-{chat_id}")
            self._senders[chat_id] = (sender, task)
        return self._senders[chat_id][0]

    async def _run(self, chat_id: ChatId, sender: ChatSender) -> None:
        try:
            await sender.run()
        except Exception:
            log.exception("delivery.sender_crashed chat=%s", chat_id)
        finally:
            # Not in a done callback, which runs later: a wake in between would go to an ended sender.
            del self._senders[chat_id]
            if len(self._senders) >= SENDERS_MAX - 1:
                self._rescan.set()

    def _courtesy(self, method: str, /, **params: object) -> None:
        if len(self._courtesies) >= COURTESIES_MAX:
            return
        task = asyncio.create_task(self._try(method, params))
        self._courtesies.add(task)
        task.add_done_callback(self._courtesies.discard)

    async def _try(self, method: str, params: dict[str, object]) -> None:
        try:
            await self._api.call(method, **params)
        except BotApiError as error:
            log.info("delivery.courtesy_failed method=%s reason=%s", method, error)
