"""Sends to Telegram: one sender for each chat with something to send, and small courtesies beside them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping

from tgbot.delivery.cards import Cards
from tgbot.delivery.sender import ChatSender
from tgbot.delivery.tools import Tools
from tgbot.model import Address, ChatId, Owner, Part, RowId, Turn
from tgbot.store import expiry, files, interrupted, reactions, sending, settling, workers
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
# By the state of the row: when its answer is on screen.
VERDICTS = {
    "done": Reaction.DONE,
    "failed": Reaction.FAILED,
    "dropped": Reaction.FAILED,
    "dead": Reaction.FAILED,
}
# At once. A row that is queued again is received but not worked on; one that was stopped, or waits for an
# answer, is neither.
REACTIONS = {"queued": Reaction.RECEIVED, "stopped": None, "asking": None}


class Delivery:
    """Runs one sender (a task) for each chat with something to send; idle chats cost nothing.

    A chat that has to wait (a penalty, no connection) holds no place: it comes back at its time. `stream` is
    edit, draft or off (TGBOT_STREAM); `cuts`, whether a long answer grows part by part; `receipts`, whether
    to react to the user's messages (TGBOT_RECEIPTS); answers that could not be sent within
    `send_within_seconds` are parked.
    """

    def __init__(  # noqa: PLR0913 - what it works with, and how it shows things
        self,
        db: Database,
        api: BotApi,
        owner: Owner,
        *,
        rate_limiter: RateLimiter,
        stream: str = "edit",
        cuts: bool = True,
        receipts: bool = True,
        send_within_seconds: float,
    ) -> None:
        self.answers = LiveAnswers(self._words)
        self.cards = Cards(db, self.wake)
        self._me = owner.instance_id
        self._db = db
        self._api = api
        self._tools = Tools(db, api, rate_limiter, self.answers, owner, stream, cuts, receipts, self.wake)
        self._send_within_seconds = send_within_seconds
        # A clock that is set while the process runs must not make an answer old.
        self._clock_offset = time.time() - time.monotonic()
        self._rescan = asyncio.Event()
        self._scanned = BEFORE_ALL
        self._flushing = False
        self._senders: dict[ChatId, tuple[ChatSender, asyncio.Task[None]]] = {}
        self._resting: dict[ChatId, tuple[ChatSender, asyncio.TimerHandle]] = {}
        self._courtesies: set[asyncio.Task[None]] = set()

    def wake(self, chat_id: ChatId) -> None:
        """Hint that a chat has something unsent."""
        sender = self._sender(chat_id)
        if sender:
            sender.wake()

    def alive(self, chat_id: ChatId) -> None:
        """Hint that somebody wrote or changed something in a chat, so that the bot may write there again."""
        resting = self._resting.get(chat_id)
        if resting and resting[0].muted:
            self._return(chat_id)
        elif chat_id in self._senders:
            self._senders[chat_id][0].alive()

    def turn_began(self, turn: Turn) -> None:
        """Show that a turn works: a reaction to the question, "typing", its words as they come."""
        self._words(turn.chat_id)
        self.react(turn.address, Reaction.WORKING)
        self.cards.moved_on(turn.session_key)

    def turn_ended(self, address: Address, row_id: RowId, state: str, part: Part | None = None) -> None:
        """Send the answer, and react by the `state` of the turn's row when it is on screen."""
        self.cards.moved_on(address.session_key)
        if part is not None and part.chat_id != address.chat_id:
            # The chat moved during the turn. Its new sender has the part, and there the id of the question
            # means another message.
            self.wake(part.chat_id)
            return
        sender = self._sender(address.chat_id)
        if sender is None:
            return
        if part is None:
            sender.wake()
        else:
            sender.offer(part)
        if self._tools.receipts and state in VERDICTS:
            sender.react_when_shown(row_id, address.message_id, VERDICTS[state])
        elif state in REACTIONS:
            self.react(address, REACTIONS[state])

    def react(self, address: Address, reaction: Reaction | None) -> None:
        """React to the user's message when the rate limit allows; nothing depends on it."""
        sender = self._sender(address.chat_id) if self._tools.receipts else None
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
        try:
            await self._begin()
        except StorageError as error:
            log.warning("delivery.storage_error reason=%s", error)
        while True:
            self._rescan.clear()
            try:
                await self._scan()
            except StorageError as error:
                log.warning("delivery.storage_error reason=%s", error)
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes right after the event is set.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._rescan.wait()

    async def _begin(self) -> None:
        """Make up for what an earlier process left: reactions that are due."""
        for one in (
            await self._db.read(reactions.due, self._tools.bot_id, self._me) if self._tools.receipts else []
        ):
            shown = Reaction.FAILED if one.part_state == "parked" else VERDICTS.get(one.row_state)
            if sender := self._sender(one.chat_id):
                sender.react(one.message_id, shown, one.part_id)

    async def flush(self, seconds: float) -> None:
        """Give the senders `seconds` to send what they can, then end them; the outbox keeps the rest."""
        self._flushing = True  # no new senders: one that took a free place now would never be ended
        for _, timer in self._resting.values():
            timer.cancel()
        work = [*(task for _, task in self._senders.values()), *self._courtesies]
        if work:
            await asyncio.wait(work, timeout=seconds)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        with contextlib.suppress(StorageError):  # then the next process settles what was not even sent
            await self._db.write(interrupted.not_begun, self._tools.under_way, self._me)
            await self._note_reactions()

    async def _scan(self) -> None:
        now = self._clock_offset + time.monotonic()
        bot_id = self._tools.bot_id
        expired = await self._db.write(expiry.expire, bot_id, now - self._send_within_seconds)
        if expired:
            log.warning("delivery.expired chats=%s", expired)
        await self._db.write(interrupted.show_uncertain, bot_id)
        await self._note_reactions()
        for chat in await self._db.read(workers.idle_chats, self._me) if self._db.shared else ():
            if chat.chat_id not in self._senders:
                with contextlib.suppress(StorageError):  # the next scan comes back to it
                    await self._db.write(workers.leave_chat, self._me, chat)
        if await self._db.read(files.has_unused):
            while await self._db.write(files.discard_unused):
                pass
        looks = await self._db.read(settling.second_looks, bot_id, time.time(), self._me)
        for over in self._tools.looked.keys() - {look.look_id for look in looks}:
            del self._tools.looked[over]  # another worker made it
        for look in looks:
            if sender := self._sender(look.chat_id):
                sender.look_again(look)
        chats = await self._db.read(sending.chats, bot_id, self._scanned, SENDERS_MAX, self._me)
        # Where there are more chats than places, the next scan goes on where this one ended.
        self._scanned = chats[-1] if len(chats) == SENDERS_MAX else BEFORE_ALL
        for chat_id in chats:
            self.wake(chat_id)

    async def _note_reactions(self) -> None:
        """Note which reactions are on screen, many at once: a lost note costs one request at a start."""
        noted = set(self._tools.reacted)
        if noted:
            await self._db.write(reactions.shown, noted)
            self._tools.reacted.difference_update(noted)

    def _words(self, chat_id: ChatId) -> None:
        sender = self._sender(chat_id)
        if sender:
            sender.words()

    def _sender(self, chat_id: ChatId) -> ChatSender | None:
        """Find or start the chat's sender; None while flushing, or when all places are taken.

        The chat is not forgotten then: a sender that ends and frees a place starts a scan. A sender that
        rests takes what it is given, and comes back at its time.
        """
        if chat_id in self._resting:
            sender, _ = self._resting[chat_id]
            if sender.yields:
                self._return(chat_id)
            return sender
        if chat_id not in self._senders:
            # One whose turn is still running may have nothing to send for long: it gets an extra place.
            if self._flushing or len(self._senders) >= SENDERS_MAX + self.answers.chats:
                return None
            self._start(chat_id, ChatSender(chat_id, self._tools))
        return self._senders[chat_id][0]

    def _start(self, chat_id: ChatId, sender: ChatSender) -> None:
        task = asyncio.create_task(self._run(chat_id, sender), name=f"sender-{chat_id}")
        self._senders[chat_id] = (sender, task)

    async def _run(self, chat_id: ChatId, sender: ChatSender) -> None:
        rest_seconds: float | None = None
        try:
            rest_seconds = await sender.run()
        except Exception:
            log.exception("delivery.sender_crashed chat=%s", chat_id)
            with contextlib.suppress(StorageError):
                await self._db.write(interrupted.lost_in_chat, self._tools.bot_id, chat_id)
        finally:
            # Not in a done callback, which runs later: a wake in between would go to an ended sender.
            del self._senders[chat_id]
            if rest_seconds is not None and not self._flushing:
                timer = asyncio.get_running_loop().call_later(rest_seconds, self._return, chat_id)
                self._resting[chat_id] = (sender, timer)
            if len(self._senders) >= SENDERS_MAX - 1:
                self._rescan.set()

    def _return(self, chat_id: ChatId) -> None:
        """Let a chat go on whose time has come; without a free place, a scan finds it."""
        sender, timer = self._resting.pop(chat_id)
        timer.cancel()
        if not self._flushing and len(self._senders) < SENDERS_MAX + self.answers.chats:
            self._start(chat_id, sender)

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
