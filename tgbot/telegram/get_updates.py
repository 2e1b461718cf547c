"""Pure: reads updates one by one, of getUpdates or a post, so that an unreadable one harms only itself."""

import contextlib
import json
from hashlib import sha256
from typing import NamedTuple

from tgbot.model import BotId, Raw, Unreadable, Update
from tgbot.telegram import updates
from tgbot.telegram.split import elements, members

RAW_CHARACTERS_MAX = 100_000  # how much of an unreadable update is kept
_LEVELS = 5  # the deepest value needed: update, callback_query, message, chat, id


class Unparsed(NamedTuple):
    """An update that `json` cannot parse, or without a usable id; `rest` is the part that could be parsed."""

    text: str
    rest: Raw


def read(payload: bytes) -> object:
    """Parse a whole answer; None if it is not one.

    Each of its updates is a dict with a usable id, or Unparsed.
    """
    text = payload.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return _update_by_update(text)
    return _update_by_update(text) if _has_unusable(answer) else answer


def one(payload: bytes) -> Raw | Unparsed:
    """Parse the body of a webhook's post: an update with a usable id, or Unparsed."""
    return _item(payload.decode("utf-8", "replace"))


def update_id(item: Raw | Unparsed) -> int | None:
    """Find the id that Telegram gave an update; None if it has none that can be stored and confirmed."""
    return updates.update_id(item.rest if isinstance(item, Unparsed) else item)


def unreadable(bot_id: BotId, item: Raw | Unparsed) -> Unreadable:
    """Make the arrival for an update that cannot be understood."""
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
    """Parse what can be parsed, `levels` deep; None stands for the rest."""
    if not levels:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    with contextlib.suppress(ValueError):
        return {name: _readable(member, levels - 1) for name, member in members(text).items()}
    return None


def _made_up_id(text: str) -> int:
    """Derive an id from the text, so that the update is recognized when it comes again.

    It is smaller than every id from Telegram, and than every one that `store/inbox.py` makes of an old one.
    """
    return -(2**62) - int.from_bytes(sha256(text.encode()).digest()[:8]) // 4


def _encoded(raw: Raw) -> str:
    try:
        return json.dumps(raw)
    except RecursionError:
        return "nested too deep to be stored"
