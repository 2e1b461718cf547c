"""Marks say how a tool may be run: whether the chat is asked first, and what may happen twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

MARK = "tgbot"  # the key of a mark in the metadata of a tool
ORIGIN = "origin"  # that of where a tool comes from, and its name there, which no other tool can take over
_ATTRIBUTE = "__tgbot_mark__"

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True, slots=True)
class Mark:
    """How a tool may be run.

    `ask`: the chat is asked before it runs. `idempotent`: it may run again after a crash without a question.
    `progress` is a line with {argument} placeholders ("Searching for {query}"); "" for the tool's name.
    """

    ask: bool = False
    idempotent: bool = False
    timeout_seconds: float = 60
    progress: str = ""


def tool(
    *, ask: bool = False, idempotent: bool = False, timeout_seconds: float = 60, progress: str = ""
) -> Callable[[F], F]:
    """Mark a function of TGBOT_TOOLS; see Mark for what each of them means."""
    mark = Mark(ask, idempotent, timeout_seconds, progress)

    def marked(function: F) -> F:
        setattr(function, _ATTRIBUTE, mark)
        return function

    return marked


def mark_of(function: Function) -> Mark:
    """Give the mark of a function; one that was not marked runs freely, once, for a minute at most."""
    mark: Mark = getattr(function, _ATTRIBUTE, Mark())
    return mark
