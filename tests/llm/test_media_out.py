"""What a tool or a model made goes out as Telegram shows it best."""

import pytest
from pydantic_ai.messages import BinaryContent, BinaryImage

from tests.llm.files import GIF, JPEG, MP3, OGG, PDF, png
from tgbot.agents.llm.media_out import PHOTO_BYTES_MAX, sent
from tgbot.model import File


@pytest.mark.parametrize(
    ("content", "media_type", "name", "kind"),
    [
        (JPEG, "image/jpeg", "picture.jpg", "photo"),
        (png(), "image/png", "picture.png", "photo"),
        (png(), "application/octet-stream", "picture.png", "photo"),
        (JPEG, "image/png", "picture.jpg", "photo"),
        (png(5_000, 5_000), "image/png", "picture.png", "photo"),
        (png(5_000, 5_001), "image/png", "picture.png", "document"),
        (png(20, 1), "image/png", "picture.png", "photo"),
        (png(1, 21), "image/png", "picture.png", "document"),
        (png(size_bytes=PHOTO_BYTES_MAX), "image/png", "picture.png", "photo"),
        (png(size_bytes=PHOTO_BYTES_MAX + 1), "image/png", "picture.png", "document"),
        (b"\x89PNG\r\n\x1a\n", "image/png", "picture.png", "document"),
        (GIF, "image/gif", "picture.gif", "document"),
        (OGG, "audio/ogg", "recording.ogg", "voice"),
        (OGG.replace(b"OpusHead", b"\x01vorbis "), "audio/ogg", "recording.ogg", "document"),
        (MP3, "audio/mpeg", "recording.mp3", "document"),
        (PDF, "application/pdf", "file.pdf", "document"),
        (b"a,b", "text/csv", "file.csv", "document"),
        (b"# a", "text/markdown", "file.md", "document"),
        (b"?", "application/x-unheard-of", "file", "document"),
        (b"?", "nonsense", "file", "document"),
    ],
)
def test_what_was_made_has_a_fitting_name_and_kind(
    content: bytes, media_type: str, name: str, kind: str
) -> None:
    made = sent(BinaryContent(content, media_type=media_type))
    assert (made.name, made.kind, made.content) == (name, kind, content)


def test_a_picture_of_the_librarys_own_type_is_one_too() -> None:
    assert sent(BinaryImage(png(), media_type="image/png")) == File("picture.png", png(), "photo")
