"""Pure: the answer to getUpdates, update by update, so that one that cannot be read harms itself only."""

import contextlib
import json
from hashlib import sha256
from typing import NamedTuple

from tgbot.model import BotId, Raw, Unreadable, Update
from tgbot.telegram import updates
from tgbot.telegram.split import elements, members

RAW_CHARACTERS_MAX = 100_000  # how much is kept of what nobody can read
_LEVELS = 5  # an update, its callback_query, the message of that, its chat, and the id


class Unparsed(NamedTuple):
    """An update that JSON cannot parse, or that has no usable id; `rest` is what of it could be parsed."""

    text: str
    rest: Raw


def read(payload: bytes) -> object:
    """Parse the whole answer; None if it is none.

    Each of its updates is a dict with a usable id, or Unparsed.
    """
    text = payload.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return _update_by_update(text)
    return _update_by_update(text) if _has_unusable(answer) else answer


def update_id(item: Raw | Unparsed) -> int | None:
    """Find the id that Telegram gave it; None if it has none that can be stored and confirmed."""
    return updates.update_id(item.rest if isinstance(item, Unparsed) else item)


def unreadable(bot_id: BotId, item: Raw | Unparsed) -> Unreadable:
    """Make the arrival of an update that cannot be understood."""
    text, rest = item if isinstance(item, Unparsed) else (_encoded(item), item)
    known_id = updates.update_id(rest)
    stored_id = _made_up_id(text) if known_id is None else known_id
    return Unreadable(Update(bot_id, stored_id, text[:RAW_CHARACTERS_MAX]), *updates.where(rest))


def _has_unusable(answer: object) -> bool:
    result = answer.get("result") if isinstance(answer, dict) else None
    return isinstance(result, list) and any(updates.update_id(raw) is None for raw in result)


def _update_by_update(text: str) -> object:
    try:
        parts = members(text)
        if parts["ok"] != "true":
            return None
        return {"ok": True, "result": [_item(element) for element in elements(parts["result"])]}
    except (KeyError, ValueError, RecursionError):
        return None


def _item(text: str) -> Raw | Unparsed:
    raw: Raw | None = None
    with contextlib.suppress(ValueError, RecursionError):
        raw = json.loads(text)
    if raw is not None and updates.update_id(raw) is not None:
        return raw
    rest = _readable(text, _LEVELS)
    return Unparsed(text, rest if isinstance(rest, dict) else {})


def _readable(text: str, levels: int) -> object:
    """Parse what can be parsed, so many levels deep; None stands for the rest."""
    if not levels:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    with contextlib.suppress(ValueError):
        return {name: _readable(member, levels - 1) for name, member in members(text).items()}
    return None


def _made_up_id(text: str) -> int:
    """Make an id out of the text, so that it is known when it comes again.

    It is below all that Telegram gives and all that `inbox.forget_old_ids` gives.
    """
    return -(2**62) - int.from_bytes(sha256(text.encode()).digest()[:8]) // 4


def _encoded(raw: Raw) -> str:
    try:
        return json.dumps(raw)
    except RecursionError:
        return "nested too deep to be stored"
