"""Asks a person at the terminal, or takes lines from a pipe."""

import getpass
import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class InitError(Exception):
    """There is nothing that could be written; the text is for the person at the terminal."""


class NoAnswerError(InitError):
    """Nobody answers: it is of no use to ask again."""


def line(question: str) -> str:
    """Ask for a line. Raises InitError if none can come."""
    return _answer(input, question)


def _answer(ask: Callable[[str], str], question: str) -> str:
    try:
        return ask(question).strip()
    except EOFError:
        asked = question.strip().rstrip(":")
        raise NoAnswerError(f"no answer to “{asked}”: give it as an option (`tgbot init --help`)") from None


def secret(question: str) -> str:
    """Ask for a line that is not shown while it is typed. Raises InitError if none can come."""
    if not sys.stdin.isatty():
        return line(question)
    return _answer(getpass.getpass, question)


def agrees(question: str) -> bool:
    """Ask for a yes or a no, which is what anything else means. Raises InitError."""
    return line(f"{question} [y/N] ").lower() in {"y", "yes"}


def until_right(ask: Callable[[], str], check: Callable[[str], T], show: Callable[[str], None]) -> T:
    """Ask again until the check is content; without a terminal once. Raises InitError."""
    while True:
        try:
            return check(ask())
        except NoAnswerError:
            raise
        except InitError as error:
            if not sys.stdin.isatty():
                raise
            show(str(error))
