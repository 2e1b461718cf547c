"""/usage: what the model has taken in this chat, in tokens and money."""

import time

from tgbot.agents.llm.costs import usage_text
from tgbot.intake.commands.registry import Call, Reply, command
from tgbot.store import usage


@command("usage", "what the model has cost here", needs_model=True)
def show_usage(call: Call) -> Reply:
    """Sum it up: today, since the last /new, in all."""
    return Reply(usage_text(usage.report(call.conn, call.session_key, time.time())))
