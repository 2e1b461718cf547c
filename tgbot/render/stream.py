"""Cuts the Markdown itself: to the readable end of an unfinished answer, or to the start of a long one."""

import re

from tgbot.render.clean import without_surrogates
from tgbot.render.fences import FENCE, opened_fence, outgrown
from tgbot.render.literal import HOLE
from tgbot.render.paragraph import closing as closing_marks

_HALF_LINE = re.compile(
    r"(?:^|(?<=\n))[ >]*(?:[-=*+_#|:]|`{1,2}|~{1,2}|\d+[.)]?)[-=*_#|:`~ ]*(?:\[[ xX]?\]? ?)?\Z"
)
_HALF_ADDRESS = r"\((?:[^()\s]|\([^()\s]*\))*(?:\([^()\s]*)?"
_HALF_LINK = re.compile(rf"(?<!\w)!?\[([^\[\]\n]*)(?:\](?:{_HALF_ADDRESS})?)?\Z")
_HALF_MARKER = re.compile(r"(?:^|(?<=\s))[*_~`|]+\s*\Z")
_HALF_ROW = re.compile(r"(?:^|(?<=\n))[ >]*\|(?!\|)[^\n]*\Z")
_HEADER_ROW = re.compile(r"(\A|(?:\A|\n)(?![ >]*\|)[^\n]*\n)[ >]*\|(?!\|)[^\n]*\n\Z")
_BLOCK = re.compile(r"\n(?=\s|[>#|*+-]|\d+[.)])")
_CODE = re.compile(r"`[^`]*`|\\.")
HEADING_END = re.compile(r"(?<!\n)(?P<before>\n++)(?:(?:#{1,6} [^\n]*+|\*\*[^*\n]++\*\*:?)\s*+)+\Z")


def settled(markdown: str) -> str:
    """Drop or close what the next words of a stream will complete, so that nothing flickers.

    A list's first "-" would make the line above a heading for a moment, "**bo" would show two asterisks.
    """
    markdown = outgrown(without_surrogates(markdown), unfinished=True)
    if opened_fence(markdown):
        return re.sub(r"\n[`~]{1,2}\Z", "", markdown)
    if FENCE.match(markdown, markdown.rstrip().rfind("\n") + 1):
        return markdown
    markdown = _HALF_LINK.sub(r"\1", _HALF_LINE.sub("", markdown))
    end = len(markdown.rstrip())
    if markdown.count("\n", end) > 1:
        return markdown[:end]  # the paragraph is over: what it has not closed by now is text
    markdown = _without_half_mark(_HALF_MARKER.sub("", markdown).rstrip())
    return markdown + closing(markdown)


def _without_half_mark(markdown: str) -> str:
    """Drop what may be the first half of a closing mark, as in "**bold*"."""
    marks = closing(markdown)
    if not marks:
        return markdown
    missing = len(marks) - len(marks.lstrip(marks[0]))
    start = len(markdown.rstrip(marks[0]))
    return markdown[:start] if 0 < len(markdown) - start < missing else markdown


def whole_rows(markdown: str) -> str:
    """Drop the row that a table in a stream ends with: whole, it is no line of pipes, and moves no column.

    A header is dropped too until the line below it, which makes it one, is there.
    """
    if opened_fence(markdown):
        return markdown
    return _HEADER_ROW.sub(r"\1", _HALF_ROW.sub("", markdown))


def closing(markdown: str) -> str:
    """Return what closes the code and styles that the last block leaves open."""
    start = max((found.end() for found in _BLOCK.finditer(markdown)), default=0)
    block, backtick, _ = _CODE.sub(HOLE, markdown[start:]).partition("`")
    return backtick + closing_marks(block)


def cut(markdown: str, max_chars: int) -> tuple[str, str]:
    """Cut off at most max_chars, before a paragraph, line or word; an open code block goes on in the rest."""
    if len(markdown) <= max_chars:
        return markdown, ""
    found = (markdown.rfind(separator, max_chars // 2, max_chars) for separator in ("\n\n", "\n", " "))
    end = next((at for at in found if at > 0), max_chars)
    if heading := HEADING_END.search(markdown, 1, end):
        end = heading.start()  # it belongs to what follows
    head, rest = markdown[:end], markdown[end:].lstrip("\n")
    fence = opened_fence(head)
    return head, f"{fence}\n{rest}" if fence else rest
