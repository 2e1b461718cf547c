"""Pure: says what a file is by how it begins; a name or a declared type may say anything."""

import codecs
import io
import re

import imagesize

PDF = "application/pdf"
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})  # that models take

_STARTS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": PDF,
    b"OggS\0": "audio/ogg",
    b"fLaC\0": "audio/flac",
    b"ID3\x02": "audio/mpeg",
    b"ID3\x03": "audio/mpeg",
    b"ID3\x04": "audio/mpeg",
    b"\xff\xfb": "audio/mpeg",
    b"\xff\xfa": "audio/mpeg",
    b"\xff\xf3": "audio/mpeg",
    b"\xff\xf2": "audio/mpeg",
    b"\x1aE\xdf\xa3": "video/webm",
}
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
# ISO media files name their brand; what is not listed is a video.
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"avif": "image/avif",
}

_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# What no text has: all control characters but those that separate and, in logs, colour.
_CONTROL = re.compile(r"[^\t\n\v\f\r\x1b -\U0010ffff]")


def media_type(content: bytes) -> str | None:
    """Name the media type of a picture, a PDF, a recording or a video; None for anything else."""
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "video/mp4")
    return next((kind for start, kind in _STARTS.items() if content.startswith(start)), None)


def text(content: bytes, max_bytes: int) -> str | None:
    """Decode a text: UTF-8, UTF-16 with its mark, or else Windows-1252; None for what is no text.

    Of a longer one than `max_bytes` that is the beginning.
    """
    decoded = _decoded(content[:max_bytes], whole=len(content) <= max_bytes)
    return None if _CONTROL.search(decoded) else decoded


def _decoded(content: bytes, *, whole: bool) -> str:
    encoding = next((name for mark, name in _BOMS.items() if content.startswith(mark)), "utf-8")
    try:
        # Incremental: where it was cut there may be half a character.
        return codecs.getincrementaldecoder(encoding)().decode(content, final=whole)
    except UnicodeDecodeError:
        # What calls itself Latin-1 is nearly always this: the same, and quotes where that has nothing.
        return content.decode("windows-1252", "replace")


def pixels(content: bytes) -> tuple[int, int] | None:
    """Give a picture's width and height; None for one that is damaged."""
    try:
        width, height = imagesize.get(io.BytesIO(content))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def moves(content: bytes) -> bool:
    """Whether a GIF has more than one frame: each has a control block of its own."""
    return content.count(b"\x21\xf9\x04") > 1
