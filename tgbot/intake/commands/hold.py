"""/stop, /resume, /drop and their buttons: what runs ends, what waits is held until somebody decides."""

from collections.abc import Sequence

from tgbot.intake.commands.registry import Call, Mark, Reply, button, command, draw
from tgbot.model import RowId
from tgbot.store import claims, queue
from tgbot.store.quote import quote

NAMED_MAX = 10  # held messages that the reply to /stop names
NOTHING_HELD = "Nothing is on hold."


@command("stop", "end the running turn and hold what waits", bare=True)
def stop(call: Call) -> Reply:
    """Stop the running turn, and hold what waits."""
    stopped = queue.stop(call.conn, call.session_key, call.row_id)
    return _stopped(stopped, call.row_id)


@button("stop", args=1)
def stop_this(call: Call) -> Reply:
    """Do the same as `stop`, if the turn still runs that the button was drawn for."""
    if queue.running(call.conn, call.session_key) != call.target:
        return Reply(None, toast="This has ended already.")
    stopped = queue.stop(call.conn, call.session_key, call.row_id)
    reply = _stopped(stopped, call.row_id)
    return reply if stopped.held else Reply(None, toast=reply.toast, stopped=reply.stopped)


def _stopped(stopped: queue.Stopped, row_id: RowId) -> Reply:
    ended = stopped.running is not None or stopped.asking is not None
    said = "Stopped." if ended else "Nothing is running."
    marks: tuple[Mark, ...] = (Mark(stopped.asking.message_id, waits=False),) if stopped.asking else ()
    if not stopped.held:
        return Reply(said, toast=said, stopped=stopped.running, marks=marks)
    marks += _marks(stopped.held, waits=False)
    buttons = draw("Run them", "resume", row_id), draw("Drop them", "drop", row_id)
    return Reply(_held(said, stopped.held), buttons, toast=said, stopped=stopped.running, marks=marks)


def _marks(rows: Sequence[queue.Waiting], *, waits: bool) -> tuple[Mark, ...]:
    return tuple(Mark(row.message_id, waits) for row in rows)


def _held(said: str, held: Sequence[queue.Waiting]) -> str:
    named = [f"{n}. {quote(row.raw)}" for n, row in enumerate(held[:NAMED_MAX], start=1)]
    more = [f"and {len(held) - NAMED_MAX} more"] if len(held) > NAMED_MAX else []
    return "\n".join(
        [
            f"{said} On hold, not run until you say so:",
            *named,
            *more,
            "Run them with /resume, forget them with /drop.",
        ]
    )


@command("resume", "run what /stop held")
@button("resume", args=1)
def resume(call: Call) -> Reply:
    """Run what every /stop holds, or the one that the button was drawn for."""
    resumed = queue.resume(call.conn, call.session_key, call.control.target)
    if not resumed:
        return _nothing_held(call)
    claimed = claims.claim(call.conn, call.session_key, call.owner)
    waits = "soon" if queue.running(call.conn, call.session_key) is None else "after the running one"
    when = "now" if claimed else waits
    marks = _marks([row for row in resumed if not claimed or row.row_id != claimed.row_id], waits=True)
    return Reply(f"Running {_messages(len(resumed))} {when}.", claimed=claimed, instead=True, marks=marks)


@command("drop", "forget what /stop held")
@button("drop", args=1)
def drop(call: Call) -> Reply:
    """Forget what every /stop holds, or the one that the button was drawn for."""
    dropped = queue.drop(call.conn, call.session_key, call.control.target)
    if not dropped:
        return _nothing_held(call)
    return Reply(f"Dropped {_messages(len(dropped))}.", instead=True, marks=_marks(dropped, waits=False))


def _nothing_held(call: Call) -> Reply:
    # Not in place of the message below which an old button was pressed: that is the record of a /stop.
    return Reply(None, toast=NOTHING_HELD) if call.control.callback_id else Reply(NOTHING_HELD)


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
