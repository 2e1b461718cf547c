"""/prompt: the instructions that this chat has of its own, in place of the bot's; the owner sets them."""

from tgbot.agents.llm.chosen import PROMPT, SETTING
from tgbot.intake.commands.registry import Call, Reply, command
from tgbot.store import values

RESET = "-"
SHOWN_CHARACTERS = 1_900  # of at most two UTF-16 units: it fits into one message
NONE = "This chat has no instructions of its own: the bot's are used."


@command("prompt", "show or set the instructions of this chat", reads_words=True, needs_model=True)
def prompt(call: Call) -> Reply:
    """Show the instructions, set them to the words behind the command, or remove them."""
    words = call.control.words
    if not words:
        return _show(call)
    if not call.by_owner:
        return Reply("Only the bot's owner can set instructions.")
    if words == RESET:
        values.remove_in(call.conn, call.session_key, SETTING, PROMPT)
        return Reply(NONE)
    values.put_in(call.conn, call.session_key, SETTING, PROMPT, words)
    return Reply(f"These are the instructions of this chat from now on. /prompt {RESET} removes them.")


def _show(call: Call) -> Reply:
    text = values.get_in(call.conn, call.session_key, SETTING, PROMPT)
    if text is None:
        return Reply(NONE)
    shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} …"
    return Reply(f"The instructions of this chat:\n\n{shown}")
