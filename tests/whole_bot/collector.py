"""The agent of the album tests, and a longer quiet window, so that a busy machine does not matter."""

from collections.abc import AsyncGenerator

from tgbot.store import joins
from tgbot.turns.agent import AgentTurn

joins.QUIET_SECONDS = 3.0


async def collector(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Lists the captions of all messages it got."""
    captions = " ".join(message.get("caption", "-") for message in turn.messages)
    yield f"{turn.text or 'no text'}: {captions} (attempt {turn.attempt})"
