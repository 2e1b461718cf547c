"""Tables: monospace columns where a phone can show them, else one short paragraph a row."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tgbot.render.events import Edit, Event
from tgbot.render.literal import hide, reveal

MAX_COLUMNS = 40  # of monospace that fit a phone's screen; a wider block wraps and reads like noise
_BREAK = re.compile(rf"{re.escape(hide('<'))}br\s*/?>", re.IGNORECASE)


@dataclass
class _Cell:
    """`text` is what the cell shows, `markdown` its source, with formatting and links."""

    text: str = ""
    markdown: str = ""


@dataclass
class _Table:
    alignments: Sequence[str] = ()  # of each column: None (so it says), Left, Center or Right
    rows: list[list[_Cell]] = field(default_factory=list)
    linked: bool = False  # monospace can't carry links


def tables(source: bytes, events: list[Event]) -> Iterator[Edit]:
    """Yield an edit for every table of the source."""
    table = _Table()
    for event in events:
        if event.kind == "Start" and event.name == "Table":
            table = _Table(event.data)
        elif event.kind == "End" and event.name == "Table":
            yield event.start, event.end, _indented(source, event.start, _layout(table))
        else:
            _read(table, source, event)


def _read(table: _Table, source: bytes, event: Event) -> None:
    if event.name in {"TableHead", "TableRow"}:
        if event.kind == "Start":
            table.rows.append([])
    elif event.name == "TableCell" and event.kind == "Start":
        table.rows[-1].append(_Cell(markdown=_inline(source[event.start : event.end].decode())))
    elif table.rows and table.rows[-1]:
        table.rows[-1][-1].text += event.text
        table.linked = table.linked or event.name in {"Link", "Image"}


def _inline(cell: str) -> str:
    r"""Return a cell's source as it reads outside a table, where \| is no escape within code."""
    return _BREAK.sub(" ", cell.replace("\\|", hide("|"))).strip()


def _layout(table: _Table) -> list[str]:
    widths = [max(map(_width, column)) for column in zip(*table.rows, strict=True)]
    if table.linked or sum(widths) + 3 * (len(widths) - 1) > MAX_COLUMNS:
        return _records(*table.rows)
    header, *rows = (_aligned(row, widths, table.alignments) for row in table.rows)
    rule = "-+-".join("-" * width for width in widths)
    lines = [header, rule, *rows]
    fence = "`" * (3 + max((len(run) for run in re.findall("`+", "".join(lines))), default=0))
    return [fence, *lines, fence]


def _shown(cell: _Cell) -> str:
    return " ".join(_BREAK.sub(" ", cell.text).split())


def _width(cell: _Cell) -> int:
    from wcwidth import width  # noqa: PLC0415 - 20 ms of import that few processes need

    return width(reveal(_shown(cell)))


def _aligned(row: list[_Cell], widths: list[int], alignments: Sequence[str]) -> str:
    return " | ".join(map(_padded, row, widths, alignments)).rstrip()


def _padded(cell: _Cell, width: int, alignment: str) -> str:
    room = width - _width(cell)
    left = {"Right": room, "Center": room // 2}.get(alignment, 0)
    return " " * left + _shown(cell) + " " * (room - left)


def _records(header: list[_Cell], *rows: list[_Cell]) -> list[str]:
    if not rows:
        return [f" {hide('|')} ".join(cell.markdown for cell in header), ""]
    lines: list[str] = []
    for row in rows:
        first, *others = (_field(name, cell) for name, cell in zip(header, row, strict=True))
        lines += [f"**{first}**" if row[0].text == row[0].markdown else first, *others, ""]
    return lines


def _field(name: _Cell, cell: _Cell) -> str:
    return f"{hide(_shown(name))}: {cell.markdown or '-'}" if _shown(name) else f"• {cell.markdown}".rstrip()


def _indented(source: bytes, start: int, lines: list[str]) -> str:
    """Continue the quote or list item that holds the table on every line of its replacement."""
    line_start = source.rfind(b"\n", 0, start) + 1
    prefix = re.sub(r"[^>]", " ", source[line_start:start].decode())
    return f"\n{prefix}".join(lines).rstrip(" ") + "\n"
