"""Names the commands that the agent obeys itself, each in its turn like any message."""

from tgbot.model import COMMAND
from tgbot.turns.agent import AgentTurn

# With the line that /help and the menu have for each.
COMMANDS = {
    "new": "start afresh, with nothing that was said before",
    "retry": "answer the last message again",
    "undo": "forget the last exchange",
    "compact": "sum up what was said so far, to make room",
}


def command_of(turn: AgentTurn) -> str | None:
    """Find the command that a turn is for, None for a message; words behind it have a turn of their own."""
    found = COMMAND.match(turn.message.get("text") or "")
    name = found[1].lower() if found else ""
    return name if name in COMMANDS else None
