"""/activation: when the bot answers in a group, to everything or to what is for it."""

from typing import get_args

from tgbot.agents.llm.chosen import SETTING
from tgbot.intake.commands.registry import NOT_FOR_ALL, Call, Reply, command
from tgbot.model import Activation, SessionKey
from tgbot.store import values
from tgbot.store.engine.connection import Connection
from tgbot.telegram.privacy import PRIVACY_MODE

ACTIVATION = "activation"
PRIVATE = "In a private chat I answer every message."
SAYS: dict[Activation, str] = {
    "mention": "I answer here when I am mentioned, replied to, or given a command.",
    "always": "I answer every message here.",
}
OTHER: dict[Activation, Activation] = {"mention": "always", "always": "mention"}


def activation(conn: Connection, session_key: SessionKey, default: Activation) -> Activation:
    """Find what a group has chosen, or give the default."""
    chosen = values.get_in(conn, session_key, SETTING, ACTIVATION)
    return next((one for one in get_args(Activation) if one == chosen), default)


@command("activation", "in a group: answer mentions, or always", reads_words=True)
def activate(call: Call) -> Reply:
    """Show when the bot answers in this group, or change it."""
    words = call.control.words.lower()
    if call.control.address.private:
        return Reply(PRIVATE)
    chosen = next((one for one in get_args(Activation) if one == words), None)
    if chosen and not call.may_set_up:
        return Reply(NOT_FOR_ALL)
    if chosen:
        values.put_in(call.conn, call.session_key, SETTING, ACTIVATION, chosen)
        hint = f"\n\n{PRIVACY_MODE}" if chosen == "always" and call.privacy_mode else ""
        return Reply(f"From now on: {SAYS[chosen]}{hint}")
    return _show(activation(call.conn, call.session_key, call.group_activation))


def _show(current: Activation) -> Reply:
    other = OTHER[current]
    return Reply(f"{SAYS[current]} Change it with /activation {other}.")
