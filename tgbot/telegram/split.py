"""Pure: cuts JSON text at its top-level commas, without parsing what stands between them.

This is for what `json` cannot parse as a whole: it reads strings and brackets once, however deep they are.
"""

import json
import re

# Possessive, so that a string is read once; one that is never closed ends with the text.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},:]', re.DOTALL)


def elements(text: str) -> list[str]:
    """Cut `[a, b]` into `a` and `b`. Raises ValueError if it is no array, or brackets are missing."""
    return _cut(_inside(text, "[]"), ",")


def members(text: str) -> dict[str, str]:
    """Cut `{"a": b}` into the name `a` and the text `b`.

    Raises ValueError if it is no object, brackets are missing, or a name comes twice, which is ambiguous.
    """
    pairs = [_member(piece) for piece in _cut(_inside(text, "{}"), ",")]
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name comes twice")
    return named


def _member(piece: str) -> tuple[str, str]:
    name, *value = _cut(piece, ":", most=1)
    if not value or not name.startswith('"'):
        raise ValueError("no name, or no value")
    return json.loads(name), value[0]


def _inside(text: str, brackets: str) -> str:
    text = text.strip()
    if len(text) < len(brackets) or text[0] + text[-1] != brackets:
        raise ValueError("no array, or no object")
    return text[1:-1]


def _cut(text: str, mark: str, most: int | None = None) -> list[str]:
    """Cut at each `mark` that is in no string and no brackets, `most` times at most."""
    pieces: list[str] = []
    begin = depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if depth < 0:
            break
        if depth == 0 and token[0] == mark and len(pieces) != most:
            pieces.append(text[begin : token.start()].strip())
            begin = token.end()
    if depth != 0:
        raise ValueError("brackets that do not match")
    rest = text[begin:].strip()
    return [*pieces, rest] if pieces or rest else []
