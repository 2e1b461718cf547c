"""Works through one chat: parts in order, and in spare time the words of running turns and reactions."""

import asyncio
import contextlib
import logging

from tgbot.delivery.backoff import Backoff
from tgbot.delivery.commits import Commits
from tgbot.delivery.deliver import Deliverer
from tgbot.delivery.preview import Previews
from tgbot.delivery.reactions import Reactions
from tgbot.delivery.tools import Tools
from tgbot.model import ChatId, MessageId, Part, PartId, RowId
from tgbot.store import settling
from tgbot.store.engine.errors import StorageError
from tgbot.telegram.errors import BotApiError, FloodedError
from tgbot.telegram.rate_limit import Priority
from tgbot.turns.answer import Reaction

log = logging.getLogger(__name__)

STALE_SECONDS = 0.1  # a part that was read longer ago than this is read again before it is sent
PATIENT_SECONDS = 5.0  # a longer wait is not spent here: the chat gives up its place and comes back


class ChatSender:
    """Sends to one chat. `run` returns when nothing is left to do, or after how long to call it again."""

    def __init__(self, chat_id: ChatId, tools: Tools) -> None:
        self.yields = False  # only a notice waits, and whatever else comes goes before it
        self._chat_id = chat_id
        self._tools = tools
        self._commits = Commits(tools.db, tools.owner, chat_id)
        self._reactions = Reactions(chat_id)
        self._deliverer = Deliverer(chat_id, tools, self._commits, self._reactions)
        self._previews = Previews(chat_id, tools, self._commits)
        self._backoff = Backoff()  # while the database refuses
        self._news = asyncio.Event()  # something may be unsent, or a running turn has said more
        self._looks: dict[int, settling.SecondLook] = {}
        self._resting = False  # a preview was shown just now: new words can wait

    @property
    def muted(self) -> bool:
        """Whether the bot may not write here just now."""
        return self._deliverer.muted

    def alive(self) -> None:
        """Hint that the bot may write here again."""
        self._deliverer.muted = False

    def wake(self) -> None:
        """Hint that the outbox has something for this chat."""
        self._commits.hint()
        self._news.set()

    def offer(self, part: Part) -> None:
        """Give the part that was stored as `sending` just now; only a hint, like `wake`."""
        self._commits.offer(part)
        self._news.set()

    def words(self) -> None:
        """Hint that a running turn has said more."""
        if not self._resting:
            self._news.set()

    def look_again(self, look: settling.SecondLook) -> None:
        """Have a second look when there is time; forgotten looks are due again at the next scan."""
        self._looks[look.look_id] = look
        self._news.set()

    def react(self, message_id: MessageId, reaction: Reaction | None, part_id: PartId | None = None) -> None:
        """React to somebody's message when there is time; `part_id` is the part that made it due."""
        self._reactions.add(message_id, reaction, part_id)
        self._news.set()

    def react_when_shown(self, row_id: RowId, message_id: MessageId, reaction: Reaction) -> None:
        """React to the question of this row when all of its answer is on screen."""
        self._deliverer.react_when_shown(row_id, message_id, reaction)

    async def run(self) -> float | None:
        """Work until nothing is left to send and no running turn has more to say."""
        self._commits.may_leave()  # while it rested, another worker may have taken the chat
        while True:
            self._news.clear()
            try:
                part = await self._commits.next()
                later = await self._deliver_in_time(part) if part else None
                wait_seconds = 0.0 if part else await self._spare_time()
            except StorageError as error:
                log.warning("delivery.storage_error chat=%s reason=%s", self._chat_id, error)
                self._commits.hint()
                return self._backoff.failed(asyncio.get_running_loop().time())
            self._backoff.succeeded()
            if later is not None:
                self._commits.hint()
                return later
            if wait_seconds is None and not self._news.is_set():
                return None
            if not part:
                await self._rest(wait_seconds or 0.0)

    async def _deliver_in_time(self, part: Part) -> float | None:
        """Wait for the rate limit, then deliver; returns after how many seconds to come back, if not now."""
        self.yields = part.kind in {"notice", "card"} and part.state != "unknown"
        if self.yields:
            wait_seconds = self._tools.rate_limiter.try_notice(self._chat_id)
            return wait_seconds or await self._deliverer.deliver(part)
        wait_seconds = self._tools.rate_limiter.ready_in(self._chat_id)
        if wait_seconds > PATIENT_SECONDS:
            return wait_seconds
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        if part.state != "unknown":  # a settling asks for each of its requests
            await self._tools.rate_limiter.acquire(self._chat_id, _priority(part))
        if loop.time() - asked_at < STALE_SECONDS:
            return await self._deliverer.deliver(part)
        self._commits.hint()  # by now it may be rewritten, too old, or not the next any more
        fresh = await self._commits.next()
        return await self._deliverer.deliver(fresh) if fresh else None

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

        Returns how many seconds to wait before the next one, None if there is none. Raises StorageError.
        """
        for look in [] if self._commits.waiting else [*self._looks.values()][:1]:
            if await self._deliverer.look_again(look):
                del self._looks[look.look_id]
        preview = await self._previews.step()
        if self._looks:
            return 0.0
        message_id = self._reactions.next(streaming=self._previews.streaming)
        if message_id is None or self._commits.waiting:  # the answer may have come meanwhile
            return preview
        reaction = await self._react(message_id)
        return reaction if preview is None else min(preview, reaction)

    async def _react(self, message_id: MessageId) -> float:
        """React to one message if the rate limit allows it now; returns how many seconds to wait."""
        if not self._tools.rate_limiter.try_acquire(self._chat_id):
            return max(0.1, self._tools.rate_limiter.wait_seconds(self._chat_id))
        try:
            part_id = await self._reactions.show(self._tools.api, message_id)
            self._tools.reacted.update([part_id] if part_id else [])
        except FloodedError as error:
            self._tools.flooded(self._chat_id, error)
        except BotApiError as error:
            log.info("delivery.reaction_failed chat=%s reason=%s", self._chat_id, error)
        return 0.0


def _priority(part: Part) -> Priority:
    if part.kind in {"reply", "surplus"}:
        return Priority.CONTROL
    return Priority.ANSWER if part.ready_at is not None else Priority.GROWING
