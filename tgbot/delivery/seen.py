"""Counts and traces what is on screen now, for whoever watches from outside."""

import time

from tgbot import tracing
from tgbot.model import BotId, Part
from tgbot.store.sending import Shown
from tgbot.tally import tally

NO_ANSWERS = ("reply", "notice", "card", "ping", "surplus")


def note(bot_id: BotId, part: Part, shown: Shown | None, began_at: float) -> None:
    """Note that a part is on screen since a request that began then; None: its chat has moved meanwhile."""
    if shown is None or part.kind in NO_ANSWERS:
        return
    if part.number == 0 and part.message_id is None:
        tally.first_words_seconds.add(max(0.0, time.time() - shown.received_at))
    tracing.sent(bot_id, shown.update_id, part, began_at)
    if shown.is_all:
        tracing.answered(bot_id, shown.update_id, shown.received_at)
