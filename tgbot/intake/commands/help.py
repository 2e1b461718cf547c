"""/help and /start: what this bot is and does."""

from tgbot.intake.commands.registry import Call, Reply, command, menu

INTRODUCTION = (
    "I pass your messages to an agent and show you its answers. Nothing you send gets lost: "
    "messages wait in line while I work, and wait for me while I am away."
)


@command("help", "what this bot is and does", aliases=("start",))
def show_help(call: Call) -> Reply:
    """List the commands; Telegram sends /start when somebody opens the chat."""
    lines = [f"/{name} - {line}" for name, line in menu(call.model_rules, for_owner=call.by_owner).items()]
    return Reply("\n".join([INTRODUCTION, "", *lines]))
