"""Cuts a text with its formatting into messages, at the places a reader would."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from tgbot.render.clean import visible

MAX_UNITS = 4096  # UTF-16 code units of a message's text (Bot API, sendMessage)
MAX_ENTITIES = 100  # of a message; Telegram silently drops the rest
SEPARATORS = ("\n\n", "\n", ". ", "。", " ")  # where to cut, best first
_BLANK_LINES = re.compile(r"(?:[^\S\n]*+\n)*+")
_BLANKS = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Text:
    """What one Telegram message shows.

    `text` has 1 to 4,096 UTF-16 units and something visible; `entities` are at most 100 Bot API MessageEntity
    dicts, nested or apart, with offsets in UTF-16 units.
    """

    text: str
    entities: tuple[dict[str, object], ...] = ()

    def with_line(self, line: str) -> "Text | None":
        """Put a line below it; None if there is no room."""
        both = f"{self.text}\n\n{line}"
        return Text(both, self.entities) if Ruler(both).units(len(both)) <= MAX_UNITS else None


@dataclass(frozen=True, slots=True)
class Span:
    """Formatting of `text[start:end]`, in code points; `extra` holds an entity's url or language."""

    start: int
    end: int
    type: str
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def monospace(self) -> bool:
        """Whether spaces and line breaks inside carry meaning, and other formatting is not allowed."""
        return self.type in {"pre", "code"}


class Ruler:
    """Converts between code points, which Python counts, and UTF-16 units, which Telegram counts."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._astral = [i for i, char in enumerate(text) if char > "\uffff"] if not text.isascii() else []
        self._astral_units = [i + rank for rank, i in enumerate(self._astral)]

    def units(self, index: int) -> int:
        """UTF-16 units before the code point at index."""
        return index + bisect_left(self._astral, index)

    def index(self, units: int) -> int:
        """Code points that fit whole into the first `units` UTF-16 units."""
        index = units - bisect_left(self._astral_units, units)
        return min(index if self.units(index) <= units else index - 1, self._length)


def fullness(parts: Sequence[Text]) -> float:
    """Compute how many messages they would fill, at least 1."""
    units = sum(len(part.text.encode("utf-16-le")) // 2 for part in parts)
    return max(1, units / MAX_UNITS, sum(len(part.entities) for part in parts) / MAX_ENTITIES)


def split(text: str, spans: Sequence[Span] = ()) -> list[Text]:
    """Cut into messages; `spans` are sorted by start, and nested or apart, never crossing."""
    return list(_parts(text, list(spans)))


def _parts(text: str, spans: list[Span]) -> Iterator[Text]:
    ruler = Ruler(text)
    start = 0
    while (start := _skip_blank(text, spans, start)) < len(text):
        spans = [span for span in spans if span.end > start]
        end = _cut(text, spans, start, ruler)
        part = text[start:end].rstrip()
        if visible(part):
            yield Text(part, tuple(_entities(part, spans, start, ruler)))
        start = end


def _skip_blank(text: str, spans: list[Span], start: int) -> int:
    """Telegram trims a message, so do it here; but code keeps the indentation of its first line."""
    after_lines = _match_end(_BLANK_LINES, text, start)
    in_code = any(span.monospace and span.start <= after_lines < span.end for span in spans)
    return after_lines if in_code else _match_end(_BLANKS, text, start)


def _match_end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _entities(part: str, spans: list[Span], start: int, ruler: Ruler) -> Iterator[dict[str, object]]:
    end = start + len(part)
    for span in takewhile(lambda span: span.start < end, spans):
        inside = slice(max(span.start, start), min(span.end, end))
        if not part[inside.start - start : inside.stop - start].isspace():
            offset = ruler.units(inside.start)
            length = ruler.units(inside.stop) - offset
            yield {"type": span.type, "offset": offset - ruler.units(start), "length": length, **span.extra}


def _cut(text: str, spans: list[Span], start: int, ruler: Ruler) -> int:
    """Where the message that begins at start ends: everything if it fits, else after the best separator."""
    limit = ruler.index(ruler.units(start) + MAX_UNITS)
    if len(spans) > MAX_ENTITIES and spans[MAX_ENTITIES].start > start:
        limit = min(limit, spans[MAX_ENTITIES].start)
    if limit >= len(text):
        return len(text)
    middle = (start + limit) // 2
    whole = _unbreakable(spans, start, limit, ruler)
    # A message at least half full is worth a worse separator; breaking an entity is the last resort.
    for floor, kept in ((middle, whole), (start, whole), (middle, []), (start, [])):
        for separator in SEPARATORS:
            if end := _last(separator, text, floor, limit, kept):
                return _before_heading(text, start, end, spans, kept)
    return grapheme(text, start, limit)


def _before_heading(text: str, start: int, end: int, spans: list[Span], kept: list[Span]) -> int:
    """Move the cut before a bold line or two at the message's end: they belong to what follows."""
    for _ in range(2):
        line_end = start + len(text[start:end].rstrip())
        line_start = text.rfind("\n", start, line_end) + 1
        bold = any(
            span.type == "bold" and span.start <= line_start and line_end <= span.end for span in spans
        )
        if not bold or line_start <= start or any(span.start < line_start < span.end for span in kept):
            break
        end = line_start
    return end


def _unbreakable(spans: list[Span], start: int, limit: int, ruler: Ruler) -> list[Span]:
    """Select the spans that would fit whole into one message."""
    return [
        span
        for span in takewhile(lambda span: span.start < limit, spans)
        if ruler.units(span.end) - ruler.units(max(span.start, start)) <= MAX_UNITS
    ]


def _last(separator: str, text: str, floor: int, limit: int, kept: list[Span]) -> int | None:
    """Find the last position after a separator, past floor, up to limit and inside none of the kept spans."""
    while (found := text.rfind(separator, floor, limit)) >= 0:
        end = found + len(separator)
        broken = min((span.start for span in kept if span.start < end < span.end), default=None)
        if broken is None:
            return end
        if broken <= floor:
            return None
        # The span's own start may be a fine place to cut; look no further back than needed.
        limit = broken
    return None


def grapheme(text: str, start: int, limit: int) -> int:
    """Find the last boundary of a drawn character; an endless one is cut where it has to be."""
    from wcwidth import grapheme_boundary_before  # noqa: PLC0415 - 20 ms of import that few processes need

    boundary = grapheme_boundary_before(text[start : limit + 1], limit + 1 - start)
    return start + boundary if boundary > 0 else limit
