"""Pure: makes one text for a model from a message's text and its Context, with a header for the latter."""

from collections.abc import Iterator

from tgbot.turns.context import Attachment, Content, Context, Location, Origin, Reply, User, size_words

REPLY_MAX_CHARACTERS = 1_000
FIELD_MAX_CHARACTERS = 300  # names, titles, a poll's question
URL_MAX_CHARACTERS = 2_000
CUT = " … (the rest is cut)"
OVERHEARD = "Said in the group before, to others"
KINDS = {
    "photo": "Photo",
    "document": "File",
    "voice": "Voice message",
    "audio": "Audio",
    "video": "Video",
    "video_note": "Video message",
    "animation": "Animation",
}


def prompt_of(text: str, context: Context) -> str:
    """Put a header of lines in brackets above the text; the text alone if it has no context.

    Without a text, that of a rich message is used. What others wrote can neither end its own line nor
    imitate a header line, and each field is cut at a limit.
    """
    header = "\n".join(_header(text, context))
    return "\n\n".join(filter(None, [header, text or context.rich_text]))


def _header(text: str, context: Context) -> Iterator[str]:
    if context.overheard:
        yield quoted(OVERHEARD, "\n".join(context.overheard))
    if context.in_group and (sender := _sender(context.sender)):
        yield f"[From {sender}]"
    if context.forwarded_from:
        yield f"[Forwarded from {_name(context.forwarded_from)}]"
    if context.via_bot:
        yield f"[Via the bot {field(context.via_bot.name)}]"
    if context.reply:
        yield from _reply(context.reply)
    yield from (f"[{words}]" for words in _content(context))
    if sent := context.web_app_data:
        yield quoted(f'From the web app behind "{field(sent.button_text)}"', sent.data)
    if context.preview_url and context.preview_url not in text:
        yield f"[Link preview: {_url(context.preview_url)}]"


def _sender(user: User) -> str:
    name = field(user.name)
    return f"{name} (@{field(user.username)})".lstrip() if user.username else name


def _reply(reply: Reply) -> Iterator[str]:
    who = _name(reply.origin) if reply.origin else "a message"
    label = f"In reply to {who}{' in another chat' if reply.external else ''}"
    text, carried = reply.text or reply.rich_text, "; ".join(_content(reply))
    if text:
        yield quoted(label, _cut(text, REPLY_MAX_CHARACTERS, CUT))
    elif carried or not reply.quote:
        yield f"[{label}: {carried}]" if carried else f"[{label}]"
    if text and carried:
        yield f"[The replied-to message has: {carried}]"
    if reply.quote and reply.quote != text:
        said = _cut(reply.quote, REPLY_MAX_CHARACTERS, CUT)
        yield quoted("The quoted part" if text or carried else label, said)


def quoted(label: str, text: str) -> str:
    """Quote what somebody said: behind the label, or below it if it has several lines."""
    lines = text.splitlines()
    if len(lines) == 1:
        return f'[{label}: "{lines[0]}"]'
    return "\n".join([f"[{label}:]", *(f"> {line}" for line in lines)])


def _content(content: Content) -> Iterator[str]:
    for link in content.links:
        yield f'Link "{field(link.text)}": {_url(link.url)}'
    if contact := content.contact:
        yield f"Contact: {', '.join(filter(None, map(field, (contact.name, contact.phone_number))))}"
    if content.location:
        yield f"Location: {_place(content.location)}"
    if poll := content.poll:
        options = ", ".join(map(field, poll.options))
        yield f'Poll: "{field(poll.question)}"' + (f" ({options})" if options else "")
    if dice := content.dice:
        yield f"Dice {field(dice.emoji)}: {dice.value}"
    yield from map(described, content.files)
    if content.other:
        yield content.other.replace("_", " ").capitalize()


def described(file: Attachment) -> str:
    """Say what a file is in one line: its kind, name, sizes and type."""
    if file.kind == "sticker":
        return f"Sticker {field(file.emoji)}".rstrip()
    return ", ".join(
        filter(
            None,
            [
                f"{KINDS[file.kind]} {field(file.name)}".rstrip(),
                f"{file.width}x{file.height}" if file.kind == "photo" and file.width else "",
                f"{file.duration_seconds} s" if file.duration_seconds else "",
                "" if file.size_bytes is None else size_words(file.size_bytes),
                field(file.mime_type),
            ],
        )
    )


def _place(location: Location) -> str:
    point = f"{location.latitude}, {location.longitude}"
    venue = ", ".join(filter(None, map(field, (location.title, location.address))))
    return f"{venue} ({point})" if venue else point


def _name(origin: Origin) -> str:
    name = field(origin.name) or (f"@{field(origin.username)}" if origin.username else "somebody")
    return f"{origin.kind} {name}" if origin.kind in {"chat", "channel"} else name


def field(text: str) -> str:
    """Make a text of any origin part of a line: without line breaks, and not too long."""
    return _cut(" ".join(text.split()), FIELD_MAX_CHARACTERS, "…")


def _url(url: str) -> str:
    return _cut("".join(url.split()), URL_MAX_CHARACTERS, "…")


def _cut(text: str, limit: int, mark: str) -> str:
    return text if len(text) <= limit else text[:limit] + mark
