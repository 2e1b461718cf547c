"""The reactions on people's own messages in one chat: what is received, works, is answered or failed."""

import logging

from tgbot.model import ChatId, MessageId, PartId
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import RefusedError
from tgbot.turns.answer import Reaction

log = logging.getLogger(__name__)

WAITING_MAX = 50  # for the rate limit, in one chat; the oldest are dropped


class Reactions:
    """Reactions that wait for their time; nothing depends on them."""

    def __init__(self, chat_id: ChatId) -> None:
        self._chat_id = chat_id
        self._waiting: dict[MessageId, tuple[Reaction | None, PartId | None]] = {}

    def add(self, message_id: MessageId, reaction: Reaction | None, part_id: PartId | None = None) -> None:
        """Let a message have this reaction, or none; it replaces one that still waits.

        `part_id` is the part that made the reaction due.
        """
        self._waiting.pop(message_id, None)  # a newer reaction goes to the end of the queue
        self._waiting[message_id] = reaction, part_id
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]

    def next(self, *, streaming: bool) -> MessageId | None:
        """Choose the oldest; not WORKING while words stream, which already show that a turn works."""
        skipped = (Reaction.WORKING,) if streaming else ()
        return next((one for one, (reaction, _) in self._waiting.items() if reaction not in skipped), None)

    async def show(self, api: BotApi, message_id: MessageId) -> PartId | None:
        """React to one message; returns the part that made it due. Raises BotApiError if it is still due."""
        reaction, part_id = self._waiting.pop(message_id)
        shown = [{"type": "emoji", "emoji": reaction.value}] if reaction else []
        try:
            await api.call("setMessageReaction", chat_id=self._chat_id, message_id=message_id, reaction=shown)
        except (
            RefusedError
        ) as error:  # no reactions here, or the message is gone: so it will be at each start
            log.info("delivery.reaction_refused chat=%s reason=%s", self._chat_id, error)
        return part_id
