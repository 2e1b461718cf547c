"""What a file is, is known by its content."""

import pytest

from tests.llm.files import GIF, JPEG, M4A, MP3, MP4, OGG, PDF, WEBP, png
from tgbot.agents.llm import sniff


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (JPEG, "image/jpeg"),
        (png(), "image/png"),
        (GIF, "image/gif"),
        (WEBP, "image/webp"),
        (PDF, "application/pdf"),
        (OGG, "audio/ogg"),
        (MP3, "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (M4A, "audio/mp4"),
        (MP4, "video/mp4"),
        (b"\x1aE\xdf\xa3\x01", "video/webm"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"PK\x03\x04", None),
        ("Grüße".encode("utf-16"), None),
        (b"ID3 tags are at the start", None),
        (b"OggS is how it begins", None),
        (b"", None),
    ],
)
def test_a_file_is_known_by_how_it_begins(content: bytes, media_type: str | None) -> None:
    assert sniff.media_type(content) == media_type


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Grüße ✓".encode(), "Grüße ✓"),
        ("Grüße".encode("utf-8-sig"), "Grüße"),
        ("Grüße".encode("utf-16"), "Grüße"),
        (b"\xfe\xff" + "Grüße 🎉".encode("utf-16-be"), "Grüße 🎉"),
        ("Grüße".encode("latin-1"), "Grüße"),
        ("“Grüße”".encode("windows-1252"), "“Grüße”"),
        (b"a\tb\r\n\f\x1b[31mred", "a\tb\r\n\f\x1b[31mred"),
        (b"caf\xe9", "café"),
        (b"", ""),
    ],
)
def test_a_text_is_decoded(content: bytes, words: str) -> None:
    assert sniff.text(content, 99) == words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a" + "é".encode() * 99, "aéééé"),
        ("é".encode() * 99, "é" * 5),
        (b"aaaaaaaaaa\0", "a" * 10),
        ("🎉🎉🎉🎉".encode("utf-16"), "🎉🎉"),
    ],
)
def test_of_a_long_text_only_the_beginning_is_decoded_and_no_half_character(
    content: bytes, words: str
) -> None:
    assert sniff.text(content, 10) == words


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04\0\0", b"\0", b"\xff\xfe\0", b"\xff\xfe\0\0a\0\0\0", "Grüße".encode("utf-16-le"), b"a\x07b"],
)
def test_what_has_control_characters_is_no_text(content: bytes) -> None:
    assert sniff.text(content, 99) is None


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (JPEG, (16, 16)),
        (png(1280, 960), (1280, 960)),
        (GIF, (2, 3)),
        (WEBP, (2, 3)),
        (png()[:12] + b"nonsense", None),
        (b"\xff\xd8\xff", None),
        (png(0, 5), None),
    ],
)
def test_a_picture_has_its_size_unless_it_is_damaged(content: bytes, size: tuple[int, int] | None) -> None:
    assert sniff.pixels(content) == size


def test_a_gif_of_several_frames_moves() -> None:
    assert not sniff.moves(GIF)
    assert sniff.moves(GIF + GIF[13:])
