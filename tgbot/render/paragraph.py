"""Hides what is Markdown in a paragraph by accident: in code, paths, globs and regular expressions.

Marks format only in pairs. A backslash escapes only what would format without it. HTML's entities are text,
like its tags.
"""

import re
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from operator import attrgetter

from tgbot.render.literal import hide, reveal_in_place
from tgbot.render.marks import MAX_MARK_CHARS, Mark

_TOKEN = re.compile(
    r"(?P<address>https?://[!-\[\]-~]*[A-Za-z0-9/#$%&+=@-])|(?P<entity>&(?=#?\w{1,32};))"
    r"|(?P<glob>\\?\*\.\*)|(?P<backslash>\\[!-/:-@\[-`{-~]?)|(?P<word>\w+)|(?P<space>\s+)|(?P<bracket>[()\[\]{}])"
    r"|(?P<run>\*+|~+|\|\|+)"
)
_UNDERSCORE = re.compile("_")
_CHUNK = re.compile(r"\S*")
# In a regular expression or a path, as \d+ or C:\*, no backslash is Markdown's.
_CODE = re.compile(r"\\[A-Za-z0-9.+?^|/<>()\[\]{}]|^\W*[A-Za-z]:\\")
_ESCAPED = re.compile(r"(?<![/^])\\(?:[*_`~#](?!\.\w|/)|\$(?=\d))")
_LINE_BREAK = re.compile(r"(?<=[\w.,:;!?*_])\\(?=\n)")  # behind anything else, code goes on in the next line
_REMEMBERED_CHARS = 4096
_ESCAPED_MARKER = re.compile(r"(?:\d{1,9}\\[.)]|\\[-+>])(?!\S)")  # of a list or quote


def literal(paragraph: str, *, in_table: bool = False) -> str:
    """Hide all punctuation that neither formats nor is a HOLE, which stands for code or an address.

    Spoilers become tags, because the library does not find ||bars|| around code.
    """
    read = _remembered if len(paragraph) <= _REMEMBERED_CHARS else _literal
    return read(paragraph, in_table=in_table)


def _literal(paragraph: str, *, in_table: bool) -> str:
    return "".join(_Reader(paragraph, in_table=in_table).shown)


_remembered = lru_cache(maxsize=256)(_literal)  # a stream's paragraphs are read again for each preview


def closing(paragraph: str) -> str:
    """Return the marks that close what the paragraph leaves open."""
    reader = _Reader(paragraph)
    opened = [marks[-1] for marks in reader.opened.values() if marks and not reader.begins_name(marks[-1])]
    opened.sort(key=attrgetter("start"), reverse=True)
    return "".join(mark.char * mark.length for mark in opened)


