"""Pure: whether a message in a group is for the bot, and its text without the bot's name."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from struct import unpack
from typing import Any, NamedTuple

from tgbot.model import BotId, Raw, whole

Entity = dict[str, Any]

_FIELDS = (("text", "entities"), ("caption", "caption_entities"))
_SPACES = " \t\xa0"
_ENDS = re.compile(r"[.,;:!?)\n]|$")
_BEHIND = re.compile(rf"[,:;]?[{_SPACES}]*")  # what only went with the name: "@bot, what is it?"


class Me(NamedTuple):
    """The bot itself; `username` is None until getMe was answered."""

    bot_id: BotId
    username: str | None

    def is_named_by(self, entity: Entity, units: str) -> bool:
        """Whether an entity of a text is a name of this bot."""
        if entity["type"] == "text_mention":
            return bool(entity["user"]["id"] == self.bot_id)
        name = units[entity["offset"] + 1 : entity["offset"] + entity["length"]]  # behind the @
        return entity["type"] == "mention" and name.lower() == (self.username or "").lower()


def mentions(me: Me, message: Raw) -> bool:
    """Whether a message has the bot's name in it.

    While the username is not known, any name may be the bot's: a turn too many does no harm, a question that
    nobody answers does.
    """
    entities = (entity for _, marks in _FIELDS for entity in message.get(marks, ()))
    if me.username is None and any(entity["type"] == "mention" for entity in entities):
        return True
    return any(_names(me, message, *field) for field in _FIELDS)


def replies_to(bot_id: BotId, message: Raw) -> bool:
    """Whether a message is a reply to one of the bot's."""
    target = message.get("reply_to_message", {})
    # In a topic that the bot made, whatever replies to nothing has a reply to the topic's beginning.
    return "forum_topic_created" not in target and target.get("from", {}).get("id") == bot_id


def without_name(me: Me, message: Raw) -> Raw:
    """Take the bot's name out of the text or caption, with one of the spaces around it.

    The message itself where there is none, or where its text is nothing else.
    """
    for words, marks in _FIELDS:
        if names := _names(me, message, words, marks):
            message = {**message, **_cut(message, words, marks, names)}
    return message


def _names(me: Me, message: Raw, words: str, marks: str) -> list[range]:
    """Find the bot's names, in UTF-16 units, which entities are counted in."""
    entities = message.get(marks, ())
    units = _units(message.get(words, "")) if entities else ""
    named = (entity for entity in entities if me.is_named_by(entity, units))
    return [range(entity["offset"], entity["offset"] + entity["length"]) for entity in named]


def _cut(message: Raw, words: str, marks: str, names: Iterable[range]) -> Raw:
    units = _units(message[words])
    kept = _kept(units, {at for name in names for at in _with_space(units, name)})
    if not kept and words == "text":
        return {}
    text = whole("".join(units[at] for at in kept))
    return {words: text, marks: [moved for entity in message[marks] if (moved := _moved(entity, kept))]}


def _with_space(units: str, name: range) -> range:
    """Extend a name by the space before it, or by what is behind it where its line begins with it."""
    left = units[: name.start].rstrip(_SPACES)
    if len(left) < name.start and left.rpartition("\n")[2]:
        if _ENDS.match(units, name.stop):  # "what is it, @bot?"
            left = left.removesuffix(",")
        return range(len(left), name.stop)
    behind = _BEHIND.match(units, name.stop)
    return range(name.start, behind.end() if behind else name.stop)


def _kept(units: str, gone: set[int]) -> list[int]:
    """List the places of the units that are left, without white space at both ends."""
    kept = [at for at in range(len(units)) if at not in gone]
    left = "".join(units[at] for at in kept)
    return kept[len(left) - len(left.lstrip()) : len(left.rstrip())]


def _moved(entity: Entity, kept: Sequence[int]) -> Entity | None:
    """Move an entity to where its text is now; None if nothing of it is left."""
    offset = bisect_left(kept, entity["offset"])
    end = bisect_left(kept, entity["offset"] + entity["length"])
    return {**entity, "offset": offset, "length": end - offset} if offset < end else None


def _units(text: str) -> str:
    """Split a text into UTF-16 units, a character each."""
    data = text.encode("utf-16-le", "surrogatepass")
    return "".join(map(chr, unpack(f"<{len(data) // 2}H", data)))
