"""Where a mark formats: in **bold**, *italic* and ||spoiler||, but not in x**2, *.py and a||b.

It is stricter than CommonMark: what may as well be code, a path or a glob is text.
"""

import re
from dataclasses import dataclass

from tgbot.render.literal import HOLE

MAX_MARK_CHARS = 3  # ***bold and italic***
# Chinese, Japanese, Thai and others have no spaces around words: there a mark may stand between two letters.
_LETTER = re.compile(r"[^\W_\u0e00-\u109f\u1780-\u17ff\u2e80-\U0010ffff]")
_GLOB = re.compile(r"(?!etc)\w{3}\.\Z")  # *test.*, but *e.g.*
_ENCLOSED = {"''", '""', "()", "[]", "{}", "<>", "“”", "\u2018\u2019", "«»", "||", "--", HOLE + HOLE}


@dataclass(frozen=True, slots=True)
class _Rules:
    """Characters that must not stand beside an opening or a closing mark.

    With strict rules, those outside of the formatted text are instead the only ones that may, with spaces.
    """

    before_opener: str
    after_opener: str
    before_closer: str
    after_closer: str
    strict: bool = False


_LIGHT = _Rules(  # *i* and _i_
    rf"/\.@#$%&=+)]}}{HOLE}", r",.;:!?)]}>/\|=%+^", r"/\([{]}$@", rf"/\([{{<>=@#$%&{HOLE}"
)
_HEAVY = _Rules(")]}", ",;)]}", "([{", "")  # **b**, __b__ and ***both***
_STRICT = _Rules("([{*_~>-:", ",;)]}=/.|", "([{", ".,;:!?)]}*_~-", strict=True)  # ~~s~~ and ||s||


@dataclass(frozen=True, slots=True)
class Mark:
    """A run of one character, with the four characters before it and the two after it."""

    char: str
    start: int
    end: int
    behind: str
    ahead: str
    depth: int  # how many brackets are open
    chunk: int  # which of the text's pieces without spaces it belongs to

    @property
    def before(self) -> str:
        """The character before it, or nothing. In my_* that is the y: the asterisk stands behind a word."""
        in_word = self.behind.endswith("_") and self.behind[-2:-1].isalnum()
        return self.behind[-2:-1] if in_word else self.behind[-1:]

    @property
    def after(self) -> str:
        """The character after it, or nothing."""
        return self.ahead[:1]

    @property
    def length(self) -> int:
        """In characters."""
        return self.end - self.start

    @property
    def formats(self) -> bool:
        """Whether a run of this length means anything."""
        return self.length in ((2,) if self.char in "~|" else (1, 2, MAX_MARK_CHARS))

    @property
    def within_word(self) -> bool:
        """Whether a letter or digit stands on both sides."""
        return _is_letter(self.before) and _is_letter(self.after)

    def opens(self) -> bool:
        """Whether formatting may begin here."""
        rules, before, after = self._rules, self.before, self.after
        if not after.strip() or before + after in _ENCLOSED or after in rules.after_opener:
            return False
        if _is_letter(before) and not _is_unspaced(after):
            return False
        if rules is _LIGHT and after in "\"'" and before.strip() and before not in "([{":
            return False  # 'src:*'
        if before == "/" and rules is _HEAVY:
            return after.isalnum()  # **this**/**that**
        return _may_stand_outside(before, rules, rules.before_opener)

    def closes(self) -> bool:
        """Whether formatting may end here, if `pairs` agrees."""
        rules, before, after = self._rules, self.before, self.after
        if not before.strip() or before + after in _ENCLOSED or before in rules.before_closer:
            return False
        if rules is _LIGHT and after == "." and self.ahead[1:].isalnum():
            return False  # lib*.so
        return _may_stand_outside(after, rules, rules.after_closer)

    def pairs(self, closer: "Mark") -> bool:
        """Whether what may begin here ends there."""
        together = self.chunk == closer.chunk
        if _is_letter(closer.after) and not _is_unspaced(closer.before):  # **API**s
            return together and closer.length > 1 and closer.before.isalnum() and closer.after.islower()
        if closer.before == "/":  # **src/** is a folder in bold, **/test/** a glob
            return together and "/" not in (self.after, closer.after)
        return not (together and closer.char == "*" and closer.length == 1 and _GLOB.search(closer.behind))

    @property
    def _rules(self) -> _Rules:
        if self.char in "~|":
            return _STRICT
        return _LIGHT if self.length == 1 else _HEAVY


def _is_letter(char: str) -> bool:
    return _LETTER.fullmatch(char) is not None


def _is_unspaced(char: str) -> bool:
    return char.isalnum() and not _is_letter(char)


def _may_stand_outside(char: str, rules: _Rules, listed: str) -> bool:
    if not char.strip():
        return True
    if rules.strict:
        return char in listed or not (char.isascii() or char == HOLE or _is_letter(char))
    return char not in listed
