"""Pure: reads the Context of a turn from its raw Messages. A field of the wrong type is left out."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from tgbot.model import Raw
from tgbot.turns.context import (
    Attachment,
    AttachmentKind,
    Contact,
    Context,
    Dice,
    Link,
    Location,
    Origin,
    OtherKind,
    Poll,
    Reply,
    User,
    WebAppData,
)
from tgbot.turns.rich_text import rich_text

INTEGER_LIMIT = 2**63
DEGREES_MAX = 180


def context_of(messages: Sequence[Raw]) -> Context:
    """Read what the messages of a turn carry: one, or those of an album in order.

    Whatever a message can have only once is read from the first. Never raises, whatever the fields hold.
    """
    first: Raw = messages[0] if messages else {}
    return Context(
        **_content(messages),
        sender=_sender(first),
        in_group=(_integer(_object(first, "chat"), "id") or 0) < 0,
        overheard=tuple(_clean(line) for line in first.get("overheard", ()) if isinstance(line, str)),
        reply=_reply(first),
        forwarded_from=_origin(_object(first, "forward_origin")),
        via_bot=_user(_object(first, "via_bot")),
        web_app_data=_web_app_data(_object(first, "web_app_data")),
        preview_url=_preview_url(_object(first, "link_preview_options")),
    )


def _content(messages: Sequence[Raw]) -> dict[str, Any]:
    """Read the fields of a Content."""
    first: Raw = messages[0] if messages else {}
    return {
        "files": tuple(file for message in messages for file in _files(message)),
        "links": tuple(link for message in messages for link in _links(message)),
        "rich_text": _clean(rich_text(first.get("rich_message"))),
        "contact": _contact(_object(first, "contact")),
        "location": _location(first),
        "poll": _poll(_object(first, "poll")),
        "dice": _dice(_object(first, "dice")),
        "other": next((kind for kind in get_args(OtherKind) if _object(first, kind)), None),
    }


# -- who --


def _user(raw: Raw) -> User | None:
    if not raw:
        return None
    return User(
        _integer(raw, "id") or 0,
        _text(raw, "first_name"),
        _text(raw, "last_name"),
        _text(raw, "username"),
        _text(raw, "language_code"),
        raw.get("is_bot") is True,
    )


def _sender(message: Raw) -> User:
    """Find who speaks: a chat, by its title, where somebody writes in its name."""
    if chat := _object(message, "sender_chat"):
        return User(_integer(chat, "id") or 0, _text(chat, "title"), username=_text(chat, "username"))
    return _user(_object(message, "from")) or User()


def _origin(raw: Raw) -> Origin | None:
    """Read a MessageOrigin."""
    match raw.get("type"):
        case "user":
            return _of_user(_object(raw, "sender_user"), raw)
        case "hidden_user":
            return Origin("hidden_user", _text(raw, "sender_user_name"), date=_integer(raw, "date"))
        case "chat":
            return _of_chat(_object(raw, "sender_chat"), raw)
        case "channel":
            return _of_chat(_object(raw, "chat"), raw)
    return None


def _author(message: Raw) -> Origin | None:
    """Find who wrote a Message; if it was sent on behalf of a chat, its `from` is made up."""
    on_behalf, sender = _object(message, "sender_chat"), _object(message, "from")
    if on_behalf:
        return _of_chat(on_behalf, message)
    return _of_user(sender, message) if sender else None


def _of_user(raw: Raw, message: Raw) -> Origin:
    user = _user(raw) or User()
    message_id, date = _integer(message, "message_id"), _integer(message, "date")
    return Origin("user", user.name, user.id or None, user.username, message_id=message_id, date=date)


def _of_chat(chat: Raw, message: Raw) -> Origin:
    return Origin(
        "channel" if chat.get("type") == "channel" else "chat",
        _text(chat, "title"),
        _integer(chat, "id"),
        _text(chat, "username"),
        _text(message, "author_signature"),
        _integer(message, "message_id"),
        _integer(message, "date"),
    )


def _reply(message: Raw) -> Reply | None:
    """Read what was replied to, in this chat or another."""
    target, external = _object(message, "reply_to_message"), _object(message, "external_reply")
    # In a topic, a message that replies to nothing has a reply to the topic's beginning.
    if "forum_topic_created" in target or not (target or external):
        return None
    return Reply(
        **_content([target or external]),
        origin=_author(target) if target else _origin(_object(external, "origin")),
        text=_words(target),
        quote=_text(_object(message, "quote"), "text"),
        external=not target,
    )


# -- files --


def _files(message: Raw) -> Iterator[Attachment]:
    for kind in get_args(AttachmentKind):
        if kind == "document" and _object(message, "animation"):
            continue  # the same file again, for clients that do not know animations
        raw = _largest(message) if kind == "photo" else _object(message, kind)
        if file_id := _text(raw, "file_id"):
            yield _attachment(kind, file_id, raw)


def _attachment(kind: AttachmentKind, file_id: str, raw: Raw) -> Attachment:
    diameter = _size(raw, "length")  # of a video note, which is round
    return Attachment(
        kind,
        file_id,
        _text(raw, "file_unique_id"),
        _text(raw, "file_name"),
        _text(raw, "mime_type"),
        _size(raw, "file_size"),
        _size(raw, "width") or diameter,
        _size(raw, "height") or diameter,
        _size(raw, "duration"),
        _text(raw, "emoji"),
    )


def _largest(message: Raw) -> Raw:
    """Find the largest size of a photo."""
    sizes = _objects(message, "photo")
    return max(sizes, key=lambda one: (_size(one, "width") or 0) * (_size(one, "height") or 0), default={})


# -- words --


def _words(message: Raw) -> str:
    return _text(message, "text") or _text(message, "caption")


def _links(message: Raw) -> Iterator[Link]:
    # Offsets count UTF-16 units, of two bytes each.
    units = _words(message).encode("utf-16-le")
    for entity in _objects(message, "entities") or _objects(message, "caption_entities"):
        start, length, url = _size(entity, "offset"), _size(entity, "length"), _text(entity, "url")
        if entity.get("type") == "text_link" and start is not None and length and url:
            words = units[2 * start : 2 * (start + length)].decode("utf-16-le", "replace")
            yield Link(words, url)


def _preview_url(options: Raw) -> str:
    return "" if options.get("is_disabled") else _text(options, "url")


# -- the other kinds --


def _contact(raw: Raw) -> Contact | None:
    phone_number, vcard = _text(raw, "phone_number"), _text(raw, "vcard")
    names = (_text(raw, "first_name"), _text(raw, "last_name"))
    return Contact(phone_number, *names, _integer(raw, "user_id"), vcard) if phone_number else None


def _location(message: Raw) -> Location | None:
    venue = _object(message, "venue")
    point = _object(venue, "location") or _object(message, "location")
    latitude, longitude = _degrees(point, "latitude"), _degrees(point, "longitude")
    if latitude is None or longitude is None:
        return None
    return Location(latitude, longitude, _text(venue, "title"), _text(venue, "address"))


def _poll(raw: Raw) -> Poll | None:
    question = _text(raw, "question")
    options = (_text(option, "text") for option in _objects(raw, "options"))
    return Poll(question, tuple(filter(None, options))) if question else None


def _dice(raw: Raw) -> Dice | None:
    emoji, value = _text(raw, "emoji"), _integer(raw, "value")
    return Dice(emoji, value) if emoji and value is not None else None


def _web_app_data(raw: Raw) -> WebAppData | None:
    data = _text(raw, "data")
    return WebAppData(data, _text(raw, "button_text")) if data else None


# -- one field, if it is of its type --


def _object(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _objects(raw: Raw, name: str) -> list[Raw]:
    values = raw.get(name)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _text(raw: Raw, name: str) -> str:
    value = raw.get(name)
    return _clean(value) if isinstance(value, str) else ""


def _clean(text: str) -> str:
    """Replace lone surrogates, which a JSON escape can carry and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _integer(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    return value if type(value) is int and abs(value) < INTEGER_LIMIT else None  # True is an int, too


def _size(raw: Raw, name: str) -> int | None:
    value = _integer(raw, name)
    return value if value is not None and value >= 0 else None


def _degrees(raw: Raw, name: str) -> float | None:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= DEGREES_MAX else None  # neither NaN nor too large for a float
