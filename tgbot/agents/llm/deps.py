"""What every tool of a turn is given."""

from collections.abc import Callable
from dataclasses import dataclass

from tgbot.config import Settings
from tgbot.turns.agent import AgentTurn, Event


@dataclass
class Deps:
    """The turn that a tool runs in; `say` shows something at once: Progress("…"), File(...)."""

    turn: AgentTurn
    say: Callable[[Event], None]
    settings: Settings
    steers: bool = False  # whether follow-ups may join the turn
