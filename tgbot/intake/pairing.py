"""Makes the one-time code that makes its sender the owner of a bot that has none, and recognizes it."""

import hashlib
import hmac
import re
import secrets
import time
from itertools import zip_longest
from typing import TextIO

from tgbot.model import Raw, start_payload
from tgbot.store.strangers import Code

VALID_SECONDS = 3600.0
WRONG_CODES_MAX = 5  # of one user; after them no code of theirs counts, the right one neither

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another: 59 bits in twelve
_CODE = re.compile(r"\s*([a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4})\s*", re.IGNORECASE | re.ASCII)


def new_code() -> str:
    """Make a code that fits into a deep link, and that a person can type."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


def stored(code: str) -> Code:
    """Make what is stored of a new code."""
    return Code(_hashed(code), time.time() + VALID_SECONDS)


def code_in(message: Raw) -> str | None:
    """Find the code that a raw Message sends, in a deep link or as its text; None if it sends none."""
    typed = _CODE.fullmatch(message.get("text") or "")
    return typed[1].lower() if typed else start_payload(message)


def is_right(code: str, known: Code) -> bool:
    """Whether this is the code, whatever its age."""
    return hmac.compare_digest(_hashed(code), known.code_hash)


def invitation(username: str, code: str, *, with_picture: bool) -> list[str]:
    """Make the lines for whoever starts a bot that has no owner; the picture is a QR code."""
    link = f"https://t.me/{username}?start={code}"
    return [
        "Nobody may talk to this bot yet. To become its owner, open this link in Telegram and press Start:",
        f"    {link}",
        *(_picture(link) if with_picture else []),
        f"or send @{username} this code: {code}",
        f"It works once, for {VALID_SECONDS / 60:.0f} minutes. The next start makes a new one.",
    ]


def is_drawable(terminal: TextIO) -> bool:
    """Whether a picture of blocks can be shown there."""
    try:
        "█▀▄".encode(terminal.encoding or "ascii")
    except UnicodeError:
        return False
    return terminal.isatty()


def _picture(link: str) -> list[str]:
    """Draw a QR code, two of its rows a line, light on the dark ground of a terminal."""
    import segno  # noqa: PLC0415 - only the first start of a bot needs it

    rows = [list(row) for row in segno.make_qr(link, error="L").matrix_iter(border=2)]
    blocks = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    return [
        "".join(blocks[upper, lower] for upper, lower in zip(*pair, strict=True))
        for pair in zip_longest(rows[::2], rows[1::2], fillvalue=[1] * len(rows[0]))
    ]


def _hashed(code: str) -> str:
    # It has 59 random bits and lives for an hour: a slow hash would gain nothing.
    return hashlib.sha256(code.encode()).hexdigest()
