"""What the chat is asked about a call of a tool."""

import json
from collections.abc import Mapping
from typing import Any

from tgbot.model import Choice
from tgbot.turns.agent import Question

ALLOW, ALWAYS, DENY, AGAIN, SKIP = "allow", "always", "deny", "again", "skip"
ARGUMENT_CHARACTERS = 500
ARGUMENTS_CHARACTERS = 2_500  # of all of them: the question with them is one message
NAME_CHARACTERS = 60

_MAY = (Choice("Allow", ALLOW), Choice("Always in this chat", ALWAYS), Choice("Deny", DENY))
_REPEAT = (Choice("Run again", AGAIN), Choice("Skip", SKIP))


def allow_key(call_id: str) -> str:
    """Name the question whether a call may be made."""
    return f"allow:{call_id}"


def again_key(call_id: str, starts: int) -> str:
    """Name the question whether a call that was begun so often, and may have taken effect, is made again."""
    return f"again-{starts}:{call_id}"


def call_of(key: str) -> str:
    """Give the id of the call that a question is about."""
    return key.partition(":")[2]


def question(key: str, tool: str, arguments: Mapping[str, Any]) -> Question:
    """Ask whether a call may be made, or made again, with its arguments to read."""
    shown = _shown(arguments)
    if key.startswith("again-"):
        text = f"I was interrupted while **{_code(tool)}** ran. It may have run. Run it again?"
        return Question(key, f"{text}\n\n{shown}".strip(), _REPEAT)
    return Question(key, f"May I run **{_code(tool)}**?\n\n{shown}".strip(), _MAY)


def _shown(arguments: Mapping[str, Any]) -> str:
    """List the arguments, as far as there is room; what is not shown is said, because it would be allowed."""
    lines: list[str] = []
    room = ARGUMENTS_CHARACTERS
    for name, value in arguments.items():
        line = _argument(" ".join(name.split())[:NAME_CHARACTERS], value)
        room -= len(line)
        if room < 0:
            lines.append(f"⚠️ {len(arguments) - len(lines)} more, too long to be shown here")
            break
        lines.append(line)
    return "\n".join(lines)


def _argument(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    short = text if len(text) <= ARGUMENT_CHARACTERS else f"{text[:ARGUMENT_CHARACTERS]} …"
    return (
        f"{name}: {_code(short)}"
        if "\n" not in short
        else f"{name}:\n```\n{short.replace('```', '` ` `')}\n```"
    )


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(0x2CB))}`" if text else "(empty)"
