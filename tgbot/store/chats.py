"""A group that becomes a supergroup has another id from then on: everything of the old chat follows, once."""

from typing import Any

from sqlalchemy import ColumnElement, String, bindparam, case, delete, func, null, or_, select, update

from tgbot.model import BotId, ChatId, session_key
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.statement import Statement, literal
from tgbot.store.schema import guard, outbox, pending, turn

_OF_CHAT = (pending.c.bot_id == bindparam("bot_id"), pending.c.chat_id == bindparam("old_id"))


def _is_of(table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a table, or an alias of it
    """Say in SQL whether a session is the old chat, or a topic of it."""
    key = table.c.session_key
    return or_(key == bindparam("old_key"), key.between(bindparam("old_topics"), bindparam("old_topics_end")))


def _moved(key: ColumnElement[str]) -> ColumnElement[str]:
    """Name the session in SQL that takes a session's place."""
    topic = func.substr(key, func.length(bindparam("old_key")) + literal("1"))
    return bindparam("new_key", type_=String).concat(topic)


_old = guard.alias("old_guard")
_BEGUN = select(guard.c.turn_id).where(
    guard.c.session_key.in_(select(_moved(_old.c.session_key)).where(_is_of(_old)))
)
_REQUEUE = Statement(
    update(pending)
    .where(
        pending.c.state == literal("'claimed'"),
        pending.c.id.in_(select(turn.c.pending_id).where(turn.c.id.in_(_BEGUN))),
    )
    .values(state=literal("'queued'"))
)
_LEAVE = Statement(delete(guard).where(guard.c.turn_id.in_(_BEGUN)))
_MOVE_GUARDS = Statement(update(guard).where(_is_of(guard)).values(session_key=_moved(guard.c.session_key)))
# Once in a group's time, so no index is kept for it.
_MOVE_ROWS = Statement(
    update(pending)
    .where(*_OF_CHAT)
    .values(
        chat_id=bindparam("new_id"),
        session_key=case((_is_of(pending), _moved(pending.c.session_key)), else_=pending.c.session_key),
    )
)
# What is on screen stays where it is: its message ids are of the old chat, and mean others in the new one.
_MOVE_PARTS = Statement(
    update(outbox)
    .where(
        outbox.c.bot_id == bindparam("bot_id"),
        outbox.c.chat_id == bindparam("old_id"),
        outbox.c.state.in_([literal("'open'"), literal("'placed'"), literal("'ready'")]),
    )
    .values(
        chat_id=bindparam("new_id"),
        message_id=null(),
        reply_to=null(),
        uncertain_until=null(),
        state=case((outbox.c.state == literal("'placed'"), literal("'open'")), else_=outbox.c.state),
    )
)


def move(conn: Connection, bot_id: BotId, old_id: ChatId, new_id: ChatId) -> None:
    """Give all that waits, runs or is unsent in one chat to another; a second time there is nothing left.

    A turn that runs in the old chat goes on. One that had begun in the new one loses its guard and runs
    again behind it: never two at once.
    """
    old_key = session_key(bot_id, old_id)
    keys = {"old_key": old_key, "old_topics": f"{old_key}:", "old_topics_end": f"{old_key};"}
    new_key = session_key(bot_id, new_id)
    _REQUEUE(conn, **keys, new_key=new_key)
    _LEAVE(conn, **keys, new_key=new_key)
    _MOVE_GUARDS(conn, **keys, new_key=new_key)
    ids = {"bot_id": bot_id, "old_id": old_id, "new_id": new_id}
    _MOVE_ROWS(conn, **keys, **ids, new_key=new_key)
    _MOVE_PARTS(conn, **ids)
