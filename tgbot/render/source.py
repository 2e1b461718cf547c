"""Rewrites Markdown so that telegramify-markdown shows all of it.

Left alone, it drops `<...>`, links and images without a label, unused link definitions, and every mark that
CommonMark takes for formatting, and it links to addresses that Telegram refuses. Each is rewritten where the
parser finds it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from tgbot.render.blocks import excess_cells, numbers, underlines, without_false_blocks
from tgbot.render.clean import visible
from tgbot.render.events import Edit, Event, parse
from tgbot.render.fences import outgrown
from tgbot.render.formulas import formulas, without_other_dollars
from tgbot.render.inline import literal_marks
from tgbot.render.lists import line_breaks
from tgbot.render.literal import JOINER, hide, reveal, without_stand_ins
from tgbot.render.table import tables

MAX_URL_CHARS = 2048
PICTURE = "🖼 "
_NO_AUTOLINK = re.compile(r"<(?!(?:https?|tg)://[^\s<>]+>)")
# Chinese, Japanese and Korean have no spaces around words, where "**(x)**y" is not bold in CommonMark.
_UNSPACED = re.compile(r"(?<=[^\w\s*])(?=\*\*[^\W\x00-\x7f])|(?<=[^\W\x00-\x7f]\*\*)(?=[^\w\s*])")
_DEFINITION = re.compile(rb"^[ >*+\-\d.)]*(\[)(?=((?:[^\]\\]|\\.){1,999})\]:)", re.MULTILINE)
_SPACE = re.compile(r"[\s\x00-\x1f]")
_CITATION = re.compile(r"\^?\d+")  # "[1]" with its address elsewhere keeps its brackets
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+")
_ADDRESS = re.compile(r"[./#:?]")  # has one of these at least, if it is no web address
_CALLED = re.compile(r"[\w)\]]")  # before the brackets of an index
_TELEGRAM = re.compile(r"tg://(?!emoji)\w+(\?.*)?", re.IGNORECASE)  # most bots may send no custom emoji


def rewrite(markdown: str) -> str:
    """Rewrite cleaned Markdown for entities; the rendered text has to be revealed."""
    source, events = _literal(markdown)
    source, events = _edited(source, events, [*tables(source, events)])
    return _apply(source, [*_edits(source, events), *line_breaks(events)]).decode()


def rewrite_rich(markdown: str) -> str:
    """Rewrite cleaned Markdown for a rich message, which has tables and lists of its own."""
    source, events = _literal(markdown)
    return _apply(source, [*_edits(source, events), *_open_tasks(events)]).decode()


def _literal(markdown: str) -> tuple[bytes, list[Event]]:
    """Hide what only looks like Markdown."""
    markdown = outgrown(without_stand_ins(markdown))
    markdown = _NO_AUTOLINK.sub(hide("<"), without_other_dollars(without_false_blocks(markdown)))
    source = _UNSPACED.sub(JOINER, markdown).encode()
    events = parse(source)
    source, events = _edited(source, events, [*formulas(source, events), *excess_cells(source, events)])
    edits = [*literal_marks(source, events), *underlines(source, events), *numbers(source, events)]
    return _edited(source, events, edits)


def _edited(source: bytes, events: list[Event], edits: list[Edit]) -> tuple[bytes, list[Event]]:
    if not edits:
        return source, events
    source = _apply(source, edits)
    return source, parse(source)


def linkable(url: str) -> bool:
    """Whether Telegram accepts the address (TDLib, LinkManager::get_checked_link) and reads it as we do."""
    if len(url) > MAX_URL_CHARS or _SPACE.search(url):
        return False
    if _TELEGRAM.fullmatch(url):
        return True
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError:  # a bad port or IPv6 address
        return False
    return known and _HOST.fullmatch(parts.hostname or "") is not None


def _apply(source: bytes, edits: Iterable[Edit]) -> bytes:
    done: list[bytes] = []
    cursor = 0
    for start, end, replacement in sorted(edits):
        if start >= cursor:  # else it lies in what an earlier edit replaced
            done += source[cursor:start], replacement.encode()
            cursor = end
    return b"".join([*done, source[cursor:]])


@dataclass
class _Link:
    """A link or image whose label is being read."""

    opened: Event
    label_end: int
    label: str = ""

    @property
    def url(self) -> str:
        return reveal(self.opened.data["dest_url"]).strip("<>")

    @property
    def reference(self) -> str:
        return _label(self.opened.data["id"])


def _label(text: str) -> str:
    return " ".join(reveal(text).casefold().split())


def _edits(source: bytes, events: list[Event]) -> Iterator[Edit]:
    opened: list[_Link] = []
    used: set[str] = set()
    for event in events:
        if event.kind == "End" and event.name in {"Link", "Image"}:
            link = opened.pop()
            used.add(link.reference)
            yield from _link_edits(source, link, inside_link=bool(opened))
        for link in opened:
            link.label += event.text
            link.label_end = max(link.label_end, event.end)
        if event.kind == "Start" and event.name in {"Link", "Image"}:
            opened.append(_Link(event, label_end=event.start + 1))
    yield from _unused_definitions(source, used)


def _open_tasks(events: Iterable[Event]) -> Iterator[Edit]:
    """Show open tasks as open: in rich messages, the library's mark for them has a tick."""
    return (
        (event.start, event.end, "⬜")
        for event in events
        if event.kind == "TaskListMarker" and not event.data
    )


def _link_edits(source: bytes, link: _Link, *, inside_link: bool) -> Iterator[Edit]:
    """Make an image a link, show what has no label, and put an address that is no link beside its label."""
    start, end, url, label = link.opened.start, link.opened.end, link.url, reveal(link.label)
    picture = PICTURE if link.opened.name == "Image" else ""
    label_start = start + (2 if picture else 1)
    links = linkable(url) and not inside_link
    if not links and not picture and _is_code(source, link):
        yield start, label_start, hide("[")
        yield link.label_end, end, hide(source[link.label_end : end].decode())
    elif not visible(label):
        yield start, end, f"[{picture}image]({hide(url)})" if picture and links else hide(picture + url)
    elif not links:
        known = inside_link or url.removeprefix("mailto:") in label
        yield start, label_start, picture
        yield link.label_end, end, "" if known else f" {hide(f'({url})')}"
    elif picture:
        yield start, label_start, f"[{picture}"
        yield link.label_end, end, f"]({hide(url)})"
    elif _CITATION.fullmatch(label) and link.opened.data["link_type"] == "Shortcut":
        yield start, end, f"[{hide(f'[{label}]')}]({hide(url)})"


def _is_code(source: bytes, link: _Link) -> bool:
    """Whether it is a call rather than a link: handlers[i](x.y) follows a word, and [&](x) has no address."""
    before = reveal(source[max(0, link.opened.start - 3) : link.opened.start].decode(errors="ignore"))[-1:]
    inline = link.opened.data["link_type"] == "Inline"
    return inline and (not _ADDRESS.search(link.url) or _CALLED.fullmatch(before) is not None)


def _unused_definitions(source: bytes, used: set[str]) -> Iterator[Edit]:
    """Show `[1]: https://...` where nothing refers to it: CommonMark shows nothing, but a list of sources."""
    for found in _DEFINITION.finditer(source):
        label = _label(found[2].decode())
        if label not in used:
            yield found.start(1), found.end(1), hide("[")
        used.discard(label)  # a second definition has no effect either
