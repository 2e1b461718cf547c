"""Agents that say what they got, and a longer quiet window, so that a busy machine does not matter."""

from collections.abc import AsyncGenerator
from hashlib import sha256

from tgbot.store import joins
from tgbot.turns.agent import AgentTurn

joins.QUIET_SECONDS = 3.0


async def collector(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Lists the captions of all messages it got."""
    captions = " ".join(message.get("caption", "-") for message in turn.messages)
    yield f"{turn.text or 'no text'}: {captions} (attempt {turn.attempt})"


async def measurer(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Names its text, which is too long to compare, by its length and hash."""
    digest = sha256(turn.text.encode()).hexdigest()[:12]
    yield f"{len(turn.text)} characters, {digest} (attempt {turn.attempt})"


async def reader(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Says what a model would read."""
    yield turn.prompt