class _Reader:
    """Reads a paragraph once, from left to right."""

    def __init__(self, paragraph: str, *, in_table: bool = False) -> None:
        self.shown = list(paragraph)
        self.opened: defaultdict[tuple[str, int], list[Mark]] = defaultdict(list)
        self._text = reveal_in_place(paragraph)
        self._literal: set[int] = set()
        self._end = len(self._text.rstrip("*_~| \n"))
        self._in_table = in_table
        self._depth = self._chunk = self._chunk_start = 0
        self._code_chunk = (-1, False)
        self._read()
        for at in self._literal:
            self.shown[at] = hide(self.shown[at])

    def _read(self) -> None:
        readers = {
            "address": self._hide,
            "entity": self._hide,
            "glob": self._hide,
            "backslash": self._backslash,
            "word": self._word,
            "space": self._space,
            "bracket": self._bracket,
            "run": self._run,
        }
        for token in _TOKEN.finditer(self._text):
            readers[token.lastgroup or ""](token.start(), token.end())

    def _hide(self, start: int, end: int) -> None:
        self._literal.update(range(start, end))

    def _space(self, _: int, end: int) -> None:
        self._chunk += 1
        self._chunk_start = end

    def _bracket(self, start: int, end: int) -> None:
        self._hide(start, end)  # links are holes; nothing else may become one
        if self._text[start] in "([{":
            self._depth += 1
        elif self._depth:
            self._depth -= 1
            for marks in self.opened.values():
                while marks and marks[-1].depth > self._depth:
                    marks.pop()  # what was opened within brackets ends there
        else:
            self.opened["*", 1].clear()  # the brackets may have begun in an earlier paragraph

    def _backslash(self, start: int, end: int) -> None:
        if self._escapes(start, end):
            self.shown[start] = ""
            start += 1
        self._hide(start, end)

    def _escapes(self, start: int, end: int) -> bool:
        if self._in_table and self._text[start:end] == "\\|":
            return True
        begins_line = self._chunk_start == 0 or self._text[self._chunk_start - 1] == "\n"
        if begins_line and _ESCAPED_MARKER.match(self._text, self._chunk_start):
            return True
        escape = _ESCAPED.match(self._text, start) or _LINE_BREAK.match(self._text, start)
        return escape is not None and not self._in_code()

    def _in_code(self) -> bool:
        """Whether what stands here without spaces around is a path or a regular expression."""
        if self._code_chunk[0] != self._chunk:
            chunk = _CHUNK.match(self._text, self._chunk_start)
            self._code_chunk = self._chunk, bool(chunk and _CODE.search(chunk[0]))
        return self._code_chunk[1]

    def begins_name(self, mark: Mark) -> bool:
        """Whether what the paragraph ends with may become a name like __init__."""
        name = self._text[mark.end :]
        return mark.char == "_" and name.isidentifier() and (mark.length > 1 or "_" in name)

    def _word(self, start: int, end: int) -> None:
        """Let underscores format at the ends of words, except in names like __init__ or _x_y_."""
        word = self._text[start:end]
        if "_" not in word:
            return
        self._literal.update(start + found.start() for found in _UNDERSCORE.finditer(word))
        name = word.strip("_")
        before, after = len(word) - len(word.lstrip("_")), len(word) - len(word.rstrip("_"))
        if not name:
            self._run(start, end)
        elif before == after == 1 and "_" not in name:
            self._around(self._mark(start, start + 1), self._mark(end - 1, end))
        elif before and not after:
            self._open(self._mark(start, start + before))
        elif after and not before:
            self._close(self._mark(end - after, end))

    def _around(self, opener: Mark, closer: Mark) -> None:
        quoted = opener.before == closer.after and opener.before in {"'", '"'}
        name = quoted or closer.ahead.strip().startswith("=")
        if not name and opener.opens() and closer.closes() and opener.pairs(closer):
            self._keep(opener, closer)

    def _run(self, start: int, end: int) -> None:
        self._hide(start, end)
        mark = self._mark(start, end)
        if not mark.formats or self._close(mark):
            return
        if mark.within_word:
            self._multiply(mark)
        else:
            self._open(mark)

    def _mark(self, start: int, end: int) -> Mark:
        text = self._text
        behind, ahead = text[max(0, start - 4) : start], text[end : end + 2]
        return Mark(text[start], start, end, behind, ahead, self._depth, self._chunk)

    def _multiply(self, mark: Mark) -> None:
        """Let the first asterisk of *a*b* open nothing."""
        opener = self._opener(mark.char, mark.length)
        if opener and opener.chunk == mark.chunk:
            self.opened[mark.char, mark.length].pop()

    def _open(self, mark: Mark) -> None:
        if mark.formats and mark.opens():
            self.opened[mark.char, mark.length].append(mark)

    def _close(self, mark: Mark) -> bool:
        if not (mark.formats and mark.closes()):
            return False
        if mark.length == MAX_MARK_CHARS and not self._opener(mark.char, mark.length):
            return self._close_two(mark)
        opener = self._opener(mark.char, mark.length) or self._opener(mark.char, MAX_MARK_CHARS)
        if not (opener and self._fit(opener, mark)):
            return False
        self.opened[opener.char, opener.length].pop()
        self._keep(replace(opener, start=opener.end - mark.length), mark)
        if opener.length > mark.length:  # ***bold** italic*
            self._open(replace(opener, end=opener.end - mark.length))
        return True

    def _close_two(self, mark: Mark) -> bool:
        """Close **bold *italic***, and the other way round."""
        openers = [self._opener(mark.char, length) for length in (1, 2)]
        if not all(opener and self._fit(opener, mark) for opener in openers):
            return False
        for length in (1, 2):
            self._keep(self.opened[mark.char, length].pop(), mark)
        return True

    def _opener(self, char: str, length: int) -> Mark | None:
        marks = self.opened.get((char, length))
        return marks[-1] if marks else None

    def _fit(self, opener: Mark, closer: Mark) -> bool:
        """Whether a pair makes sense where it stands.

        Nobody begins italics in italics: "*a, *b; void* c" is code. At the end of a paragraph, a bracket that
        is still open is a smiley, or will be closed.
        """
        if opener.length == 1 and opener.chunk != closer.chunk and len(self.opened[opener.char, 1]) > 1:
            return False
        return (opener.depth == closer.depth or closer.start >= self._end) and opener.pairs(closer)

    def _keep(self, opener: Mark, closer: Mark) -> None:
        for mark, tag in ((opener, "<tg-spoiler>"), (closer, "</tg-spoiler>")):
            self._literal.difference_update(range(mark.start, mark.end))
            if mark.char == "|":
                self.shown[mark.start : mark.end] = tag, ""
