"""One check's outcome: how bad, what was seen, and how to fix it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]
Repair = Callable[[], Awaitable[None]]


class DoctorError(Exception):
    """The checks could not be made; the text is for the person at the terminal."""


class MisuseError(Exception):
    """The command was asked wrongly; the text is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Check:
    """`fix` says what to do, "" where nothing is needed; `repair` does it, where that is harmless.

    A `repair` raises OSError or BotApiError when it cannot.
    """

    level: Level
    name: str
    what: str
    fix: str = ""
    repair: Repair | None = None

    @property
    def line(self) -> str:
        """The check for the terminal."""
        return f"{self.level:4} {': '.join(part for part in (self.name, self.what, self.fix) if part)}"


def ok(name: str, what: str) -> Check:
    """Make a check that found all well."""
    return Check("ok", name, what)


def warn(name: str, what: str, fix: str, repair: Repair | None = None) -> Check:
    """Make a check that found what a person should look at, though the bot works."""
    return Check("warn", name, what, fix, repair)


def fail(name: str, what: str, fix: str, repair: Repair | None = None) -> Check:
    """Make a check that found what keeps the bot, or a part of it, from working."""
    return Check("fail", name, what, fix, repair)
