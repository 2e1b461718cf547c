"""What becomes of an edited message, and the button that runs its edit."""

from tgbot.intake.commands.registry import NOTHING, Call, Reply, button
from tgbot.model import Message, RowId
from tgbot.store import edits, queue, turns
from tgbot.store.edits import Edited
from tgbot.store.engine.connection import Connection

WORKING = "I am working on this message as it was before your edit."
ANSWERED = "I answered this message as it was before your edit."


def offer(conn: Connection, message: Message, edited: Edited) -> None:
    """Offer to run the edit of a message whose turn runs, or has ended."""
    what = (WORKING, "Start again with the edit") if edited.what == "runs" else (ANSWERED, "Run again")
    edits.offer(conn, message, *what, edited.row_id)


@button("again", args=2)
def run_again(call: Call) -> Reply:
    """Run an edit; if the message as it was still runs, stop that and run the edit at once."""
    row_id, original = map(RowId, call.control.args)
    still_runs = queue.at_work(call.conn, call.session_key) == original
    if not edits.queue(call.conn, call.session_key, row_id, first=still_runs):
        return NOTHING
    stopped = queue.stop_turn(call.conn, call.session_key)[0] if still_runs else None
    claimed = turns.claim(call.conn, call.session_key, call.owner)
    return Reply(None, toast=edits.RUNNING_AGAIN.text, claimed=claimed, stopped=stopped)
