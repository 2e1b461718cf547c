"""The table of Bot API methods: each with its parameters and the function that does it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tgbot.playground.bots import Bot
from tgbot.playground.world import World

Params = Mapping[str, Any]
Run = Callable[[World, Bot, Params], Awaitable[object] | object]
Decorated = TypeVar("Decorated", bound=Run)


@dataclass(frozen=True)
class Method:
    """A method: its parameters by kind, those that must be there, and what it does."""

    name: str
    kinds: Mapping[str, type]
    required: frozenset[str]
    run: Run


METHODS: dict[str, Method] = {}  # by name in lower case: Telegram's method names are case-insensitive


def method(
    name: str, required: Mapping[str, type] | None = None, optional: Mapping[str, type] | None = None
) -> Callable[[Decorated], Decorated]:
    """Register a function as a Bot API method."""

    def register(run: Decorated) -> Decorated:
        needed = required or {}
        METHODS[name.lower()] = Method(name, {**needed, **(optional or {})}, frozenset(needed), run)
        return run

    return register
