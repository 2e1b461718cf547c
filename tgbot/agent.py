"""The protocol an agent fulfils, and how the one that the settings name is found."""

import importlib
import inspect
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from tgbot.model import File, Turn

__all__ = ["Agent", "AgentError", "Event", "File", "Progress", "Replacement", "load_agent"]

EMBEDDED = {"echo": "tgbot.agents.echo:agent"}


@dataclass(frozen=True, slots=True)
class Progress:
    """One line about what the agent is at ("searching the web"); the next one, or text, replaces it."""

    line: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """All that was said so far shall read `text` instead."""

    text: str


Event = str | Progress | Replacement | File

# `async def agent(turn)` that yields pieces of Markdown, and other events if it likes. `turn` has text,
# session_key, chat_id, user_id, attempt and message (the raw dict). CancelledError in it: stop now.
Agent = Callable[[Turn], AsyncGenerator[Event, None]]


class AgentError(Exception):
    """The agent that the settings name can not be used; the text says why."""


def load_agent(name: str) -> Agent:
    """Import `echo` or `package.module:name`: an async generator function, or an object whose `run` is one.

    Raises AgentError.
    """
    module_name, colon, attribute = EMBEDDED.get(name, name).partition(":")
    if not (module_name and colon and attribute):
        raise AgentError(f"{name!r} is neither one of {', '.join(EMBEDDED)} nor package.module:name")
    found = _import(module_name, attribute)
    agent = found if inspect.isasyncgenfunction(found) else getattr(found, "run", None)
    if isinstance(found, type) or not inspect.isasyncgenfunction(agent):
        raise AgentError(f"{name!r} is not an async generator function, nor an object with such a run method")
    return agent


def _import(module_name: str, attribute: str) -> Any:  # noqa: ANN401 - anything can be imported
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise AgentError(f"can not import {module_name!r}: {error}") from error
    except AttributeError:
        raise AgentError(f"module {module_name!r} has no {attribute!r}") from None
