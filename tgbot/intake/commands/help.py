"""/help and /start: what this bot is and does."""

from tgbot.intake.commands.registry import Reply, command, menu

INTRODUCTION = (
    "I pass your messages to an agent and show you its answers. Nothing you send gets lost: "
    "messages wait in line while I work, and wait for me while I am away."
)


@command("help", "what this bot is and does", aliases=("start",))
def show_help(*_: object) -> Reply:
    """List the commands; Telegram sends /start when somebody opens the chat."""
    return Reply("\n".join([INTRODUCTION, "", *(f"/{name} - {line}" for name, line in menu().items())]))
