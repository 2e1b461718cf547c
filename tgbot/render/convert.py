"""Markdown to text with formatting, through telegramify-markdown."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from heapq import heapify, heappop, heappush
from itertools import chain, takewhile

from telegramify_markdown import MessageEntity, RenderConfig, convert

from tgbot.render.clean import same_length
from tgbot.render.literal import joiners, reveal
from tgbot.render.source import linkable, rewrite
from tgbot.render.split import Ruler, Span

# The first word of a fence's info string; the rest is for other tools.
_LANGUAGE = re.compile(r"[\w+#.-]{1,64}")
_QUOTES = {"blockquote", "expandable_blockquote"}
_STYLES = ("bold", "italic", "underline", "strikethrough", "spoiler")


def formatted(markdown: str) -> tuple[str, list[Span]]:
    """Convert cleaned Markdown; the spans are sorted by start, and nested or apart, as Telegram wants."""
    shown, entities = convert(rewrite(markdown), latex_escape=False, config=_config())
    return same_length(reveal(shown)), list(_nested(_allowed(_spans(shown, entities))))


@cache
def _config() -> RenderConfig:
    config = RenderConfig.isolated()
    symbols = config.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = symbols.heading_level_3 = symbols.heading_level_4 = ""
    symbols.task_completed, symbols.task_uncompleted = "✅", "⬜"
    symbols.unordered_list_item = "•"
    return config


def _spans(shown: str, entities: list[MessageEntity]) -> list[Span]:
    ruler = Ruler(shown)
    removed = joiners(shown)

    def index(units: int) -> int:
        at = ruler.index(units)
        return at - bisect_left(removed, at)

    return [
        Span(index(entity.offset), index(entity.offset + entity.length), entity.type, _extra(entity))
        for entity in entities
    ]


def _allowed(spans: list[Span]) -> list[Span]:
    """Keep what Telegram allows: no quote in a quote, no link in a link, nothing but quotes around code."""
    quotes = _outermost(span for span in spans if span.type in _QUOTES)
    links = _outermost(span for span in spans if span.type == "text_link" and linkable(span.extra["url"]))
    code = _without(links, _outermost(span for span in spans if span.monospace))
    styles = [_outermost(span for span in spans if span.type == style) for style in _STYLES]
    return [*quotes, *links, *code, *_without(code, list(chain.from_iterable(styles)))]


def _extra(entity: MessageEntity) -> dict[str, str]:
    if entity.type == "text_link":
        return {"url": reveal(entity.url or "")}
    language = _LANGUAGE.match(reveal(entity.language or ""))
    return {"language": language[0]} if language else {}


def _outermost(spans: Iterable[Span]) -> list[Span]:
    """Drop what lies inside another, and the part that overlaps with one before."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        start = max(span.start, kept[-1].end) if kept else span.start
        if start < span.end:
            kept.append(replace(span, start=start))
    return kept


def _without(holes: list[Span], spans: list[Span]) -> list[Span]:
    """Cut the holes, which are sorted and apart, out of the spans."""
    ends = [hole.end for hole in holes]
    return [piece for span in spans for piece in _pieces(span, holes[bisect_right(ends, span.start) :])]


def _pieces(span: Span, holes: list[Span]) -> Iterator[Span]:
    start = span.start
    for hole in takewhile(lambda hole: hole.start < span.end, holes):
        if start < hole.start:
            yield replace(span, start=start, end=hole.start)
        start = hole.end
    if start < span.end:
        yield replace(span, start=start)


def _nested(spans: list[Span]) -> Iterator[Span]:
    """Sort, and break a span that crosses the end of an earlier one in two."""
    rank = {"blockquote": 0, "expandable_blockquote": 0, "text_link": 1}
    heap = [(span.start, -span.end, rank.get(span.type, 2), i, span) for i, span in enumerate(spans)]
    heapify(heap)
    opened: list[Span] = []
    while heap:
        start, _, order, i, span = heappop(heap)
        opened = [outer for outer in opened if outer.end > start]
        end = min((outer.end for outer in opened), default=span.end)
        if end < span.end:
            heappush(heap, (end, -span.end, order, i, replace(span, start=end)))
            span = replace(span, end=end)
        opened.append(span)
        yield span
