"""Limits what one user may send: messages a minute, turns a day. Who reaches one hears so once."""

from collections.abc import Iterator
from dataclasses import dataclass

from tgbot.model import BotId, UserId
from tgbot.store import allowances
from tgbot.store.allowances import Span
from tgbot.store.engine.connection import Connection

TEXTS: dict[Span, str] = {
    "minute": (
        "I take no more than {} from you in a minute, so I did not take this one. Send it again in a minute."
    ),
    "day": "I take no more than {} from you in a day, so I did not take this one. Come back tomorrow (UTC).",
}
TOASTS: dict[Span, str] = {
    "minute": "I take no more than {} from you in a minute. Press it again in a minute.",
    "day": "I take no more than {} from you in a day. Press it again tomorrow (UTC).",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many messages a minute, and turns a day, one user may have; None: as many as they like."""

    minute_messages_max: int | None = None
    day_turns_max: int | None = None

    @property
    def spans(self) -> Iterator[tuple[Span, int]]:
        """Give those that are limited, each with its most."""
        if self.minute_messages_max is not None:
            yield "minute", self.minute_messages_max
        if self.day_turns_max is not None:
            yield "day", self.day_turns_max


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that is over a limit; `text` is what its sender hears, None if they have heard it.

    `toast` is for a button that would run one.
    """

    text: str | None
    toast: str


def take(conn: Connection, bot_id: BotId, limits: Limits, user_id: UserId) -> Refusal | None:
    """Count a message that is to run, unless a limit refuses it."""
    for span, most in limits.spans:
        number = allowances.count(conn, bot_id, user_id, span)
        if number > most:
            messages = "1 message" if most == 1 else f"{most} messages"
            text = TEXTS[span].format(messages) if number == most + 1 else None
            return Refusal(text, TOASTS[span].format(messages))
    return None
