"""Follows each message from its receipt to its answer on screen; costs nothing until `follow` is called.

All spans of a message are in one trace, whose id comes from the update alone: so what another process does
after a crash falls into the same one. A span has ids and numbers, no words, names or secrets.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tgbot.model import BotId, Part, Turn

TRACE_BYTES, SPAN_BYTES = 16, 8  # of ids, as OpenTelemetry has them

Value = str | int | float


class Span(NamedTuple):
    """What took from `began_at` to `ended_at` (Unix time in seconds).

    `span_id` is None where no other span names it, `parent_id` None for the whole message.
    """

    name: str
    trace_id: int
    span_id: int | None
    parent_id: int | None
    began_at: float
    ended_at: float
    failed: bool
    attributes: dict[str, Value]


Follower = Callable[[Span], None]
_follower: Follower | None = None


def follow(follower: Follower | None) -> None:
    """Give each span to this function from now on, in whichever thread it ends; None: to nobody."""
    global _follower  # noqa: PLW0603 - there is one of a process, like the tally
    _follower = follower


def received(bot_id: BotId, update_ids: Iterable[int], began_at: float) -> None:
    """Note that updates that turns will run for are on disk."""
    for update_id in update_ids if _follower else ():
        _note("receive", bot_id, update_id, began_at)


def claimed(turn: Turn) -> None:
    """Note that a message has waited until now. What an earlier attempt took was no wait."""
    if _follower and turn.attempt == 1:
        _note("wait", turn.bot_id, turn.update_id, turn.received_at)


def ended(turn: Turn, state: str, began_at: float) -> None:
    """Note that a turn's ending is on disk."""
    if _follower:
        ids: dict[str, Value] = {"row": turn.row_id, "session": turn.session_key, "attempt": turn.attempt}
        _note(
            *("turn", turn.bot_id, turn.update_id, began_at),
            own=str(turn.token),
            failed=state == "failed",
            attributes={**ids, "state": state},
        )


def step(turn: Turn, name: str, began_at: float, *, failed: bool = False, **attributes: Value) -> None:
    """Note that a step within a turn has ended."""
    if _follower:
        where = turn.bot_id, turn.update_id, began_at
        _note(name, *where, within=str(turn.token), failed=failed, attributes=attributes)


def sent(bot_id: BotId, update_id: int, part: Part, began_at: float) -> None:
    """Note that a part of an answer is on screen, and that this is on disk."""
    if _follower:
        attributes: dict[str, Value] = {"row": part.row_id, "part": part.number, "kind": part.kind}
        _note("send", bot_id, update_id, began_at, attributes=attributes)


def answered(bot_id: BotId, update_id: int, received_at: float) -> None:
    """Note that all of an answer is on screen: this is the span that all others are in."""
    if _follower:
        _note("message", bot_id, update_id, received_at, own="", within=None)


def _note(  # noqa: PLR0913 - what a span has
    name: str,
    bot_id: BotId,
    update_id: int,
    began_at: float,
    *,
    own: str | None = None,
    within: str | None = "",
    failed: bool = False,
    attributes: dict[str, Value] | None = None,
) -> None:
    """Give a span that ends now to the follower; `own` and `within` name it and its parent in the trace."""
    if _follower:  # looked at again: another thread may have ended it meanwhile
        message = f"{bot_id}:{update_id}"
        ended_at = max(began_at, time.time())  # the clock may be set back
        ids = _id(message, TRACE_BYTES), _span_id(message, own), _span_id(message, within)
        _follower(Span(name, *ids, began_at, ended_at, failed, attributes or {}))


def _span_id(message: str, name: str | None) -> int | None:
    return None if name is None else _id(f"{message}:{name}", SPAN_BYTES)


def _id(name: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:size])
