"""/queue and the buttons of the queue's card: drop, next, now, drop all, run what is on hold."""

from collections.abc import Sequence

from tgbot.intake.commands.registry import Call, Mark, Reply, button, command
from tgbot.model import RowId
from tgbot.store import card, claims, queue

GONE = "This one does not wait any more."
NOTHING_WAITS = "Nothing waits here, and nothing is on hold."


@command("queue", "what waits, and buttons to change it")
def show(call: Call) -> Reply:
    """Bring the card to the bottom of the chat."""
    shown = card.refresh(call.conn, call.session_key, at_bottom=True)
    return Reply(None if shown and card.is_shown(call.conn, call.session_key) else NOTHING_WAITS)


@button("queue_drop", args=1, of_card=True)
def drop(call: Call) -> Reply:
    """Drop one row."""
    dropped = queue.drop_row(call.conn, call.session_key, call.target)
    return _changed(call, "Dropped." if dropped else GONE, [dropped] if dropped else ())


@button("queue_next", args=1, of_card=True)
def run_next(call: Call) -> Reply:
    """Put one row first; what is on hold is run then, too."""
    first = queue.put_first(call.conn, call.session_key, call.target)
    return _changed(call, "It is next." if first else GONE)


@button("queue_now", args=1, of_card=True)
def run_now(call: Call) -> Reply:
    """Stop the turn that runs, and run one row in its place."""
    if not queue.put_first(call.conn, call.session_key, call.target):
        return _changed(call, GONE)
    stopped, _ = queue.stop_turn(call.conn, call.session_key)
    return _changed(call, "Running it now.", stopped=stopped)


@button("queue_drop_all", args=1, of_card=True)
def drop_all(call: Call) -> Reply:
    """Drop all that waits or is on hold."""
    dropped = queue.drop_all(call.conn, call.session_key)
    return _changed(call, f"Dropped {len(dropped)}." if dropped else NOTHING_WAITS, dropped)


@button("queue_run_held", args=1, of_card=True)
def run_held(call: Call) -> Reply:
    """Run what every /stop holds."""
    resumed = queue.resume(call.conn, call.session_key, None)
    return _changed(call, f"Running {len(resumed)}." if resumed else "Nothing is on hold.")


@button("queue_page", args=2, of_card=True)
def turn_page(call: Call) -> Reply:
    """Show another page of the card."""
    _, page = call.control.args
    card.refresh(call.conn, call.session_key, page)
    return Reply(None)


def _changed(
    call: Call, toast: str, dropped: Sequence[queue.Waiting] = (), stopped: RowId | None = None
) -> Reply:
    """Draw the card anew, and claim if the session is idle."""
    claimed = claims.claim(call.conn, call.session_key, call.owner)
    card.refresh(call.conn, call.session_key)
    marks = tuple(Mark(row.message_id, waits=False) for row in dropped)
    return Reply(None, toast=toast, claimed=claimed, stopped=stopped, marks=marks)
