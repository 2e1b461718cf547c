"""Makes the instructions of a model: what the owner wrote, and the facts of the chat."""

from datetime import UTC, datetime
from pathlib import Path

from tgbot.agents.llm.tools.builtin import zone
from tgbot.turns.agent import AgentTurn

DEFAULT = (
    "You are a helpful assistant in a Telegram chat. Answer in the language of the user. Write short "
    "paragraphs and plain Markdown. Lines in square brackets above a message describe what came with it."
)


def instructions(turn: AgentTurn, file: Path | None, own: str | None, time_zone: str | None) -> str:
    """Put together the chat's own prompt, or the owner's file, or the default, and the facts."""
    text = own or (file.read_text(encoding="utf-8").strip() if file else DEFAULT)
    return f"{text}\n\n{_facts(turn, time_zone)}"


def _facts(turn: AgentTurn, time_zone: str | None) -> str:
    now = datetime.now(zone(time_zone or "UTC") or UTC)
    return f"The chat: {_where(turn)}. Today is {now:%A, %Y-%m-%d}, the time zone {now.tzname()}."


def _where(turn: AgentTurn) -> str:
    sender = turn.sender
    if turn.context.in_group:
        # Not who writes now: the same instructions for everybody are read from a provider's cache.
        title = _field((turn.message.get("chat") or {}).get("title"))
        return f"the group {title}, with several people; the first line above a message says who wrote it"
    who = _field(sender.name) or "the user"
    return f"a private chat. The user: {who}" + (f" (@{_field(sender.username)})" if sender.username else "")


def _field(text: object) -> str:
    """Keep what others chose, a name or a title, within one line of the instructions."""
    return " ".join(str(text or "").split())[:100]
