"""Replaces every character that Telegram would change, so that no offset moves on the way.

What Telegram's own `clean_input_string` (TDLib, MessageEntity.cpp and utf8.cpp) removes or turns into a space
is replaced here, before anything is measured.
"""

import unicodedata

_LINE_BREAKS = {0x0B: "\n", 0x0C: "\n", 0x0D: "\n", 0x2028: "\n", 0x2029: "\n"}
# Telegram turns these into spaces (NUL is the one a model really emits, through a JSON escape).
_CONTROLS = {code: " " for code in range(0x20) if chr(code) not in "\t\n\v\f\r"}
# Telegram deletes these: bidirectional embeddings, and marks that draw far outside of their line.
_DELETED = dict.fromkeys([*range(0x202A, 0x202F), 0x030A, 0x0333, 0x033F])
_REPLACED = str.maketrans(_LINE_BREAKS | _CONTROLS | _DELETED)
_SAME_LENGTH = _REPLACED | dict.fromkeys(_DELETED, "\u2060") | {0x09: " "}

_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters by category, nothing on the screen


def without_surrogates(text: str) -> str:
    """Join surrogates that form a pair, and replace the others by U+FFFD.

    A JSON escape can carry a lone surrogate; UTF-8 can't.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(text: str) -> str:
    """Replace what Telegram would reject, remove or turn into something else.

    Tabs become spaces up to the next multiple of four columns: Telegram would show each as one space and so
    flatten indented code.
    """
    text = without_surrogates(text)
    if "\u030a" in text:  # "a" + ring above: composed it survives
        text = unicodedata.normalize("NFC", text)
    return text.replace("\r\n", "\n").translate(_REPLACED).expandtabs(4)


def same_length(text: str) -> str:
    """Do the same as `clean`, but keep the length: for characters that LaTeX accents bring in later."""
    return text.translate(_SAME_LENGTH)


def visible(text: str) -> bool:
    """Whether a reader would see anything of it; Telegram rejects a message of spaces and invisible marks."""
    return any(not char.isspace() and not _invisible(char) for char in text)


def _invisible(char: str) -> bool:
    # Not all of category C: to Python, an emoji newer than itself is "unassigned".
    return char in _BLANK_LETTERS or unicodedata.category(char) in {"Cc", "Cf"}
