"""An agent that ignores its cancellation, in a bot that waits for it for ever: no kill is too late."""

from tests.whole_bot.agents import stubborn
from tgbot.turns import runner

__all__ = ["stubborn"]

runner.CANCEL_SECONDS = 1e6
