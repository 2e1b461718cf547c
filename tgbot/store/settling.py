"""Finds out, by message ids, what became of a part of unknown fate, and records it.

Telegram numbers the messages of a box upwards. The part was sent after `floor` was known and before `ceiling`
(a "…" of ours) was sent: so if it is on screen, its id lies between them and is not one that we know.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Table, and_, bindparam, case, delete, exists, func, insert, null, or_, select, update

from tgbot.model import BotId, ChatId, InstanceId, MessageId, Part, RowId
from tgbot.store import sending, workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.outbox import newest_id
from tgbot.store.schema import box_of, disorder, outbox, pending, second_look

PROBES_MAX = 100  # each is a request; a box with more unknown ids between is too busy to search
RANGE_MAX = 100 * PROBES_MAX  # ids between, known or not
LATE_SECONDS = 60.0  # a request of unknown outcome takes effect within this time, or never
MARGIN = 3  # ids beyond floor and ceiling: Telegram does not promise that messages arrive in their order

_PART = outbox.c.id == bindparam("part_id")
_UNKNOWN = outbox.c.state == literal("'unknown'")
_box = box_of(bindparam("chat_id"))


def _known(table: Table) -> Statement:
    return Statement(
        select(table.c.message_id).where(
            table.c.bot_id == bindparam("bot_id"),
            table.c.box == _box,
            table.c.message_id.between(bindparam("low"), bindparam("high")),
        )
    )


_KNOWN = (_known(pending), _known(outbox))
_DISORDERED = Statement(
    select(exists().where(disorder.c.bot_id == bindparam("bot_id"), disorder.c.box == _box))
)
_NEWEST = Statement(select(newest_id(bindparam("bot_id"), _box)))
_sibling = outbox.alias("sibling")  # the part itself, and what is sent with it
_LOOK_AGAIN = Statement(
    insert(second_look).from_select(
        ["bot_id", "pending_id", "chat_id", "floor", "text", "due_at"],
        select(
            *(outbox.c.bot_id, outbox.c.pending_id, outbox.c.chat_id, outbox.c.floor),
            func.coalesce(_sibling.c.sent_text, _sibling.c.text, literal("''")),
            bindparam("due_at"),
        )
        .join(
            _sibling,
            and_(
                _sibling.c.pending_id == outbox.c.pending_id,
                or_(_sibling.c.id == outbox.c.id, _sibling.c.album == outbox.c.album),
            ),
        )
        .where(_PART, _UNKNOWN)
        .order_by(_sibling.c.id),
    )
)
_SECOND_LOOKS = Statement(
    select(
        *(second_look.c.id, second_look.c.pending_id, second_look.c.chat_id),
        *(second_look.c.floor, second_look.c.text),
    )
    .where(second_look.c.bot_id == bindparam("bot_id"), second_look.c.due_at <= bindparam("now"))
    .where(~workers.elsewhere(second_look))
    .order_by(second_look.c.due_at, second_look.c.id)
    .limit(literal("100"))
)
_LOOKED = Statement(delete(second_look).where(second_look.c.id == bindparam("look_id")))
_PLACE = Statement(update(outbox).where(_PART, _UNKNOWN).values(ceiling=bindparam("message_id")))
_settled = dict.fromkeys(("floor", "ceiling", "sent_text"), null()) | {
    "state": literal("'ready'"),
    "ready_at": func.coalesce(outbox.c.ready_at, bindparam("now")),
    "tries": outbox.c.tries + literal("1"),
}
_WRITE_INTO_CEILING = Statement(
    update(outbox)
    .where(_PART, _UNKNOWN)
    .values(
        _settled
        | {
            "message_id": outbox.c.ceiling,
            # Its turn goes on, and sends its next words as a new message.
            "kind": case((outbox.c.ready_at.is_(None), literal("'surplus'")), else_=outbox.c.kind),
            "duplicate": bindparam("duplicate"),
        }
    )
)
_SEND_AGAIN = Statement(
    update(outbox).where(_PART, _UNKNOWN).values(_settled | {"duplicate": bindparam("duplicate")})
)


class SecondLook(NamedTuple):
    """A second look that is due in a chat: for messages above `floor` that say `text`."""

    look_id: int
    row_id: RowId
    chat_id: ChatId
    floor: MessageId
    text: str


def second_looks(conn: Connection, bot_id: BotId, now: float, instance_id: InstanceId) -> list[SecondLook]:
    """List the second looks that are due."""
    return [SecondLook(*row) for row in _SECOND_LOOKS(conn, bot_id=bot_id, now=now, instance_id=instance_id)]


def looked(conn: Connection, look: SecondLook, surplus: Sequence[MessageId]) -> None:
    """Note the end of a second look: all of `surplus` is to be deleted."""
    for message_id in surplus:
        sending.add_surplus_of(conn, look.row_id, look.chat_id, message_id)
    _LOOKED(conn, look_id=look.look_id)


def ids_since(conn: Connection, bot_id: BotId, look: SecondLook, found: MessageId) -> list[MessageId]:
    """List the unknown ids that a late message may have, also behind the newest one that was `found`.

    None if they are too many, or prove nothing here.
    """
    if _DISORDERED(conn, bot_id=bot_id, chat_id=look.chat_id).scalar():
        return []
    newest = _NEWEST(conn, bot_id=bot_id, chat_id=look.chat_id).scalar()
    return _unknown(conn, bot_id, look.chat_id, look.floor, max(newest, found)) or []


def unknown_ids(conn: Connection, bot_id: BotId, part: Part) -> list[MessageId] | None:
    """List the ids that the part may have, in order; None if they are too many, or prove nothing here."""
    assert part.floor is not None
    assert part.ceiling is not None
    if _DISORDERED(conn, bot_id=bot_id, chat_id=part.chat_id).scalar():
        return None
    unknown = _unknown(conn, bot_id, part.chat_id, part.floor, part.ceiling)
    return None if unknown is None else [one for one in unknown if one != part.ceiling]


def _unknown(
    conn: Connection, bot_id: BotId, chat_id: ChatId, floor: int, ceiling: int
) -> list[MessageId] | None:
    low, high = max(1, floor + 1 - MARGIN), ceiling + MARGIN
    if high - low > RANGE_MAX:
        return None
    where = {"bot_id": bot_id, "chat_id": chat_id, "low": low, "high": high}
    known: set[int] = set().union(*(known(conn, **where).scalars() for known in _KNOWN))
    unknown = [MessageId(one) for one in range(low, high + 1) if one not in known]
    return unknown if len(unknown) <= PROBES_MAX else None


def placed(conn: Connection, part: Part, message_id: MessageId) -> None:
    """Note the "…" that was sent after the part: the end of the search."""
    if message_id <= (part.floor or 0):
        sending.note_disorder(conn, part)
    _PLACE(conn, part_id=part.part_id, message_id=message_id)


def found(
    conn: Connection,
    parts: Sequence[Part],
    message_ids: Sequence[MessageId],
    surplus: Sequence[MessageId],
    *,
    react: bool = False,
) -> sending.Shown | None:
    """Unknown -> sent, growing or ready: this is where it stands. All of `surplus` is to be deleted.

    A text is edited once more: it may have changed since, or still have the buttons it was asked for with.
    """
    _remove(conn, parts[0], surplus)
    again = [part if part.file_id else replace(part, sent_text=part.sent_text or part.text) for part in parts]
    return sending.all_sent(conn, again, message_ids, react=react)


def not_found(conn: Connection, part: Part, surplus: Sequence[MessageId], *, duplicate: bool = False) -> None:
    """Unknown -> ready: it is nowhere, so the "…" becomes the part; `surplus` is to be deleted.

    `duplicate`: it could not be searched for, and may be on screen a second time.
    """
    _remove(conn, part, surplus)
    _WRITE_INTO_CEILING(conn, part_id=part.part_id, duplicate=duplicate, now=time.time())


def send_again(
    conn: Connection, part: Part, surplus: Sequence[MessageId], *, duplicate: bool = False
) -> None:
    """Unknown -> ready: the same for what no edit can make of a "…", which is then surplus itself."""
    assert part.ceiling is not None
    _remove(conn, part, [*surplus, part.ceiling])
    _SEND_AGAIN(conn, part_id=part.part_id, duplicate=duplicate, now=time.time())


def _remove(conn: Connection, part: Part, surplus: Sequence[MessageId]) -> None:
    _LOOK_AGAIN(conn, part_id=part.part_id, due_at=time.time() + LATE_SECONDS)
    for message_id in surplus:
        sending.add_surplus(conn, part, message_id)
