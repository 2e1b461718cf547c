"""What reactions to the bot's messages do: each stands for a button, so that the same people may use it.

People can only choose from Telegram's list of emoji (Bot API, ReactionTypeEmoji), which has no arrow.
"""

from tgbot.agents.llm.questions import ALLOW, DENY
from tgbot.intake.commands.registry import NOTHING, Call, Reply, button
from tgbot.model import Control, MessageId, Reacted
from tgbot.store import reacted as reacted_to
from tgbot.store.engine.connection import Connection
from tgbot.store.reacted import About

YES, NO, AGAIN = "👍", "👎", "🤔"  # the last one: think again
_ANSWERS = {YES: ALLOW, NO: DENY}
# By the state of a row: the button that runs it again.
_AGAIN = {"dead": "retry", **dict.fromkeys(("done", "failed", "stopped"), "run_again")}


def find_reaction(conn: Connection, reacted: Reacted) -> Control | None:
    """Find the button that a reaction stands for, as if it had been pressed; None if it stands for none."""
    where = reacted.address
    about = reacted_to.find(conn, reacted.update.bot_id, where.chat_id, where.message_id)
    meant = (_button(about, emoji) for emoji in reacted.emoji) if about else ()
    name, *args = next((one for one in meant if one), ("",))
    # The message is ours, and perhaps still to be settled: its id must not count as known.
    here = where._replace(message_id=MessageId(0))
    return Control(reacted.update, here, str(name), tuple(map(int, args))) if name else None


def _button(about: About, emoji: str) -> tuple[str | int, ...] | None:
    """Give the name and the numbers of a button."""
    if about.question_id is not None:
        answer = _ANSWERS.get(emoji, "")
        known = answer in about.values
        return ("answer", about.row_id, about.question_id, about.values.index(answer)) if known else None
    if emoji == NO and about.state == "claimed":
        return "stop", about.row_id
    if emoji == AGAIN and about.state in _AGAIN:
        return _AGAIN[about.state], about.row_id
    return None


@button("run_again", args=1)
def run_again(call: Call) -> Reply:
    """Run once more what was answered, failed or was stopped, as if it had just been sent."""
    messages = reacted_to.again(call.conn, call.control.update, call.target)
    return Reply(None, again=messages) if messages else NOTHING
