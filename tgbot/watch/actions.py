"""What can be done on the admin page: each action and its note are one transaction.

They are the same arrows as those of commands and buttons in a chat, and of `tgbot dead`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tgbot.model import Address, ChatId, RowId, SessionKey
from tgbot.store import audit, card, dead, expiry, outbox, queue
from tgbot.store.engine.connection import Connection
from tgbot.turns.answer import Reaction

Role = Literal["admin", "viewer"]


@dataclass(frozen=True, slots=True)
class Hints:
    """Whom to wake after an action: each is a hint that may be lost."""

    claim: Callable[[], None]
    send: Callable[[ChatId], None]
    waits: Callable[[SessionKey], None]
    react: Callable[[Address, Reaction | None], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did, in words for who did it; `changed`: whether there was anything to do.

    In `send_to` something is unsent now. `marks`: messages, and whether they wait now, as their reaction
    is to say.
    """

    said: str
    changed: bool = True
    send_to: ChatId | None = None
    marks: Sequence[tuple[Address, bool]] = ()


ENDED = Done("It has ended already.", changed=False)
GONE = Done("It does not wait any more.", changed=False)
NOT_DEAD = Done("It is not given up any more.", changed=False)
NOTHING_PARKED = Done("Nothing of it is put aside any more.", changed=False)


def act(conn: Connection, role: Role, action: str, row_id: RowId) -> Done:
    """Do one of ACTIONS to a row, and note it. Raises KeyError if there is no such action."""
    done = ACTIONS[action](conn, row_id)
    if done.changed:
        found = queue.address(conn, row_id)
        audit.note(conn, role, action, row_id, found.chat_id if found else None)
    return done


def pass_on(done: Done, address: Address | None, hints: Hints) -> None:
    """Wake whoever has work from what was committed."""
    hints.claim()
    if done.send_to is not None:
        hints.send(done.send_to)
    if address is not None:
        hints.waits(address.session_key)
    for marked, waits in done.marks:
        hints.react(marked, Reaction.RECEIVED if waits else None)


def _retry(conn: Connection, row_id: RowId) -> Done:
    address = queue.address(conn, row_id)
    try:
        dead.retry(conn, [row_id])
    except dead.DeadRowError:
        return NOT_DEAD
    return Done("It is tried again.", send_to=address.chat_id if address else None)


def _drop(conn: Connection, row_id: RowId) -> Done:
    try:
        chat_id = dead.find(conn, row_id).chat_id
        dead.drop(conn, [row_id])
    except dead.DeadRowError:
        return NOT_DEAD
    return Done("Dropped.", send_to=chat_id)


def _stop(conn: Connection, row_id: RowId) -> Done:
    address = queue.address(conn, row_id)
    if address is None or queue.at_work(conn, address.session_key) != row_id:
        return ENDED
    stopped = queue.stop(conn, address.session_key, row_id)
    if not outbox.next_number(conn, row_id):
        outbox.notice(conn, row_id, outbox.STOPPED)  # nobody typed a /stop whose reply would say it
    asking = [(address, False)] if stopped.asking else []
    held = f" {len(stopped.held)} behind it are on hold." if stopped.held else ""
    return Done(f"Stopped.{held}", send_to=address.chat_id, marks=[*asking, *_marks(address, stopped.held)])


def _run_next(conn: Connection, row_id: RowId) -> Done:
    address = queue.address(conn, row_id)
    if address is None or not queue.put_first(conn, address.session_key, row_id):
        return GONE
    return Done("It is next.", send_to=_redrawn(conn, address), marks=[(address, True)])


def _drop_waiting(conn: Connection, row_id: RowId) -> Done:
    address = queue.address(conn, row_id)
    dropped = queue.drop_row(conn, address.session_key, row_id) if address else None
    if address is None or dropped is None:
        return GONE
    return Done("Dropped.", send_to=_redrawn(conn, address), marks=_marks(address, [dropped]))


def _run_held(conn: Connection, row_id: RowId) -> Done:
    address = queue.address(conn, row_id)
    resumed = queue.resume(conn, address.session_key, None) if address else []
    if address is None or not resumed:
        return GONE
    marks = _marks(address, resumed, waits=True)
    return Done(f"Running {len(resumed)}.", send_to=_redrawn(conn, address), marks=marks)


def _drop_held(conn: Connection, row_id: RowId) -> Done:
    address = queue.address(conn, row_id)
    dropped = queue.drop(conn, address.session_key, None) if address else []
    if address is None or not dropped:
        return GONE
    return Done(f"Dropped {len(dropped)}.", send_to=_redrawn(conn, address), marks=_marks(address, dropped))


def _resend(conn: Connection, row_id: RowId) -> Done:
    chat_id = expiry.resend(conn, row_id)
    return NOTHING_PARKED if chat_id is None else Done("It is sent again.", send_to=chat_id)


def _redrawn(conn: Connection, address: Address) -> ChatId:
    card.refresh(conn, address.session_key)
    return address.chat_id


def _marks(
    address: Address, rows: Sequence[queue.Waiting], *, waits: bool = False
) -> list[tuple[Address, bool]]:
    return [(address._replace(message_id=row.message_id), waits) for row in rows]


# By the name that the page sends. Of `run_held` and `drop_held` the row only says in which session.
ACTIONS: dict[str, Callable[[Connection, RowId], Done]] = {
    "retry": _retry,
    "drop": _drop,
    "stop": _stop,
    "run_next": _run_next,
    "drop_waiting": _drop_waiting,
    "run_held": _run_held,
    "drop_held": _drop_held,
    "resend": _resend,
}
