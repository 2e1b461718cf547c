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
    sender = turn.context.sender
    chat = turn.message.get("chat") or {}
    where = "a private chat" if turn.chat_id > 0 else f"the group {_field(chat.get('title'))}"
    who = _field(sender.name) or "the user"
    now = datetime.now(zone(time_zone or "UTC") or UTC)
    return (
        f"The chat: {where}. The user: {who}"
        + (f" (@{_field(sender.username)})" if sender.username else "")
        + f". Today is {now:%A, %Y-%m-%d}, the time zone {now.tzname()}."
    )


def _field(text: object) -> str:
    """Keep what others chose, a name or a title, within one line of the instructions."""
    return " ".join(str(text or "").split())[:100]
