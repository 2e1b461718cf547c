"""What becomes of an edited message, and the button that runs its edit."""

from tgbot.intake import limits
from tgbot.intake.commands.registry import NOTHING, Call, Reply, button
from tgbot.model import Message, RowId
from tgbot.store import claims, edits, inbox, queue
from tgbot.store.edits import Edited
from tgbot.store.engine.connection import Connection

# What is said of an edited message, and the label of the button that runs the edit.
OFFERS = {
    "runs": ("I am working on this message as it was before your edit.", "Start again with the edit"),
    "ended": ("I answered this message as it was before your edit.", "Run again"),
    "dropped": ("I did not work on this message.", "Run it"),
}
FULL = "The queue is full ({}). Press it again when there is room."


def offer(conn: Connection, message: Message, edited: Edited) -> None:
    """Offer to run the edit of a message whose turn runs, or has ended, or that never had one."""
    edits.offer(conn, message, *OFFERS[edited.what], edited.row_id)


@button("again", args=2)
def run_again(call: Call) -> Reply:
    """Run an edit; if the message as it was still runs, stop that and run the edit at once."""
    row_id, original = map(RowId, call.control.args)
    if not edits.is_offered(call.conn, call.session_key, row_id):
        return NOTHING
    still_runs = queue.at_work(call.conn, call.session_key) == original
    if not still_runs and not inbox.has_room(call.conn, call.session_key, call.queue_max):
        return Reply(None, toast=FULL.format(call.queue_max))
    user_id = call.control.address.user_id
    if refusal := limits.take(call.conn, call.owner.bot_id, call.limits, user_id):
        return Reply(None, toast=refusal.toast)
    edits.queue(call.conn, call.session_key, row_id, first=still_runs)
    stopped = queue.stop_turn(call.conn, call.session_key)[0] if still_runs else None
    claimed = claims.claim(call.conn, call.session_key, call.owner)
    return Reply(None, toast=edits.RUNNING_AGAIN.text, claimed=claimed, stopped=stopped)
