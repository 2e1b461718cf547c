"""Stand-ins for punctuation, which mean nothing in Markdown and are swapped back at the end."""

import html
import string

LINE_BREAK = "\u205f"  # shown as a line break, read as a space of a kind that Markdown doesn't trim
JOINER = "\uffff"  # shown as nothing, read as a letter
HOLE = "\ufffe"  # the place of code or an address, which is not read along with the text around it
# Unicode has 32 noncharacters in a row, which never occur in text, and ASCII 32 punctuation characters.
_STAND_INS = [chr(0xFDD0 + i) for i in range(len(string.punctuation))]
_HIDE = dict(zip(map(ord, string.punctuation), _STAND_INS, strict=True))
_PUNCTUATION = dict(zip(map(ord, _STAND_INS), string.punctuation, strict=True))
_REVEAL = _PUNCTUATION | {ord(LINE_BREAK): "\n"}
_REVEAL_HTML = {code: html.escape(char) for code, char in _PUNCTUATION.items()} | {ord(JOINER): ""}
_FORBIDDEN = dict.fromkeys([*_PUNCTUATION, ord(JOINER), ord(HOLE)], "\ufffd") | {ord(LINE_BREAK): " "}


def hide(text: str) -> str:
    """Make all punctuation literal."""
    return text.translate(_HIDE)


def reveal(text: str) -> str:
    """Undo `hide`, break the lines and remove the joiners."""
    return text.translate(_REVEAL).replace(JOINER, "")


def reveal_in_place(text: str) -> str:
    """Undo `hide` and move no character."""
    return text.translate(_PUNCTUATION)


def joiners(text: str) -> list[int]:
    """Return the positions of the characters that `reveal` removes; it moves no other."""
    return [at for at, char in enumerate(text) if char == JOINER]


def reveal_html(markup: str) -> str:
    """Undo `hide` in HTML, where the revealed must not become a tag."""
    return markup.translate(_REVEAL_HTML)


def without_stand_ins(text: str) -> str:
    """Make sure that `reveal` will only find what `hide` put there."""
    return text.translate(_FORBIDDEN)
