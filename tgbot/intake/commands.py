"""What /stop, /status, /resume, /drop, /help and the buttons do, and what they answer.

`act` runs inside the transaction that stores the control, so "stored" and "acted on" are one
commit: a crash finds either both or neither, and messages before and after it keep their side.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from tgbot.model import Button, Control, Owner, RowId, Turn, message_text
from tgbot.render import Text
from tgbot.store import inbox, outbox, recovery, report, turns
from tgbot.store.engine.connection import Connection
from tgbot.telegram.updates import COMMANDS

NAMED_MAX = 10  # held messages that the reply to /stop names
QUOTE_CHARACTERS = 40

HELP = """I pass your messages to an agent and show you its answers. Nothing you send gets lost: \
messages wait in line while I work, and wait for me while I am away.

""" + "\n".join(f"/{name} - {what}" for name, what in COMMANDS.items())


@dataclass(frozen=True, slots=True)
class Reply:
    """What a control answers: a message, or a `toast` on the button that was pressed, or both.

    `claimed` is the turn that it began, `stopped` the row whose turn it ended.
    """

    text: str | None
    buttons: tuple[Button, ...] = ()
    toast: str | None = None
    claimed: Turn | None = None
    stopped: RowId | None = None
    instead: bool = False  # of the message whose button was pressed


def aimed(conn: Connection, control: Control) -> Control:
    """Point a button at the session of the row it was drawn for: an old message does not tell its topic."""
    address = control.address
    if control.target is None:
        return control
    place = inbox.place(conn, control.update.bot_id, address.chat_id, control.target)
    if place is None:
        return control
    return replace(control, address=address._replace(session_key=place[0], topic_id=place[1]))


def act(conn: Connection, owner: Owner, control: Control, row_id: RowId) -> Reply:
    """Do what the control says and put its reply into the outbox."""
    reply = _ACTS.get(control.name, _unknown)(conn, owner, control, row_id)
    if reply.text and reply.instead and control.target is not None:
        outbox.rewrite(conn, control.target, control.address.chat_id, Text(reply.text))
    elif reply.text:
        home = outbox.Home(owner.bot_id, control.address.chat_id, control.address.topic_id)
        outbox.reply(conn, home, row_id, Text(reply.text), reply.buttons)
    return reply


def _help(*_: object) -> Reply:
    return Reply(HELP)


def _stop(conn: Connection, _: Owner, control: Control, row_id: RowId) -> Reply:
    """Stop the running turn, and hold what waits; a button stops only the turn it was drawn for."""
    by_button = control.target is not None
    if by_button and inbox.running(conn, control.address.session_key) != control.target:
        return Reply(None, toast="This has ended already.")
    stopped = inbox.stop(conn, control.address.session_key, row_id)
    said = "Stopped." if stopped.running is not None else "Nothing is running."
    if not stopped.held:
        return Reply(None if by_button else said, toast=said, stopped=stopped.running)
    held = _held(said, stopped.held)
    return Reply(held, _held_buttons(row_id), toast=said, stopped=stopped.running)


def _held(said: str, held: list[tuple[RowId, str]]) -> str:
    named = [f"{n}. {_quote(raw)}" for n, (_, raw) in enumerate(held[:NAMED_MAX], start=1)]
    more = [f"and {len(held) - NAMED_MAX} more"] if len(held) > NAMED_MAX else []
    return "\n".join(
        [
            f"{said} On hold, not run until you say so:",
            *named,
            *more,
            "Run them with /resume, forget them with /drop.",
        ]
    )


def _held_buttons(row_id: RowId) -> tuple[Button, ...]:
    return Button("Run them", f"resume:{row_id}"), Button("Drop them", f"drop:{row_id}")


def _status(conn: Connection, _: Owner, control: Control, _row_id: RowId) -> Reply:
    found = report.session(conn, control.address.session_key)
    lines = ["Nothing is running yet." if found.queued else "Nothing is running."]
    if found.running and found.raw:
        again = f" (attempt {found.running.attempt})" if found.running.attempt > 1 else ""
        what = "Stopping after" if found.running.state == "stopped" else "Working for"
        lines = [f"{what} {_duration(found.running.seconds)}{again} on: {_quote(found.raw)}"]
    lines.append(f"Waiting: {found.queued}.")
    if found.held:
        lines.append(f"On hold: {found.held}. Run them with /resume, forget them with /drop.")
    return Reply("\n".join(lines))


def _resume(conn: Connection, owner: Owner, control: Control, _: RowId) -> Reply:
    session_key = control.address.session_key
    count = inbox.resume(conn, session_key, control.target)
    if not count:
        return Reply("Nothing is on hold.", instead=True)
    claimed = turns.claim(conn, session_key, owner)
    waits = "soon" if inbox.running(conn, session_key) is None else "after the running one"
    when = "now" if claimed else waits
    return Reply(f"Running {_messages(count)} {when}.", claimed=claimed, instead=True)


def _drop(conn: Connection, _: Owner, control: Control, _row_id: RowId) -> Reply:
    count = inbox.drop(conn, control.address.session_key, control.target)
    return Reply(f"Dropped {_messages(count)}." if count else "Nothing is on hold.", instead=True)


def _retry(conn: Connection, owner: Owner, control: Control, _: RowId) -> Reply:
    """Run once more what was given up."""
    session_key, chat_id = control.address.session_key, control.address.chat_id
    if control.target is None or not recovery.retry(conn, owner, session_key, chat_id, control.target):
        return _unknown()
    return Reply(None, toast="Trying it again.", claimed=turns.claim(conn, session_key, owner))


def _forget(conn: Connection, _: Owner, control: Control, _row_id: RowId) -> Reply:
    session_key = control.address.session_key
    if control.target is None or not recovery.forget(conn, session_key, control.target):
        return _unknown()
    return Reply("Forgotten.", instead=True)


def _unknown(*_: object) -> Reply:
    return Reply(None, toast="This button does nothing any more.")


_ACTS: dict[str, Callable[[Connection, Owner, Control, RowId], Reply]] = {
    "start": _help,
    "help": _help,
    "stop": _stop,
    "status": _status,
    "resume": _resume,
    "drop": _drop,
    "retry": _retry,
    "forget": _forget,
}


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _quote(raw: str) -> str:
    try:
        text = " ".join(message_text(json.loads(raw)["message"]).split()) or "(no text)"
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return "(unreadable)"  # stored by a version that took it: /stop has to work all the same
    short = text if len(text) <= QUOTE_CHARACTERS else text[: QUOTE_CHARACTERS - 1] + "…"
    return f"“{short}”"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
