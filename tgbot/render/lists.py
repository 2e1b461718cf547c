"""Line breaks between the blocks of a list item, which telegramify-markdown runs into each other."""

from collections.abc import Iterable, Iterator

from tgbot.render.events import Edit, Event
from tgbot.render.literal import LINE_BREAK


def line_breaks(events: Iterable[Event]) -> Iterator[Edit]:
    """Yield an edit where an item's text would touch a block before or after it."""
    item = _Item()
    for event in events:
        at = item.follow(event)
        if at is not None:
            yield at, at, LINE_BREAK


class _Item:
    """Mirrors what the library has written last, to know where it breaks the line itself."""

    def __init__(self) -> None:
        self._lists = 0
        self._blocks = 0  # after the first block of the document, it breaks the line before each further one
        self._in_block = False
        self._after_block = False
        self._text_end: int | None = None  # where the source of the item's unbroken text ends

    def follow(self, event: Event) -> int | None:
        """Return where in the source a line break has to go, if one is missing before this event."""
        if event.name in {"CodeBlock", "Heading", "BlockQuote"} or event.kind in {"Rule", "DisplayMath"}:
            return self._block(event)
        if event.name in {"List", "Item", "Paragraph"}:
            self._line(event)
        elif self._lists and not self._in_block:
            return self._inline(event)
        return None

    def _block(self, event: Event) -> int | None:
        missing = None if self._blocks or event.kind in {"End", "DisplayMath"} else self._text_end
        self._in_block = event.kind == "Start" and event.name != "BlockQuote"
        if event.kind != "Start":
            self._blocks += 1
            # The paragraph at a quote's end has broken the line already.
            self._after_block = event.name in {"CodeBlock", "Heading"} or event.kind == "Rule"
        self._text_end = None
        return missing

    def _line(self, event: Event) -> None:
        if event.name == "List":
            self._lists += 1 if event.kind == "Start" else -1
        if event.kind == "End" and not self._lists:
            self._blocks += 1
        if event.kind == "End" or event.name == "Item":
            self._after_block, self._text_end = False, None

    def _inline(self, event: Event) -> int | None:
        missing = event.start if self._after_block else None
        self._after_block, self._text_end = False, event.end
        return missing
