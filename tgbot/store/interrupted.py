"""Records interrupted sends: whose outcome nobody knows, and what a late one may overwrite."""

import json
import time
from collections.abc import Collection

from sqlalchemy import and_, bindparam, case, null, select, update

from tgbot.model import BotId, ChatId, InstanceId, Part, PartId, RowId
from tgbot.store import workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import listed, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import outbox

LATE_SECONDS = 60.0  # an edit whose outcome is unknown arrives within this time, or never

_READY, _SENDING, _UNKNOWN = literal("'ready'"), literal("'sending'"), literal("'unknown'")
_PART = outbox.c.id == bindparam("part_id")
_UNSENT = outbox.c.state.in_([_READY, _SENDING, _UNKNOWN])
_IN_FLIGHT = outbox.c.state.in_([_SENDING, _UNKNOWN])
_CHAT = (outbox.c.chat_id == bindparam("chat_id"), outbox.c.bot_id == bindparam("bot_id"))
_LOST = Statement(update(outbox).where(_PART, outbox.c.state == _SENDING).values(state=_UNKNOWN))
_LOST_IN_CHAT = Statement(update(outbox).where(*_CHAT, outbox.c.state == _SENDING).values(state=_UNKNOWN))
_LOST_ALL = Statement(update(outbox).where(_IN_FLIGHT, outbox.c.state == _SENDING).values(state=_UNKNOWN))
# What became surplus before it was sent is no message: the next look at its chat removes it.
_WAS_BEGUN = (
    *(outbox.c.state == _SENDING, outbox.c.ready_at.is_not(None)),
    outbox.c.kind != literal("'surplus'"),
)
_NOT_BEGUN = Statement(
    update(outbox)
    .where(
        _IN_FLIGHT,
        *_WAS_BEGUN,
        outbox.c.id.not_in(select(listed("under_way", int).c.value)),
        ~workers.elsewhere(outbox),
    )
    .values(state=_READY, floor=null(), sent_text=null())
)
_TAKE_BACK = Statement(
    update(outbox).where(_PART, *_WAS_BEGUN).values(state=_READY, floor=null(), sent_text=null())
)
_MARK_UNCERTAIN = Statement(
    update(outbox)
    .where(outbox.c.pending_id == bindparam("row_id"), outbox.c.message_id.is_not(None))
    .values(uncertain_until=bindparam("uncertain_until"))
)
_WAS_SENT = and_(
    outbox.c.state == literal("'sent'"),
    outbox.c.kind.in_([literal(f"'{kind}'") for kind in ("text", "rich")]),
)
_SHOW_UNCERTAIN = Statement(
    update(outbox)
    .where(outbox.c.uncertain_until <= bindparam("now"), outbox.c.bot_id == bindparam("bot_id"))
    .values(
        uncertain_until=null(),
        state=case((_WAS_SENT, _READY), else_=outbox.c.state),
        ready_at=case((_WAS_SENT, bindparam("now")), else_=outbox.c.ready_at),
    )
)
_MARKED = (outbox.c.state == _READY, outbox.c.message_id.is_not(None))
_MARK_UNSENT = Statement(
    update(outbox).where(_UNSENT, *_MARKED).values(uncertain_until=bindparam("uncertain_until"))
)
_MARK_IN_CHAT = Statement(
    update(outbox).where(*_CHAT, _UNSENT, *_MARKED).values(uncertain_until=bindparam("uncertain_until"))
)


def lost(conn: Connection, part: Part) -> None:
    """Note that no answer came: sending -> unknown, to be settled."""
    _LOST(conn, part_id=part.part_id)


def lost_in_chat(conn: Connection, bot_id: BotId, chat_id: ChatId) -> None:
    """Note the same for a chat whose sender crashed."""
    _LOST_IN_CHAT(conn, bot_id=bot_id, chat_id=chat_id)


def lost_by_death(conn: Connection) -> None:
    """Note the same for all: the process that sent them is gone.

    Previews by it may still be on their way, too.
    """
    _LOST_ALL(conn)
    _MARK_UNSENT(conn, uncertain_until=time.time() + LATE_SECONDS)


def lost_with_chat(conn: Connection, bot_id: BotId, chat_id: ChatId) -> None:
    """Note the same for one chat, which was with a process that is gone."""
    lost_in_chat(conn, bot_id, chat_id)
    _MARK_IN_CHAT(conn, bot_id=bot_id, chat_id=chat_id, uncertain_until=time.time() + LATE_SECONDS)


def not_begun(conn: Connection, under_way: Collection[PartId], instance_id: InstanceId) -> None:
    """Take back what was not even asked for, at a shutdown: sending -> ready but for those under way."""
    _NOT_BEGUN(conn, under_way=json.dumps(list(under_way)), instance_id=instance_id)


def take_back(conn: Connection, part: Part) -> None:
    """Note that a part was refused for now: sending -> ready, so that it can expire before the next try."""
    _TAKE_BACK(conn, part_id=part.part_id)


def mark_uncertain(conn: Connection, row_id: RowId) -> None:
    """Note that a preview of what is on screen of this answer may still arrive within LATE_SECONDS."""
    _MARK_UNCERTAIN(conn, row_id=row_id, uncertain_until=time.time() + LATE_SECONDS)


def show_uncertain(conn: Connection, bot_id: BotId) -> None:
    """Sent -> ready for what a late preview may have overwritten by now; clears all marks that are due."""
    _SHOW_UNCERTAIN(conn, bot_id=bot_id, now=time.time())
