"""Finds the paragraphs, headings and cells of a document, and hides in each what only looks like Markdown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tgbot.render.events import Edit, Event
from tgbot.render.literal import HOLE
from tgbot.render.paragraph import literal

_OPAQUE = {"Code", "InlineMath", "DisplayMath"}
_LEAVES = {"Text", "SoftBreak", "HardBreak", *_OPAQUE}
_LINKS = {"Link", "Image"}
_INLINE = {"Emphasis", "Strong", "Strikethrough", *_LINKS}


@dataclass
class _Paragraph:
    """Where it is in the source; holes are its code, its formulas, and all of a link but the label."""

    start: int
    end: int
    in_table: bool
    holes: list[tuple[int, int]] = field(default_factory=list)
    _label_ends: list[int] = field(default_factory=list)  # of the links that are open, as far as read

    def add(self, event: Event) -> None:
        """Let it reach to the end of the event."""
        self.end = max(self.end, event.end)
        link = event.name in _LINKS
        if event.kind in _OPAQUE:
            self.holes.append((event.start, event.end))
        elif link and event.kind == "End":
            self.holes.append((self._label_ends.pop(), event.end))
        if self._label_ends:
            self._label_ends[-1] = max(self._label_ends[-1], event.end)
        if link and event.kind == "Start":
            opened = _label_start(event)
            self.holes.append((event.start, opened))
            self._label_ends.append(opened)


def literal_marks(source: bytes, events: Iterable[Event]) -> Iterator[Edit]:
    """Yield an edit for every paragraph in which something is hidden."""
    for paragraph in _paragraphs(source, events):
        text = _rewritten(source, paragraph)
        if text.encode() != source[paragraph.start : paragraph.end]:
            yield paragraph.start, paragraph.end, text


def _paragraphs(source: bytes, events: Iterable[Event]) -> Iterator[_Paragraph]:
    paragraph: _Paragraph | None = None
    in_code = in_table = False
    for event in events:
        in_code = event.kind == "Start" if event.name == "CodeBlock" else in_code
        in_table = event.kind == "Start" if event.name == "TableCell" else in_table
        if not in_code and (event.kind in _LEAVES or event.name in _INLINE):
            paragraph = paragraph or _Paragraph(_start(source, event), event.end, in_table)
            paragraph.add(event)
        elif paragraph:
            yield paragraph
            paragraph = None
    if paragraph:
        yield paragraph


def _start(source: bytes, event: Event) -> int:
    r"""Return where a paragraph starts with this event, which leaves out the backslash of \*."""
    return event.start - 1 if source[event.start - 1 : event.start] == b"\\" else event.start


def _label_start(link: Event) -> int:
    if link.data["link_type"] in {"Autolink", "Email"}:
        return link.end
    return link.start + (2 if link.name == "Image" else 1)


def _rewritten(source: bytes, paragraph: _Paragraph) -> str:
    pieces: list[str] = []
    held: list[str] = []
    cursor = paragraph.start
    for start, end in paragraph.holes:
        if start >= cursor and start < end:
            pieces.append(source[cursor:start].decode())
            held.append(source[start:end].decode())
            cursor = end
    pieces.append(source[cursor : paragraph.end].decode())
    shown = literal(HOLE.join(pieces), in_table=paragraph.in_table).split(HOLE)
    return shown[0] + "".join(hole + piece for hole, piece in zip(held, shown[1:], strict=True))
