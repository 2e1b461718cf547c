"""The agent that does not obey, in a bot that waits for it for ever: no kill comes too late."""

from tests.whole_bot.agents import stubborn
from tgbot.turns import runner

__all__ = ["stubborn"]

runner.CANCEL_SECONDS = 1e6
