"""What every sender works with."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from tgbot.model import BotId, ChatId, MessageId, Owner, PartId
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import FloodedError
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.answer import LiveAnswers

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Looked:
    """How far a second look has come: which ids were asked for, and what has to disappear."""

    asked: set[MessageId] = field(default_factory=set)
    surplus: list[MessageId] = field(default_factory=list)
    newest: MessageId = MessageId(0)  # noqa: RUF009 - a number


@dataclass(frozen=True, slots=True)
class Tools:
    """What every sender works with.

    `stream` is edit, draft or off; `cuts`, whether a long answer grows part by part; `receipts`, whether
    people's messages get reactions; `wake` wakes another chat's sender. `under_way` are the parts of which a
    request is under way; `reacted` those whose reaction is on screen, and not noted in the database yet.
    `looked` is how far second looks have come, by their ids: where many requests fail, one would never end
    that began anew with each sender.
    """

    db: Database
    api: BotApi
    rate_limiter: RateLimiter
    answers: LiveAnswers
    owner: Owner
    stream: str
    cuts: bool
    receipts: bool
    wake: Callable[[ChatId], None]
    under_way: set[PartId] = field(default_factory=set)
    reacted: set[PartId] = field(default_factory=set)
    looked: dict[int, Looked] = field(default_factory=dict)

    @property
    def bot_id(self) -> BotId:
        """Telegram's id of the bot."""
        return self.owner.bot_id

    def flooded(self, chat_id: ChatId, error: FloodedError) -> None:
        """Let a chat wait as long as Telegram asks, whichever request it refused."""
        log.warning("delivery.flooded chat=%s retry_after_seconds=%s", chat_id, error.retry_after_seconds)
        self.rate_limiter.pause(chat_id, error.retry_after_seconds)
