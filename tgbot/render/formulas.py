"""Finds LaTeX among prices, shell variables and regular expressions; in doubt, a dollar sign is just that."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate

from tgbot.render.events import Edit, Event
from tgbot.render.literal import hide, reveal_in_place

_DOLLARS = re.compile(r"(\$+)")
_BRACKETS = re.compile(r"(?<!\\)(\\[()\[\]])")
_CLOSING = {"\\(": "\\)", "\\[": "\\]"}
_COMMAND = re.compile(r"\\[A-Za-z]{2,}")
_GROUPS_AND_COMMANDS = re.compile(r"\{[^{}]*\}|\\[A-Za-z]+")
# x^2, a_1, f'_{max}, but no snake_case.
_SCRIPT = re.compile(
    r"[A-Za-z0-9)\]}']\^(?:\{|[-+]?\d|[A-Za-z](?![A-Za-z_])|[*+])"
    r"|(?:(?<![A-Za-z0-9_])[A-Za-z]|[)\]}'])_(?:\{|\d|[A-Za-z](?![A-Za-z_]))"
)
_PROSE = re.compile(r"\A\d[\d.,]*\s|[^\W\d_]{3}")  # "$5 for a_b and 6$"
_NO_FORMULA = re.compile(r"`|(?<!\\)\$|\\[-+*?./<>]|\n[ \t>]*\n")
_FUNCTIONS = {"\\cos", "\\lim", "\\ln", "\\log", "\\max", "\\min", "\\sin", "\\tan"}
_STRUCTURES = {"\\begin", "\\binom", "\\frac", "\\hat", "\\left", "\\overline", "\\sqrt", "\\text", "\\vec"}
_OUTSIDE = re.compile(r"[A-Za-z0-9_]")  # "US$5 and US$6", "$a_1$HOME"


def is_formula(text: str) -> bool:
    """Whether it is unmistakably LaTeX: it has a known command, or a script and no words."""
    text = reveal_in_place(text).strip()
    if not text or _NO_FORMULA.search(text) or text.count("{") != text.count("}"):
        return False
    if any(command in _commands() for command in _COMMAND.findall(text)):
        return True
    return _SCRIPT.search(text) is not None and not _PROSE.search(_GROUPS_AND_COMMANDS.sub("", text))


@cache
def _commands() -> set[str]:
    from telegramify_markdown.latex_escape.const import (  # noqa: PLC0415 - as in render
        LATEX_STYLES,
        LATEX_SYMBOLS,
    )

    return {*LATEX_STYLES, *LATEX_SYMBOLS, *_FUNCTIONS, *_STRUCTURES}


def without_other_dollars(markdown: str) -> str:
    """Hide every dollar sign but those around a formula."""
    pieces = _DOLLARS.split(markdown)  # text at even places, dollar signs at odd ones
    at = 1
    while at < len(pieces):
        if _surrounds(pieces, at):
            at += 2
        else:
            pieces[at] = hide(pieces[at])
        at += 2
    return "".join(pieces)


def _surrounds(pieces: list[str], at: int) -> bool:
    """Whether a formula stands between the dollar signs here and the next ones."""
    before, opening, text, *after = pieces[at - 1 : at + 4]
    if not after or opening != after[0] or opening not in {"$", "$$"} or before.endswith("\\"):
        return False
    if _OUTSIDE.fullmatch(before[-1:]) or _OUTSIDE.fullmatch(after[1][:1]) or text.startswith("{"):
        return False
    return (opening == "$$" or (text == text.strip() and "\n" not in text)) and is_formula(text)


def formulas(source: bytes, events: Iterable[Event]) -> Iterator[Edit]:
    r"""Yield an edit for every \(formula\) and \[formula\] outside of code: they become $formula$."""
    start = 0
    for code_start, code_end in [*_code(events), (len(source), len(source))]:
        yield from _between_brackets(source[start:code_start].decode(), start)
        start = max(start, code_end)


def _code(events: Iterable[Event]) -> Iterator[tuple[int, int]]:
    for event in events:
        if event.kind == "Code" or (event.kind == "Start" and event.name == "CodeBlock"):
            yield event.start, event.end


def _between_brackets(text: str, start: int) -> Iterator[Edit]:
    pieces = _BRACKETS.split(text)
    offsets = list(accumulate((len(piece.encode()) for piece in pieces), initial=start))
    for at in range(1, len(pieces) - 2, 2):
        opening, formula, closing = pieces[at : at + 3]
        if _CLOSING.get(opening) == closing and is_formula(formula):
            dollars = "$" if opening == "\\(" else "$$"
            yield offsets[at], offsets[at + 3], dollars + formula.strip() + dollars
