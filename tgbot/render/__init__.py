"""Turns the Markdown of an answer into messages that Telegram accepts: text and entities, no parse mode.

It may import nothing of tgbot from outside this package, and it neither waits nor keeps state (but caches).

It offers `render`, `plain` and `rich` for finished text, `preview`, `close_part` and `settled` for text that
is still being written, `overflow` for text that may be too long, and `Text`, which is one message. Every
function takes any string, and what a model wrote stays readable: a character disappears only where it is
unmistakably Markdown.
"""

import logging
import re
from functools import lru_cache
from typing import NamedTuple

from tgbot.render.clean import clean, visible, without_surrogates
from tgbot.render.fences import outgrown
from tgbot.render.parts import first_cut
from tgbot.render.split import MAX_UNITS, Text, fullness, split
from tgbot.render.stream import cut, settled, whole_rows

__all__ = [
    "MAX_UNITS",
    "Closed",
    "Text",
    "close_part",
    "overflow",
    "plain",
    "preview",
    "render",
    "rich",
    "settled",
]

log = logging.getLogger(__name__)

MAX_MARKDOWN_CHARS = 100_000  # a longer answer is a file anyway (see overflow), and parsing it takes seconds
# A line that nests lists endlessly ("1. 1. 1. ..."): indented, 4,000 characters become a million.
_BOTTOMLESS = re.compile(r"^(?:[ \t>]*+(?:[-*+]|\d{1,9}[.)])[ \t]++){50}", re.MULTILINE)
# Endless fences ("```" again and again): at each one, telegramify-markdown reads back over all before it.
_HOLLOW = re.compile(r"(?:^[ >]*(?:`{3,}|~{3,})[^\n]*\n+){200}", re.MULTILINE)
# May be half a character or line break, which the stream goes on with.
_HALVES = ("\r", *map(chr, range(0xD800, 0xDC00)))
_ROOM = 31 / 32  # of a message: the cut stays clear of the last words, which may still be half of something


class Closed(NamedTuple):
    """A finished message, and the Markdown that goes on in the next one, which stands by itself."""

    text: Text
    rest: str


def plain(text: str) -> list[Text]:
    """Split a text that is not Markdown into messages; nothing to see gives no message."""
    return split(clean(text))


def render(markdown: str) -> list[Text]:
    """Format an answer as messages; what can't be formatted is shown as it was written."""
    if len(markdown) > MAX_MARKDOWN_CHARS or _BOTTOMLESS.search(markdown) or _HOLLOW.search(markdown):
        return plain(markdown)
    from tgbot.render.convert import formatted  # noqa: PLC0415 - 50 ms and 4 MB that an idle process never needs

    try:
        return split(*formatted(clean(markdown))) or plain(markdown)
    except Exception:
        log.warning("render.not_formatted and shown as plain text", exc_info=True)
        return plain(markdown)


def preview(markdown: str) -> Text | None:
    """Show the newest message of an answer that is still being written; None while there is nothing to see.

    Half-written formatting is closed or left out. Give it what `close_part` has left over: of a longer text
    it shows the last message, whose start moves with every word.
    """
    parts = _growing(markdown)
    return parts[-1] if parts else None


def close_part(markdown: str) -> Closed | None:
    """Cut the first message off an answer that is still being written; None while all of it may fit into one.

    Call it again with the rest and what the stream has said since. The finished answer is all closed texts,
    then `render` (or `overflow`) of the last rest: what was closed is never split again.
    """
    half = markdown[-1:] if markdown.endswith(_HALVES) else ""
    markdown = without_surrogates(markdown.removesuffix(half)).replace("\r\n", "\n")
    limit = _chars_of_a_message(markdown)
    while limit and (found := first_cut(markdown, limit)):
        parts = render(outgrown(found.head, unfinished=True))
        if len(parts) == 1:
            return Closed(parts[0], found.rest + half)
        limit = int(min(limit, len(found.head)) * _ROOM / fullness(parts))
    return None


def _chars_of_a_message(markdown: str) -> int:
    """Estimate how much of an unfinished answer fills one message; 0 if it does not even fill one."""
    chars = 2 * MAX_UNITS
    while len(parts := _growing(markdown[:chars])) < 2:  # noqa: PLR2004 - more than one message
        if chars >= len(markdown):
            return 0
        chars *= 2
    return int(min(chars, len(markdown)) * _ROOM / fullness(parts))


@lru_cache(maxsize=8)  # close_part and preview are asked about the same text, one after the other
def _growing(markdown: str) -> tuple[Text, ...]:
    markdown = outgrown(without_surrogates(markdown), unfinished=True)
    return tuple(render(settled(whole_rows(markdown))))


def overflow(markdown: str, max_parts: int = 8) -> tuple[list[Text], str | None]:
    """Format an answer as at most max_parts messages, and return the Markdown of the rest, if any.

    The rest can always be encoded as UTF-8, even if the answer holds lone surrogates.
    """
    markdown = outgrown(without_surrogates(markdown))
    head, rest = cut(markdown, 2 * max_parts * MAX_UNITS)  # links and formatting take no room on the screen
    while len(parts := render(head)) > max_parts:
        head, rest = cut(markdown, len(head) * max_parts // (len(parts) + 1))
    return parts, rest or None


def rich(markdown: str) -> dict[str, object] | None:
    """Convert an answer to Bot API 10.1's InputRichMessage; None when it has to be sent as messages."""
    if len(markdown) > MAX_MARKDOWN_CHARS or not visible(markdown):
        return None
    from tgbot.render.rich_message import rich_message  # noqa: PLC0415 - as in render

    try:
        return rich_message(clean(markdown))
    except Exception:
        log.warning("render.not_rich and shown as messages", exc_info=True)
        return None
