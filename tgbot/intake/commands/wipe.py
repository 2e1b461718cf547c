"""/forget: erases all that is kept of this chat, once the person who asked for it says so again.

In a group, where it takes away what others have said, that is the bot's owner alone, if it has one.
"""

from tgbot.intake.commands.registry import NOT_YOURS, NOTHING, Call, Reply, button, command, draw
from tgbot.store import card, erasure

ASK = (
    "This erases all that I keep of what was said here: the conversation, notes, settings and files. What is "
    "on your screen stays, and what waits in line. It cannot be undone."
)
RUNS = "Something is still running here. Stop it first with /stop."
UNSENT = "Something is still on its way to this chat. Try again in a moment."
FORGOTTEN = "Forgotten. Nothing of what was said here is kept any more."
KEPT = "Nothing was forgotten."
OWNER_ONLY = "In a group only the bot's owner can erase what all have said."


@command("forget", "erase all that is kept of this chat", needs_model=True)
def ask(call: Call) -> Reply:
    """Ask whether to erase it; the buttons are for the person who asked, and for this time."""
    if not _may(call):
        return Reply(OWNER_ONLY)
    if erasure.runs(call.conn, call.control.address):
        return Reply(RUNS)
    buttons = draw("Forget everything", "erase", call.row_id), draw("Cancel", "cancel", call.row_id)
    return Reply(ASK, buttons)


@button("erase", args=1, needs_model=True)
def erase(call: Call) -> Reply:
    """Erase it, unless something is at work that would need it."""
    if refusal := _refusal(call):
        return refusal
    if not _may(call):  # the settings may name another owner since
        return Reply(None, toast=OWNER_ONLY)
    if erasure.runs(call.conn, call.control.address):
        return Reply(None, toast=RUNS)
    if erasure.unsent(call.conn, call.owner.bot_id, call.control.address):
        return Reply(None, toast=UNSENT)
    erased = erasure.erase(call.conn, call.owner.bot_id, call.control.address)
    card.refresh(call.conn, call.session_key)  # it may quote what does not wait any more
    return Reply(FORGOTTEN, instead=True, erased=erased)


@button("cancel", args=1, needs_model=True)
def cancel(call: Call) -> Reply:
    """Leave all as it is."""
    return _refusal(call) or Reply(KEPT, instead=True)


def _may(call: Call) -> bool:
    return call.control.address.private or call.by_owner or not call.has_owner


def _refusal(call: Call) -> Reply | None:
    """Refuse a button that is not this person's, or whose question was answered before."""
    asker = erasure.asked_by(call.conn, call.target, f"{call.control.name}:{call.target}")
    if asker is None:
        return NOTHING
    may_press = asker == call.control.address.user_id or call.by_owner
    return None if may_press else Reply(None, toast=NOT_YOURS)
