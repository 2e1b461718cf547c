"""Reads the fences of code blocks, including a block within a block, at whose end CommonMark ends both."""

import re

# The groups: what stands before the fence, the fence, its info string.
FENCE = re.compile(r"^([ >]*)(`{3,}|~{3,})(.*)$", re.MULTILINE)
_HOLDS_BLOCKS = {"", "markdown", "md", "mdx", "text", "txt"}


def opened_fence(markdown: str) -> str:
    """Return the line that opened the code block in which the Markdown ends, or nothing."""
    opening: re.Match[str] | None = None
    for line in FENCE.finditer(markdown):
        if opening is None:
            opening = line if _opens(line) else None
        elif line[2].startswith(opening[2]) and not line[3].strip():
            opening = None
    return opening[0] if opening else ""


def opened_fences(markdown: str) -> list[str]:
    """Return the lines that opened the blocks in which the Markdown ends, the outermost first."""
    nesting = _Nesting()
    for line in FENCE.finditer(markdown):
        nesting.read(line)
    if not nesting.opened or nesting.end(unfinished=True):
        return [line[0] for line in nesting.opened]
    return [fence] if (fence := opened_fence(markdown)) else []


def outgrown(markdown: str, *, unfinished: bool = False) -> str:
    """Make the fences of a block longer than those of the blocks within it, as CommonMark wants them.

    Within a block, a fence with an info string opens another one, and a bare fence closes the innermost.
    Fences are read like this only if every block gets closed, or still may, in an unfinished text.
    """
    nesting = _Nesting()
    for line in FENCE.finditer(markdown):
        nesting.read(line)
    return _inserted(markdown, nesting.end(unfinished=unfinished))


class _Nesting:
    def __init__(self) -> None:
        self.opened: list[re.Match[str]] = []  # the outermost fence first
        self._longest_chars = 0  # of the fences within the outermost
        self._inserts: list[tuple[int, str]] = []

    def read(self, line: re.Match[str]) -> None:
        if self.opened and _quotes(line) < _quotes(self.opened[0]):
            self.opened.clear()  # the quote ended, and with it the block
        if not self.opened:
            self.opened, self._longest_chars = [line] if _opens(line) else [], 0
        elif line[2].startswith(self.opened[-1][2]) and _quotes(line) == _quotes(self.opened[0]):
            self._read_within(line)

    def _read_within(self, line: re.Match[str]) -> None:
        if line[3].strip():
            self.opened += [line] if _opens(line) else []
        else:
            opening = self.opened.pop()
            if not self.opened:
                self._outgrow(opening, line)
        if self.opened:
            self._longest_chars = max(self._longest_chars, len(line[2]))

    def _outgrow(self, *fences: re.Match[str]) -> None:
        for fence in fences:
            missing = self._longest_chars + 1 - len(fence[2]) if self._longest_chars else 0
            self._inserts.append((fence.end(2), fence[2][0] * missing))

    def end(self, *, unfinished: bool) -> list[tuple[int, str]]:
        """Return the places and what to insert there, in order; nothing if a block is not closed."""
        if not self.opened:
            return self._inserts
        outermost, info = self.opened[0], self.opened[0][3].strip()
        if self._longest_chars == 0:
            return self._inserts if info or unfinished else []
        if unfinished and info.split(" ")[0].lower() in _HOLDS_BLOCKS:
            self._outgrow(outermost)
            return self._inserts
        return []


def _opens(line: re.Match[str]) -> bool:
    return line[2][0] == "~" or "`" not in line[3]  # "```x```" is code within a line


def _quotes(line: re.Match[str]) -> int:
    return line[1].count(">")


def _inserted(markdown: str, inserts: list[tuple[int, str]]) -> str:
    pieces: list[str] = []
    cursor = 0
    for at, inserted in inserts:
        pieces += markdown[cursor:at], inserted
        cursor = at
    return "".join([*pieces, markdown[cursor:]])
