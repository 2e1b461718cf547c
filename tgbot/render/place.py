"""A place in unfinished Markdown where a message may end: what is open there, and how the rest goes on."""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from tgbot.render.fences import FENCE, opened_fences
from tgbot.render.stream import closing, settled, whole_rows

_TABLE = re.compile(  # its header, and the line below that makes it one
    r"^[^\n]*\|[^\n]*\n[ >]*\|?(?:[ :]*-+[ :]*\|)+[ :]*(?:-+[ :]*)?(?:\n|\Z)", re.MULTILINE
)
_BLANK_LINE = re.compile(r"\n[ \t>]*(?=\n)")
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)*")
_QUOTE = re.compile(r"[ >]*>[ >]*|")
_BLOCK_START = re.compile(
    r"\s*(?:[-+*#>|=]|\d+[.)]|`{3}|~{3})"
)  # at the start of a line; within one it is text
_ITEM = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]")
_INDENT = re.compile(r"[ \t]*")
_DEEP = re.compile(r" {4}| {0,3}\t")  # outside of a list, it makes code


@dataclass(frozen=True)
class Place:
    """The place is before `markdown[end]`."""

    markdown: str
    end: int

    @cached_property
    def head(self) -> str:
        """What stands before it."""
        return self.markdown[: self.end]

    @cached_property
    def rest(self) -> str:
        """What stands after it, below the lines that open its block again."""
        if self._fences:
            return "\n".join([*self._fences, self._after])
        if self._in_line:
            return _found(_QUOTE, self._line) + self._after.lstrip()
        after = self._after[len(_found(_BLANK_LINES, self._after)) :]
        return self._table + (_dedented(after) if self._deep else after)

    @property
    def shortens(self) -> bool:
        """Whether less is left to go on with: else cutting would never end."""
        return bool(self.head.strip()) and len(self.unclosed + self.rest) < len(self.markdown)

    @property
    def reopens(self) -> bool:
        """Whether a block goes on in the rest."""
        return bool(self._fences or self._table)

    @property
    def clean(self) -> bool:
        """Whether it breaks no formatting, and no line that is more than text."""
        if self._fences:
            return not (self._in_line or self._fence_beside or _DEEP.match(self._fences[0]))
        if self._in_line and _BLOCK_START.match(self._after):
            return False
        return not self._in_row and (bool(self._table) or self._settled) and not self._in_formula

    @cached_property
    def unclosed(self) -> str:
        """The marks that close what is open."""
        return "" if self._fences else closing(self._block)

    @property
    def _after(self) -> str:
        return self.markdown[self.end :]

    @property
    def _in_line(self) -> bool:
        return not self.head.endswith("\n")

    @property
    def _line(self) -> str:
        return self.head[self.head.rfind("\n") + 1 :]

    @cached_property
    def _fences(self) -> list[str]:
        return opened_fences(self.head)

    @property
    def _fence_beside(self) -> bool:
        """Whether code would be cut off before its first line or after its last one."""
        last_line = self.head.rstrip()[-len(self._fences[-1].rstrip()) :]
        return last_line == self._fences[-1].rstrip() or FENCE.match(self._after) is not None

    @cached_property
    def _block(self) -> str:
        """The lines before it as far as no blank line or code comes between."""
        starts = [found.end() for pattern in (_BLANK_LINE, FENCE) for found in pattern.finditer(self.head)]
        return self.head[max(starts, default=0) :]

    @property
    def _settled(self) -> bool:
        """Whether no style, code, link or marker has only begun."""
        block = self._block
        return not self.unclosed and settled(block).rstrip() == block.rstrip() == whole_rows(block).rstrip()

    @property
    def _in_formula(self) -> bool:
        block = self._block
        return block.count("$$") % 2 == 1 or block.rfind("\\[") > block.rfind("\\]")

    @property
    def _in_row(self) -> bool:
        """Whether it is in the head or in a row of a table."""
        table = self._last_table
        return table is not None and (self._in_line or self.end <= table.end())

    @property
    def _table(self) -> str:
        """The head of the table that goes on in the rest."""
        goes_on = not self._in_line and "|" in self._after.partition("\n")[0]
        return self._last_table[0] if goes_on and self._last_table else ""

    @cached_property
    def _last_table(self) -> re.Match[str] | None:
        line_end = self.markdown.find("\n", self.end)
        limit = line_end + 1 if line_end >= 0 else len(self.markdown)
        tables = _TABLE.finditer(self.markdown, self.end - len(self._block), limit)
        return max((table for table in tables if table.start() < self.end), key=re.Match.start, default=None)

    @cached_property
    def _deep(self) -> bool:
        """Whether the rest would begin with code, because it is deep in a list."""
        after = self._after[len(_found(_BLANK_LINES, self._after)) :]
        return not self._in_line and _DEEP.match(after) is not None and _indented_by_outer(self.head, after)


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.match(text)
    return found[0] if found else ""


def _indented_by_outer(head: str, after: str) -> bool:
    """Whether the indentation is that of a list, or of a paragraph's next line, and does not make code."""
    indent = len(_found(_INDENT, after))
    blank = False
    for line in reversed(head.removesuffix("\n").split("\n")):
        if line.strip() and len(_found(_INDENT, line)) < indent:
            return not blank or _ITEM.match(line) is not None
        blank = blank or not line.strip()
    return False


def _dedented(markdown: str) -> str:
    """Remove the first line's indentation from all lines that have it, up to the first that has not."""
    indent = _found(_INDENT, markdown)
    lines = markdown.split("\n")
    inside = list(takewhile(lambda line: line.startswith(indent) or not line.strip(), lines))
    return "\n".join([line.removeprefix(indent) for line in inside] + lines[len(inside) :])
