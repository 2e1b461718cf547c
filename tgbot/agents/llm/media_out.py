"""Makes files to send of what a tool or a model made."""

import mimetypes

from pydantic_ai.messages import BinaryContent

from tgbot.agents.llm import sniff
from tgbot.model import File, FileKind

# https://core.telegram.org/bots/api#sendphoto
PHOTO_BYTES_MAX = 10 * 1024 * 1024
PHOTO_SIDES_MAX = 10_000  # pixels, width and height together
PHOTO_RATIO_MAX = 20

_NAMES = {"image": "picture", "audio": "recording", "video": "video"}
_SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "text/markdown": ".md",
}


def sent(content: BinaryContent) -> File:
    """Make the file to send: a photo or a voice message where Telegram can show it so, else a document."""
    media_type = sniff.media_type(content.data) or content.media_type
    name = _NAMES.get(media_type.partition("/")[0], "file")
    suffix = _SUFFIXES.get(media_type) or mimetypes.guess_extension(media_type) or ""
    return File(f"{name}{suffix}", content.data, _kind(media_type, content.data))


def _kind(media_type: str, content: bytes) -> FileKind:
    if media_type in {"image/jpeg", "image/png"} and _is_photo(content):
        return "photo"
    return "voice" if media_type == "audio/ogg" and b"OpusHead" in content[:64] else "document"


def _is_photo(content: bytes) -> bool:
    if len(content) > PHOTO_BYTES_MAX or not (size := sniff.pixels(content)):
        return False
    return sum(size) <= PHOTO_SIDES_MAX and max(size) <= PHOTO_RATIO_MAX * min(size)
