"""Finds the comments on forwarded messages in a batch: a comment is a message by itself, sent before them."""

import json
from collections.abc import Sequence
from dataclasses import replace

from tgbot import together
from tgbot.model import COMMAND, Arrival, Message, Raw, SessionKey, UserId


def with_comments(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Let a comment wait for what was forwarded with it: give it the same join key.

    What comes in another batch is joined only if the comment waits anyway: nobody should wait a second for
    the answer to each text, only because something might be forwarded after it.
    """
    found = list(arrivals)
    last: dict[tuple[SessionKey, UserId], int] = {}  # the place of what each sender sent last
    for place, message in enumerate(arrivals):
        if not isinstance(message, Message):
            continue
        before = last.get((message.address.session_key, message.address.user_id))
        if before is not None and together.is_of_forwarded(message.join_key):
            found[before] = _as_comment(found[before], message)
        last[message.address.session_key, message.address.user_id] = place
    return found


def _as_comment(before: Arrival, forwarded: Message) -> Arrival:
    if not isinstance(before, Message) or before.join_key is not None:
        return before
    comment = _message(before)
    if COMMAND.match(comment.get("text") or "") or not together.comments(comment, _message(forwarded)):
        return before
    return replace(before, join_key=forwarded.join_key)


def _message(message: Message) -> Raw:
    raw: Raw = json.loads(message.update.raw)["message"]
    return raw
