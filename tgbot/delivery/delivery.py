"""Telegram out: a lane for each chat with something to send, and the small courtesies beside them."""

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

POLL_SECONDS = 5.0  # what a lost wake costs at most
LANES_MAX = 256  # chats served at once
BEFORE_ALL = ChatId(-(2**63))
COURTESIES_MAX = 64  # on their way at once; more are dropped
# By the state of the row. What is queued again, or stopped, is received and not worked on.
MARKS = {
    "done": Reaction.DONE,
    "failed": Reaction.FAILED,
    "dropped": Reaction.FAILED,
    "dead": Reaction.FAILED,
    "queued": Reaction.RECEIVED,
    "stopped": Reaction.RECEIVED,
}


class Delivery:
    """One lane (a task) for each chat with something to send; idle chats cost nothing."""

    def __init__(  # noqa: PLR0913 - what it works with, and how it shall show things
        self,
        db: Database,
        api: BotApi,
        bot_id: BotId,
        *,
        rate_limiter: RateLimiter,
        stream: str = "edit",
        receipts: bool = True,
        send_within_seconds: float,
    ) -> None:
        self.answers = LiveAnswers(self._words)
        self._db = db
        self._api = api
        self._tools = Tools(db, api, rate_limiter, self.answers, bot_id, stream, self.wake)
        self._receipts = receipts
        self._send_within_seconds = send_within_seconds
        self._rescan = asyncio.Event()
        self._scanned = BEFORE_ALL
        self._flushing = False
        self._lanes: dict[ChatId, tuple[ChatSender, asyncio.Task[None]]] = {}
        self._courtesies: set[asyncio.Task[None]] = set()

    def wake(self, chat_id: ChatId) -> None:
        """Hint that a chat has something unsent."""
        lane = self._lane(chat_id)
        if lane:
            lane.wake()

    def turn_began(self, turn: Turn) -> None:
        """Show that a turn works: its placeholder, a mark on the question, and its words as they come."""
        self.wake(turn.chat_id)
        self.receipt(turn.address, Reaction.WORKING)

    def turn_ended(self, address: Address, state: str) -> None:
        """Show what it came to, by the state of its row."""
        self.wake(address.chat_id)
        if state in MARKS:
            self.receipt(address, MARKS[state])

    def receipt(self, address: Address, mark: Reaction) -> None:
        """Put a mark on the user's message when there is room; nothing depends on it."""
        lane = self._lane(address.chat_id) if self._receipts else None
        if lane:
            lane.receipt(address.message_id, mark)

    def answer_callback(self, callback_id: str, toast: str | None) -> None:
        """End the button's spinner."""
        self._courtesy("answerCallbackQuery", callback_query_id=callback_id, text=toast)

    def show_commands(self, commands: Mapping[str, str]) -> None:
        """Set the commands menu: name -> description."""
        menu = [{"command": name, "description": what} for name, what in commands.items()]
        self._courtesy("setMyCommands", commands=menu)

    async def serve(self) -> None:
        """Find what no wake told of: at the start, after a full house, and every POLL_SECONDS."""
        while True:
            self._rescan.clear()
            try:
                await self._scan()
            except StorageError as error:
                log.warning("delivery.storage_error reason=%s", error)
            # Not wait_for: Python 3.11's swallows a cancellation that comes right behind the wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._rescan.wait()

    async def flush(self, seconds: float) -> None:
        """Give the lanes `seconds` to send what they can, then end them; the outbox keeps the rest."""
        self._flushing = True  # a lane that ends makes room for another, which nobody would end
        work = [*(task for _, task in self._lanes.values()), *self._courtesies]
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
        chats = await self._db.read(sending.chats, self._tools.bot_id, self._scanned, LANES_MAX)
        # Round and round: with more chats than lanes, each has its turn.
        self._scanned = chats[-1] if len(chats) == LANES_MAX else BEFORE_ALL
        for chat_id in chats:
            self.wake(chat_id)

    def _words(self, chat_id: ChatId) -> None:
        lane = self._lane(chat_id)
        if lane:
            lane.words()

    def _lane(self, chat_id: ChatId) -> ChatSender | None:
        """Find or start the chat's lane; None at the end, and in a full house: a lane's end starts a scan."""
        if chat_id not in self._lanes:
            # A lane whose turn still speaks may have nothing to send for long: it takes nobody's place.
            if self._flushing or len(self._lanes) >= LANES_MAX + self.answers.chats:
                return None
            lane = ChatSender(chat_id, self._tools)
            task = asyncio.create_task(self._run(chat_id, lane), name=f"lane-{chat_id}")
            self._lanes[chat_id] = (lane, task)
        return self._lanes[chat_id][0]

    async def _run(self, chat_id: ChatId, lane: ChatSender) -> None:
        try:
            await lane.run()
        except Exception:
            log.exception("delivery.lane_crashed chat=%s", chat_id)
        finally:
            # Here and not in a callback, which comes later: a wake in between would go to an ended lane.
            del self._lanes[chat_id]
            if len(self._lanes) >= LANES_MAX - 1:
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
