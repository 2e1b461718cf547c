"""What a phone's push notification says of a message."""

from typing import Any

LENGTH_MAX = 100  # characters, about what a lock screen has room for
_MEDIA = {
    "photo": "Photo",
    "voice": "Voice note",
    "audio": "Audio",
    "video": "Video",
    "animation": "Animation",
    "document": "Document",
}


def notification_text(message: dict[str, Any]) -> str:
    """Return a message in one line of at most `LENGTH_MAX` characters: its text, or its kind and caption."""
    line = " ".join(_words(message).split())
    return line if len(line) <= LENGTH_MAX else f"{line[: LENGTH_MAX - 1]}…"


def _words(message: dict[str, Any]) -> str:
    if "rich_message" in message:
        return _plain(message["rich_message"]["blocks"])
    if "text" in message:
        return str(message["text"])
    kind = next((name for field, name in _MEDIA.items() if field in message), "Message")
    return f"{kind}: {message['caption']}" if "caption" in message else kind


def _plain(rich: Any, joint: str = " ") -> str:  # noqa: ANN401  blocks or a RichText: str, dict or list
    """Return the words of a rich message: blocks are set apart, what is inside a text is not."""
    if isinstance(rich, str):
        return rich
    if isinstance(rich, list):
        return joint.join(_plain(one, joint) for one in rich)
    for field in ("text", "blocks", "items", "cells", "expression"):
        if field in rich:
            return _plain(rich[field], "" if field == "text" else " ")
    return ""
