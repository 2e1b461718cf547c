"""A module of tools as a user writes it."""

import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tgbot.agents.llm.tools import tool
from tgbot.turns.agent import AgentTurn, File


@dataclass
class Point:
    x: int
    y: int


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: The first one.
        b: What is added to it.
    """
    return a + b


def thread() -> str:
    """Name the thread."""
    return threading.current_thread().name


@tool(ask=True, idempotent=True, timeout_seconds=5, progress="Moving, {speed}")
async def move(place: Point, speed: Literal["slow", "fast"]) -> str:
    """Move somewhere."""
    return f"{place.x}/{place.y} {speed}"


async def whoami(turn: AgentTurn, /, greeting: str) -> str:
    """Greet the user."""
    return f"{greeting} {turn.user_id}"


def chart(turn: AgentTurn) -> File:
    """Draw a chart."""
    return File("chart.txt", str(turn.chat_id).encode())


def _hidden() -> None:
    """Is none."""


path = Path()
also_none = partial(add, 1)
