"""The parser's events in one shape: the kind, the element, and the bytes of the source that it covers."""

from typing import Any, NamedTuple

import pyromark
from pyromark import Options

OPTIONS = (  # what telegramify-markdown parses with, so that both see the same document
    Options.ENABLE_TABLES | Options.ENABLE_STRIKETHROUGH | Options.ENABLE_TASKLISTS | Options.ENABLE_MATH
)


Edit = tuple[int, int, str]  # replace the UTF-8 bytes of the source from start to end with the string


class Event(NamedTuple):
    """`kind` is Start, End or a leaf's name; `name` the element of a Start or End; offsets in UTF-8 bytes."""

    kind: str
    name: str
    data: Any
    start: int
    end: int

    @property
    def text(self) -> str:
        """What a leaf shows without its formatting."""
        if self.kind in {"Text", "Code", "InlineMath", "DisplayMath"}:
            return str(self.data)
        return " " if self.kind in {"SoftBreak", "HardBreak"} else ""


def parse(source: bytes) -> list[Event]:
    """Parse Markdown in UTF-8, with the offsets of every event."""
    return [
        _event(event, covers["start"], covers["end"])
        for event, covers in pyromark.events_with_range(source.decode(), options=OPTIONS)
    ]


def _event(event: Any, start: int, end: int) -> Event:  # noqa: ANN401 - a union of 20 dict shapes
    kind, value = _item(event)
    if kind in {"Start", "End"}:
        return Event(kind, *_item(value), start, end)
    return Event(kind, "", value, start, end)


def _item(value: Any) -> tuple[str, Any]:  # noqa: ANN401 - as above
    return (value, None) if isinstance(value, str) else next(iter(value.items()))
