"""Reads and records the sending of the outbox: which part is next, and what became of it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, delete, exists, func, null, or_, select, update

from tgbot.model import BotId, ChatId, InstanceId, MessageId, Part, RowId
from tgbot.store import outbox as outbox_of
from tgbot.store import workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert, least, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.parts import PARTS, part_of
from tgbot.store.schema import box_of, disorder, outbox, pending

_READY, _SENDING, _UNKNOWN = literal("'ready'"), literal("'sending'"), literal("'unknown'")
_SURPLUS_KIND = literal("'surplus'")
_PART = outbox.c.id == bindparam("part_id")
_UNSENT = outbox.c.state.in_([_READY, _SENDING, _UNKNOWN])
_IN_FLIGHT = outbox.c.state.in_([_SENDING, _UNKNOWN])
_CHAT = (outbox.c.chat_id == bindparam("chat_id"), outbox.c.bot_id == bindparam("bot_id"))
_flying = outbox.alias("flying")
_NEXT = Statement(
    PARTS.add_columns(
        exists()
        .where(
            _flying.c.bot_id == bindparam("bot_id"),
            _flying.c.chat_id == bindparam("chat_id"),
            _flying.c.state.in_([_SENDING, _UNKNOWN]),
        )
        .label("in_flight")
    )
    .where(*_CHAT, _UNSENT)
    .order_by(
        outbox.c.state != _UNKNOWN,
        or_(outbox.c.kind != _SURPLUS_KIND, outbox.c.state != _SENDING),
        outbox.c.kind.not_in([literal("'reply'"), _SURPLUS_KIND]),
        outbox.c.kind.in_([literal("'notice'"), literal("'card'")]),
        func.coalesce(outbox.c.first_id, outbox.c.id),
        outbox.c.part,
    )
    .limit(literal("1"))
)
# Words of a running turn: it says them again.
_FORGET_WORDS = Statement(
    delete(outbox).where(*_CHAT, outbox.c.state == _SENDING, outbox.c.ready_at.is_(None), ~_PART)
)
_HOLD_BACK = Statement(
    update(outbox)
    .where(*_CHAT, outbox.c.state == _SENDING)
    .values(state=_READY, floor=null(), sent_text=null())
)
_BEGIN_SENDING = Statement(
    update(outbox)
    .where(_PART)
    .values(state=_SENDING, floor=outbox_of.newest_id(outbox.c.bot_id, outbox.c.box), sent_text=null())
    .returning(outbox.c.floor)
)
_ALBUM = (
    outbox.c.pending_id == bindparam("row_id"),
    outbox.c.album == bindparam("album"),
    _UNSENT,
)
_ALBUM_OF = Statement(PARTS.where(*_ALBUM).order_by(outbox.c.part))
_TAKE_APART = Statement(
    update(outbox)
    .where(*_ALBUM)
    .values(album=null(), state=_READY, floor=null(), ceiling=null(), tries=literal("0"))
)
_CHATS = Statement(
    select(outbox.c.chat_id)
    .where(outbox.c.bot_id == bindparam("bot_id"), outbox.c.chat_id > bindparam("after"), _UNSENT)
    .where(~workers.elsewhere(outbox))
    .distinct()
    .order_by(outbox.c.chat_id)
    .limit(bindparam("most"))
)
# In the chat that it was sent to: the part may have moved meanwhile, and the id means another message there.
_PART_HERE = and_(_PART, outbox.c.chat_id == bindparam("chat_id"))
_rest = outbox.alias("rest")
# Written out: in RETURNING, SQLAlchemy does not say of which table a column is.
_OF_MESSAGE = (
    literal("(SELECT p.update_id FROM pending AS p WHERE p.id = outbox.pending_id)").label("update_id"),
    literal("(SELECT p.received_at FROM pending AS p WHERE p.id = outbox.pending_id)").label("received_at"),
)
_IS_ALL = literal(
    "(outbox.state = 'sent' AND outbox.kind NOT IN ('reply', 'notice', 'card', 'surplus') AND EXISTS"
    " (SELECT 1 FROM pending AS p WHERE p.id = outbox.pending_id AND p.ended_at IS NOT NULL)"
    " AND NOT EXISTS (SELECT 1 FROM outbox AS rest WHERE rest.pending_id = outbox.pending_id"
    " AND rest.id <> outbox.id AND rest.state IN ('ready', 'sending', 'unknown')))"
).label("is_all")
_SENT = Statement(
    update(outbox)
    .where(_PART_HERE, _UNSENT)
    .values(
        message_id=bindparam("message_id"),
        state=case(
            (outbox.c.ready_at.is_(None), literal("'growing'")),
            (outbox.c.ready_at == bindparam("ready_at"), literal("'sent'")),
            else_=_READY,  # its content changed during the request
        ),
        **dict.fromkeys(("floor", "ceiling", "sent_text"), null()),
        tries=literal("0"),
        reaction_due=and_(
            bindparam("react"),
            outbox.c.kind.not_in([literal(f"'{kind}'") for kind in ("reply", "notice", "card", "surplus")]),
            outbox.c.ready_at.is_not(None),
            # What is complete of a running turn is not the answer; nor is one of which a part was parked.
            exists().where(pending.c.id == outbox.c.pending_id, pending.c.ended_at.is_not(None)),
            ~exists().where(
                _rest.c.pending_id == outbox.c.pending_id,
                _rest.c.id != outbox.c.id,
                _rest.c.state.in_([_READY, _SENDING, _UNKNOWN, literal("'parked'")]),
            ),
        ),
    )
    .returning(
        *(outbox.c.state, outbox.c.reaction_due),
        *_OF_MESSAGE,
        _IS_ALL,
    )
)
_REMOVED = Statement(delete(outbox).where(_PART_HERE, outbox.c.kind == literal("'surplus'")))
_NOTE_DISORDER = Statement(
    insert(disorder)
    .from_select(["bot_id", "box"], select(outbox.c.bot_id, outbox.c.box).where(_PART))
    .on_conflict_do_nothing()
)
_TRY = Statement(update(outbox).where(_PART).values(tries=outbox.c.tries + literal("1")))
_FORGET = Statement(update(outbox).where(_PART).values(message_id=null()))
_CEILING = Statement(select(outbox.c.ceiling).where(_PART))
_other = outbox.alias("other")
_lowest = outbox.alias("lowest")
_SURPLUS = {
    "bot_id": pending.c.bot_id,
    "pending_id": pending.c.id,
    "part": select(least(func.coalesce(func.min(_lowest.c.part), literal("0")), literal("0")) - literal("1"))
    .where(_lowest.c.pending_id == pending.c.id)
    .scalar_subquery(),
    "first_id": literal("0"),
    "kind": literal("'surplus'"),
    "state": _READY,
    "chat_id": pending.c.chat_id,
    "box": box_of(pending.c.chat_id),
    "message_id": bindparam("message_id"),
    "text": literal(f"'{outbox_of.SURPLUS_TEXT}'"),
    "ready_at": bindparam("now"),
}
_ADD_SURPLUS = Statement(
    insert(outbox).from_select(
        list(_SURPLUS),
        select(*_SURPLUS.values()).where(
            pending.c.id == bindparam("row_id"), pending.c.chat_id == bindparam("chat_id")
        ),
    )
)
_PARK = Statement(
    update(outbox)
    .where(or_(_PART, and_(*_ALBUM)))
    .values(
        state=literal("'parked'"),
        reaction_due=bindparam("react"),
        floor=null(),
        ceiling=null(),
        sent_text=null(),
        error=bindparam("error"),
    )
)


def chats(conn: Connection, bot_id: BotId, after: ChatId, most: int, instance_id: InstanceId) -> list[ChatId]:
    """List up to `most` chats that have something unsent, in the order of their ids, from behind `after`.

    Not those that are with another worker.
    """
    return _CHATS(conn, bot_id=bot_id, after=after, most=most, instance_id=instance_id).scalars()


def next_part(conn: Connection, bot_id: BotId, chat_id: ChatId, instance_id: InstanceId) -> Part | None:
    """Find what to do next in a chat: settle, reply to commands, then in order, notices last.

    None also where the chat is with another worker, which sends what there is.

    A part that will be sent is `sending` from here on. Only the chat's one sender calls this, and only while
    it makes no request: so what is `sending` at this point is not under way.
    """
    workers.lock_chat(conn, bot_id, chat_id)
    row = _NEXT(conn, bot_id=bot_id, chat_id=chat_id).first()
    if row is None or not workers.take_to_send(conn, instance_id, workers.Chat(bot_id, chat_id)):
        return None
    *columns, in_flight = row
    part = part_of(columns)
    if part.kind == "surplus" and part.state == "sending":  # it need not even be sent
        removed(conn, part)
        return next_part(conn, bot_id, chat_id, instance_id)
    rewritten = part.state == "sending" and part.sent_text is not None  # before it was sent, or refused
    if part.message_id is not None or (part.state != "ready" and not rewritten):
        return part
    if in_flight:
        _hold_back(conn, bot_id, part)
    floor = _BEGIN_SENDING(conn, part_id=part.part_id).scalar()
    return replace(part, state="sending", floor=floor, sent_text=None)


def next_or_leave(conn: Connection, bot_id: BotId, chat_id: ChatId, instance_id: InstanceId) -> Part | None:
    """Do the same, and where there is nothing, leave the chat to whichever worker needs it next."""
    part = next_part(conn, bot_id, chat_id, instance_id)
    if part is None:
        workers.leave_locked(conn, instance_id, workers.Chat(bot_id, chat_id))
    return part


def take(conn: Connection, bot_id: BotId, chat_id: ChatId, instance_id: InstanceId) -> bool:
    """Take a chat, as whoever sends to it does; False where another worker has it."""
    workers.lock_chat(conn, bot_id, chat_id)
    return workers.take_to_send(conn, instance_id, workers.Chat(bot_id, chat_id))


def _hold_back(conn: Connection, bot_id: BotId, overtaking: Part) -> None:
    """Take back what a reply overtakes: sending -> ready, or gone."""
    chat_id = overtaking.chat_id
    _FORGET_WORDS(conn, bot_id=bot_id, chat_id=chat_id, part_id=overtaking.part_id)
    _HOLD_BACK(conn, bot_id=bot_id, chat_id=chat_id)


class Shown(NamedTuple):
    """What became of a part: its new `state`, and whether a reaction to the question is due now.

    `update_id` and `received_at` (Unix time in seconds) are those of the message that it answers; `is_all`:
    nothing of the answer has to be shown any more.
    """

    state: str
    reaction_due: bool
    update_id: int
    received_at: float
    is_all: bool


def sent(conn: Connection, part: Part, message_id: MessageId, *, react: bool = False) -> Shown | None:
    """Note that a part is on screen, as this message: sending, unknown or ready -> sent.

    A part that its turn may add to becomes `growing`, and one that was rewritten during the request `ready`.
    `react`: the question gets a reaction when all of its answer is on screen.
    None if it moved to another chat meanwhile.
    """
    if part.floor is not None and message_id <= part.floor:
        note_disorder(conn, part)
    row = _SENT(
        conn,
        part_id=part.part_id,
        chat_id=part.chat_id,
        message_id=message_id,
        react=react,
        ready_at=None if part.sent_text else part.ready_at,
    ).first()
    return Shown(row[0], bool(row[1]), row[2], row[3], bool(row[4])) if row else None


def all_sent(
    conn: Connection, parts: Sequence[Part], message_ids: Sequence[MessageId], *, react: bool = False
) -> Shown | None:
    """Do the same for all parts that one request has shown."""
    shown = [sent(conn, part, at, react=react) for part, at in zip(parts, message_ids, strict=True)]
    return shown[-1]


def note_disorder(conn: Connection, part: Part) -> None:
    """Note that message ids do not grow where this part was sent."""
    _NOTE_DISORDER(conn, part_id=part.part_id)


def removed(conn: Connection, part: Part) -> None:
    """Surplus -> (nothing): the message is gone from the chat."""
    _REMOVED(conn, part_id=part.part_id, chat_id=part.chat_id)


def failed(conn: Connection, part: Part) -> None:
    """Note that a part failed though other requests succeeded."""
    _TRY(conn, part_id=part.part_id)


def forget_message(conn: Connection, part: Part) -> None:
    """Ready -> ready: the user deleted the message, so it has to be sent anew."""
    _FORGET(conn, part_id=part.part_id)


def detach(conn: Connection, part: Part) -> None:
    """Ready -> ready: no edit can make it of the message it has, which is to be deleted."""
    assert part.message_id is not None
    add_surplus(conn, part, part.message_id)
    forget_message(conn, part)


def add_surplus(conn: Connection, part: Part, message_id: MessageId) -> None:
    """(nothing) -> ready: a message of ours that has to disappear."""
    add_surplus_of(conn, part.row_id, part.chat_id, message_id)


def add_surplus_of(conn: Connection, row_id: RowId, chat_id: ChatId, message_id: MessageId) -> None:
    """Do the same for a message of which only the row is known, unless its chat has moved."""
    _ADD_SURPLUS(conn, row_id=row_id, chat_id=chat_id, message_id=message_id, now=time.time())


def park(conn: Connection, part: Part, error: str, *, react: bool = False) -> None:
    """(unsent) -> parked, because Telegram refuses it for good; an album as a whole."""
    _remove_ceiling(conn, part)
    _PARK(conn, part_id=part.part_id, row_id=part.row_id, album=part.album, error=error, react=react)


def album_of(conn: Connection, part: Part) -> list[Part]:
    """List the parts of the album that begins with this one."""
    return [part_of(row) for row in _ALBUM_OF(conn, row_id=part.row_id, album=part.album)]


def take_apart(conn: Connection, part: Part) -> None:
    """Make parts of their own of an album that the server refuses: each of its files is sent alone."""
    _remove_ceiling(conn, part)
    _TAKE_APART(conn, row_id=part.row_id, album=part.album)


def _remove_ceiling(conn: Connection, part: Part) -> None:
    """Have the "…" of a search that is given up deleted."""
    ceiling: MessageId | None = _CEILING(conn, part_id=part.part_id).scalar()
    if ceiling is not None:
        add_surplus(conn, part, ceiling)
