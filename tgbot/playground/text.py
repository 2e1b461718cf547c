"""Text as Telegram takes it: UTF-16 lengths, trimming, entities checked and detected. Pure functions."""

import re
from bisect import bisect_left
from typing import Any

from tgbot.playground.errors import bad_request

TEXT_UNITS_MAX = 4096  # https://core.telegram.org/bots/api#sendmessage
CAPTION_UNITS_MAX = 1024  # https://core.telegram.org/bots/api#sendphoto
ENTITIES_MAX = (
    100  # https://core.telegram.org/bots/api#formatting-options (more are ignored there, refused here)
)

COMMAND = re.compile(r"[a-z0-9_]{1,32}")  # https://core.telegram.org/bots/api#botcommand
COMMAND_DESCRIPTION_MAX = 256

# type -> the fields it takes beside type, offset and length; https://core.telegram.org/bots/api#messageentity
ENTITY_FIELDS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"),
        frozenset[str](),
    ),
    **dict.fromkeys(("bold", "italic", "underline", "strikethrough", "spoiler", "code"), frozenset[str]()),
    **dict.fromkeys(("blockquote", "expandable_blockquote"), frozenset[str]()),
    "pre": frozenset({"language"}),
    "text_link": frozenset({"url"}),
    "text_mention": frozenset({"user"}),
    "custom_emoji": frozenset({"custom_emoji_id"}),
    "date_time": frozenset({"unix_time", "date_time_format"}),
}
_REQUIRED_FIELD = {"text_link": "url", "text_mention": "user", "custom_emoji": "custom_emoji_id"}
_CODE = ("pre", "code")
_QUOTES = ("blockquote", "expandable_blockquote")

# As Telegram's own text code does it, seen by giving it every character.
_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f]")
_DROPPED = re.compile(r"[\r\u030a\u0333\u033f\u2028-\u202e]")

# What Telegram marks by itself. The look-arounds keep "a/b" and "x@y" from being a command or a mention.
_DETECTED = (
    ("url", re.compile(r"(?<![\w@/.])https?://[^\s<>\"]+[^\s<>\".,:;!?')\]]", re.ASCII)),
    ("email", re.compile(r"(?<![\w.@])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}(?![\w@])", re.ASCII)),
    (
        "bot_command",
        re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32}(?![\w/<>])|(?![\w/<>@]))"),
    ),
    ("mention", re.compile(r"(?<!\w)@[A-Za-z0-9_]{4,32}(?!\w)")),
    ("hashtag", re.compile(r"(?<!\w)#(?=\w*[^\W\d_])\w{1,256}+(?![\w#])(?:@[A-Za-z0-9_]{3,32}+)?+(?!#)")),
)

Entity = dict[str, Any]


def units(text: str) -> int:
    """Return the length of `text` in UTF-16 units, Telegram's measure."""
    return len(text.encode("utf-16-le")) // 2


def formatted(text: str, entities: list[Entity], units_max: int, too_long: str) -> tuple[str, list[Entity]]:
    """Return text and entities as Telegram would keep them, or refuse them in its words."""
    _check_encoding(text)
    check_entities(text, entities)
    text, entities = trim(*clean(text, entities))
    if units(text) > units_max:
        raise bad_request(too_long)
    return text, detect(text, entities)


