"""The agent of the tests of albums, and a longer quiet window, so that a busy machine is no matter."""

from collections.abc import AsyncGenerator

from tgbot.store import joins
from tgbot.turns.agent import AgentTurn

joins.QUIET_SECONDS = 3.0


async def collector(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Names the captions of all messages it got."""
    captions = " ".join(message.get("caption", "-") for message in turn.messages)
    yield f"{turn.text or 'no text'}: {captions} (attempt {turn.attempt})"
