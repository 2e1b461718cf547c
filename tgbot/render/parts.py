"""Cuts the first message off Markdown that is still being written, so that both sides stand by themselves."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from tgbot.render.place import Place
from tgbot.render.split import SEPARATORS, grapheme
from tgbot.render.stream import HEADING_END

_MAX_TRIES = 8  # of one separator: a look at a place takes 0.1 ms, but 10 in a paragraph full of open marks


class Cut(NamedTuple):
    """Two sides of an answer; what was open is closed at the end of `head` and opened again in `rest`."""

    head: str
    rest: str


def first_cut(markdown: str, max_chars: int) -> Cut | None:
    """Cut off at most max_chars, where a reader would; None if no place leaves less to go on with."""
    middle = max_chars // 2
    for floor, reopens in ((middle, False), (middle, True), (0, False), (0, True)):
        for place in _places(markdown, floor, max_chars):
            if place.clean and (reopens or not place.reopens) and place.shortens:
                return Cut(place.head, place.rest)
    return _broken(markdown, max_chars)


def _best(places: Iterable[Place]) -> Place | None:
    """Choose the first place between two blocks, else the first in a block."""
    in_block = None
    for place in places:
        if not place.reopens:
            return place
        in_block = in_block or place
    return in_block


def _broken(markdown: str, max_chars: int) -> Cut | None:
    """Cut within what fills a whole message by itself, between words or else between characters."""
    ends = (grapheme(markdown, 0, max_chars), max_chars)
    for place in (*_places(markdown, max_chars // 2, max_chars), *(Place(markdown, end) for end in ends)):
        if place.shortens:
            # Two marks side by side would be another one, or a fence.
            opened = "" if place.rest[:1] in "*_~`|" else place.unclosed[::-1]
            return Cut(place.head.rstrip() + place.unclosed, opened + place.rest)
    return None


def _places(markdown: str, floor: int, limit: int) -> Iterator[Place]:
    """Yield the places after each separator, the best one and the last place first."""
    for separator in SEPARATORS:
        for end in islice(_ends(separator, markdown, floor, limit), _MAX_TRIES):
            heading = HEADING_END.search(markdown, 1, end)
            yield Place(markdown, heading.end("before") if heading else end)


def _ends(separator: str, markdown: str, floor: int, limit: int) -> Iterator[int]:
    while (found := markdown.rfind(separator, floor, limit)) >= 0:
        yield found + len(separator)
        limit = found + len(separator) - 1
