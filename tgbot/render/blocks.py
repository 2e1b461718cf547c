"""Keeps what Markdown's blocks would take away: a line of dashes, the number of an item, a cell too many."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tgbot.render.events import Edit, Event
from tgbot.render.literal import hide

# "[name]: text" defines a link only if the text is an address.
_NO_DEFINITION = re.compile(
    r"^([ >*+\-\d.)]*)\[(?=(?:[^\[\]\\]|\\.){1,999}\]:(?!\s*<?(?:https?|tg)://))", re.MULTILINE
)
_NO_QUOTE = re.compile(r"^( {0,3}(?:> ?)*?)(>>>(?= )|>(?==))", re.MULTILINE)  # ">>> x" in Python, ">= 5"
_NO_NUMBER = re.compile(r"^([ >]*0\d{1,8})([.)])(?=\s)", re.MULTILINE)  # "007. " would become "7. "
_UNDERLINE = re.compile(rb"\n[ \t>]*(-+|=+)\Z")
_UNDERLINE_CHARS = 3  # at least; "=" or "-" alone is an operator or an empty item
_NUMBER = re.compile(rb"\s*(\d+)([.)])")


def without_false_blocks(markdown: str) -> str:
    """Hide at the start of lines what only looks like a definition, a quote or the number of an item."""
    markdown = _NO_DEFINITION.sub(lambda found: found[1] + hide("["), markdown)
    markdown = _NO_QUOTE.sub(lambda found: found[1] + hide(found[2]), markdown)
    return _NO_NUMBER.sub(lambda found: found[1] + hide(found[2]), markdown)


def underlines(source: bytes, events: Iterable[Event]) -> Iterator[Edit]:
    """Show "---" below a text as the rule that it is elsewhere, where it would make the text a heading."""
    for event in events:
        if event.kind == "Start" and event.name == "Heading":
            found = _UNDERLINE.search(source[event.start : event.end].rstrip())
            if found and len(found[1]) < _UNDERLINE_CHARS:
                yield event.start + found.start(1), event.start + found.end(1), hide(found[1].decode())
            elif found and found[1].startswith(b"-"):
                yield event.start + found.start(1), event.start + found.end(1), "*" * len(found[1])


@dataclass
class _Numbering:
    """The numbers of a list, whose items may end in "." or ")", but all in the same one."""

    shown: int | None  # at the item that comes next; None in a list without numbers
    written: int = 0
    changed: bool = False


def numbers(source: bytes, events: Iterable[Event]) -> Iterator[Edit]:
    """Begin another list where the numbers jump; within one, the parser counts on by itself.

    "1. 1. 1." is left to it: many write so, and mean 1, 2, 3.
    """
    lists: list[_Numbering] = []
    for event in events:
        if event.name == "List":
            lists[-1:] = [*lists[-1:], _Numbering(event.data)] if event.kind == "Start" else []
        elif event.name == "Item" and event.kind == "Start" and lists[-1].shown is not None:
            yield from _number(source, event, lists[-1], lists[-1].shown)


def _number(source: bytes, item: Event, numbering: _Numbering, shown: int) -> Iterator[Edit]:
    found = _NUMBER.match(source, item.start)
    written = int(found[1]) if found else shown
    if written != shown and not written == numbering.written == 1:
        numbering.changed = not numbering.changed
        shown = written
    numbering.shown, numbering.written = shown + 1, written
    if found and numbering.changed:
        yield found.start(2), found.end(2), ")" if found[2] == b"." else "."


def excess_cells(source: bytes, events: Iterable[Event]) -> Iterator[Edit]:
    """Put cells beyond the header's number, which Markdown leaves out, into the last one."""
    cells_end = 0
    for event in events:
        if event.name == "TableRow":
            if event.kind == "End":
                yield from _pipes(source[cells_end : event.end].rstrip(), cells_end)
            cells_end = event.start
        elif event.name == "TableCell":
            cells_end = max(cells_end, event.end)


def _pipes(excess: bytes, start: int) -> Iterator[Edit]:
    """Hide those before more cells; the last one ends the row."""
    if excess.strip(b"|> "):
        for found in re.finditer(rb"\|(?!\Z)", excess):
            yield start + found.start(), start + found.end(), hide("|")