def _check_encoding(text: str) -> None:
    """Refuse a lone surrogate, which a JSON escape can carry but UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise bad_request("strings must be encoded in UTF-8") from error


def check_entities(text: str, entities: list[Entity]) -> None:
    """Refuse entities that Telegram refuses, and those that it would silently repair or ignore."""
    if len(entities) > ENTITIES_MAX:
        raise _cannot_parse(f"{len(entities)} entities, Telegram ignores those after {ENTITIES_MAX}")
    boundaries = _boundaries(text)
    for entity in entities:
        _check_fields(entity)
        _check_bounds(entity, boundaries)
    _check_nesting(sorted(entities, key=_outer_first))


def _cannot_parse(reason: str) -> Exception:
    return bad_request(f"can't parse entities: {reason}")


def _boundaries(text: str) -> set[int]:
    """Return the UTF-16 offsets between characters: an entity may begin and end at these only."""
    offsets, offset = {0}, 0
    for character in text:
        offset += 2 if ord(character) > 0xFFFF else 1  # noqa: PLR2004  the end of the basic plane
        offsets.add(offset)
    return offsets


def _check_fields(entity: Entity) -> None:
    kind = entity.get("type")
    if not isinstance(kind, str) or kind not in ENTITY_FIELDS:
        raise _cannot_parse(f'entity type "{kind}" is unknown')
    unknown = entity.keys() - ENTITY_FIELDS[kind] - {"type", "offset", "length"}
    if unknown:
        raise _cannot_parse(f'entity "{kind}" has no field "{min(unknown)}"')
    if _REQUIRED_FIELD.get(kind, "type") not in entity:
        raise _cannot_parse(f'entity "{kind}" needs the field "{_REQUIRED_FIELD[kind]}"')


def _check_bounds(entity: Entity, boundaries: set[int]) -> None:
    offset, length = entity.get("offset"), entity.get("length")
    if type(offset) is not int or type(length) is not int or offset < 0 or length < 1:
        raise _cannot_parse("an entity needs an offset of at least 0 and a length of at least 1")
    # The words of Telegram's own text parser.
    begins, end = f"Entity beginning at UTF-16 offset {offset}", offset + length
    if end > max(boundaries):
        raise bad_request(f"{begins} ends after the end of the text at UTF-16 offset {end}")
    if offset not in boundaries:
        raise bad_request(f"{begins} begins in a middle of a UTF-16 symbol")
    if end not in boundaries:
        raise bad_request(f"{begins} ends in a middle of a UTF-16 symbol at UTF-16 offset {end}")


def _outer_first(entity: Entity) -> tuple[int, int]:
    return entity["offset"], -entity["length"]


def _end(entity: Entity) -> int:
    return int(entity["offset"] + entity["length"])


def _check_nesting(entities: list[Entity]) -> None:
    """Refuse partial overlaps, anything inside code, a quote inside a quote."""
    around: list[Entity] = []
    for entity in entities:
        while around and _end(around[-1]) <= entity["offset"]:
            around.pop()
        if around and _end(entity) > _end(around[-1]):
            raise _cannot_parse(f"entities {around[-1]['type']} and {entity['type']} overlap")
        for outer in around:
            _check_pair(outer, entity)
        around.append(entity)


def _check_pair(outer: Entity, inner: Entity) -> None:
    same_span = _outer_first(outer) == _outer_first(inner)
    if outer["type"] in _CODE and not same_span:
        raise _cannot_parse(f"{outer['type']} can't contain {inner['type']}")
    if outer["type"] in _QUOTES and inner["type"] in _QUOTES:
        raise _cannot_parse("a block quotation can't contain another")


def clean(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Make control characters spaces, and take out those that Telegram drops; entities move along."""
    text = _CONTROL.sub(" ", text)
    dropped = [units(text[: match.start()]) for match in _DROPPED.finditer(text)]
    if not dropped:
        return text, entities
    moved = []
    for entity in entities:
        offset, end = (at - bisect_left(dropped, at) for at in (entity["offset"], _end(entity)))
        if offset < end:
            moved.append({**entity, "offset": offset, "length": end - offset})
    return _DROPPED.sub("", text), moved


def trim(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Strip white space at both ends and move, shorten or drop the entities accordingly."""
    stripped = text.strip()
    start = units(text[: len(text) - len(text.lstrip())]) if stripped else 0
    end = start + units(stripped)
    kept = []
    for entity in entities:
        begin, finish = max(entity["offset"], start), min(_end(entity), end)
        if begin < finish:
            kept.append({**entity, "offset": begin - start, "length": finish - begin})
    return stripped, kept


def detect(text: str, entities: list[Entity]) -> list[Entity]:
    """Return `entities` plus the links, commands, mentions ... that Telegram marks by itself, outer first."""
    found = list(entities)
    taken = [(e["offset"], _end(e)) for e in entities if e["type"] in (*_CODE, "text_link", "text_mention")]
    for kind, pattern in _DETECTED:
        for match in pattern.finditer(text):
            offset = units(text[: match.start()])
            end = offset + units(match.group())
            if all(end <= begin or offset >= finish for begin, finish in taken):
                taken.append((offset, end))
                found.append({"type": kind, "offset": offset, "length": end - offset})
    return sorted(found, key=_outer_first)
