"""Pure: makes the plain text of a raw RichMessage, a line for each block."""

from collections.abc import Iterable
from typing import Any

DEPTH_MAX = 50  # more than Telegram nests; a server that nests deeper must not exhaust the stack
WORDS = ("summary", "text", "expression", "alternative_text")
BELOW = ("caption", "credit")


def rich_text(raw: object) -> str:
    """Join the words of a RichMessage; leaves out what has none, or is of the wrong type. Never raises."""
    return _plain(raw, DEPTH_MAX).strip()


def _plain(raw: object, depth: int) -> str:
    """Read a RichMessage, a RichBlock, a cell, or a RichText, which can be a list."""
    if isinstance(raw, str):
        return raw
    if depth == 0:
        return ""
    if isinstance(raw, list):
        return "".join(_plain(part, depth - 1) for part in raw)
    return _block(raw, depth - 1) if isinstance(raw, dict) else ""


def _block(raw: dict[str, Any], depth: int) -> str:
    return _lines(
        [
            "".join(_plain(raw.get(name), depth) for name in WORDS),
            *(_item(item, depth) for item in _list(raw.get("items"))),
            *(" | ".join(_plain(cell, depth) for cell in _list(row)) for row in _list(raw.get("cells"))),
            *(_plain(block, depth) for block in _list(raw.get("blocks"))),
            *(_plain(raw.get(name), depth) for name in BELOW),
        ]
    )


def _item(raw: object, depth: int) -> str:
    """Read an item of a list: its label, and its blocks behind it."""
    label = raw.get("label") if isinstance(raw, dict) else None
    return " ".join(filter(None, [label if isinstance(label, str) else "", _plain(raw, depth)]))


def _list(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(filter(None, lines))
