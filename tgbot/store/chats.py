"""Moves everything of a chat to its new id, when a group becomes a supergroup."""

from typing import Any

from sqlalchemy import ColumnElement, String, bindparam, case, delete, exists, func, null, or_, select, update

from tgbot.model import BotId, ChatId, session_key
from tgbot.store import interrupted, questions, workers
from tgbot.store import outbox as outbox_of
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import (
    allowed,
    box_of,
    guard,
    history,
    outbox,
    overheard,
    pending,
    question,
    session_value,
    turn,
    usage,
)

_OF_CHAT = (pending.c.bot_id == bindparam("bot_id"), pending.c.chat_id == bindparam("old_id"))


def _is_of(table: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a table, or an alias of it
    """Make the SQL condition that a session is the old chat, or a topic of it."""
    key = table.c.session_key
    return or_(key == bindparam("old_key"), key.between(bindparam("old_topics"), bindparam("old_topics_end")))


def _moved(key: ColumnElement[str]) -> ColumnElement[str]:
    """Make the SQL expression of the key that replaces a session's key."""
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
_STOPPED = Statement(
    select(pending.c.id)
    .join(turn, turn.c.pending_id == pending.c.id)
    .where(pending.c.state == literal("'stopped'"), turn.c.id.in_(_BEGUN))
)
_LEAVE = Statement(delete(guard).where(guard.c.turn_id.in_(_BEGUN)))
_MOVE_GUARDS = Statement(update(guard).where(_is_of(guard)).values(session_key=_moved(guard.c.session_key)))
# Runs once in the history of a group, so no index is kept for it.
_MOVE_ROWS = Statement(
    update(pending)
    .where(*_OF_CHAT)
    .values(
        chat_id=bindparam("new_id"),
        session_key=case((_is_of(pending), _moved(pending.c.session_key)), else_=pending.c.session_key),
    )
)
_MOVE_USAGE = Statement(
    update(usage)
    .where(usage.c.bot_id == bindparam("bot_id"), usage.c.chat_id == bindparam("old_id"))
    .values(
        chat_id=bindparam("new_id"),
        session_key=case((_is_of(usage), _moved(usage.c.session_key)), else_=usage.c.session_key),
    )
)
_OF_OLD = (outbox.c.bot_id == bindparam("bot_id"), outbox.c.chat_id == bindparam("old_id"))
# What is on screen stays there: in the new chat, the same message ids belong to other messages.
_LEAVE_BEHIND = Statement(
    delete(outbox).where(
        *_OF_OLD,
        or_(outbox.c.kind.in_([literal("'surplus'"), literal("'card'")]), outbox.c.ready_at.is_(None)),
    )
)
_UNSENT = outbox.c.state.in_([literal("'ready'"), literal("'sending'"), literal("'unknown'")])
# Its buttons in the old chat cannot be pressed any more.
_ASKS = exists().where(
    question.c.pending_id == outbox.c.pending_id,
    question.c.part == outbox.c.part,
    question.c.answer.is_(None),
)
_MOVE_PARTS = Statement(
    update(outbox)
    .where(*_OF_OLD, or_(_UNSENT, _ASKS))
    .values(
        chat_id=bindparam("new_id"),
        box=box_of(bindparam("new_id")),
        state=literal("'ready'"),
        **dict.fromkeys(
            ("message_id", "reply_to", "uncertain_until", "floor", "ceiling", "sent_text"), null()
        ),
    )
)


# It stays in the old chat, so nothing may be shown there once more: the refusal would move it after all.
_TRUST_SENT = Statement(update(outbox).where(*_OF_OLD).values(uncertain_until=null()))
# Where the new chat has a value of that name already, it is the newer one.
_newer = session_value.alias("newer")
_DROP_OLDER_VALUES = Statement(
    delete(session_value).where(
        _is_of(session_value),
        exists().where(
            _newer.c.session_key == _moved(session_value.c.session_key),
            _newer.c.kind == session_value.c.kind,
            _newer.c.name == session_value.c.name,
        ),
    )
)
_MOVE_VALUES = Statement(
    update(session_value).where(_is_of(session_value)).values(session_key=_moved(session_value.c.session_key))
)
_MOVE_HISTORY = Statement(
    update(history).where(_is_of(history)).values(session_key=_moved(history.c.session_key))
)
_MOVE_OVERHEARD = Statement(
    update(overheard)
    .where(overheard.c.bot_id == bindparam("bot_id"), overheard.c.chat_id == bindparam("old_id"))
    .values(chat_id=bindparam("new_id"))
)
# Where the new one is allowed already, that is enough.
_of_new = allowed.alias("of_new")
_MOVE_ALLOWED = Statement(
    update(allowed)
    .where(
        allowed.c.bot_id == bindparam("bot_id"),
        allowed.c.chat_id == bindparam("old_id"),
        ~exists().where(_of_new.c.bot_id == bindparam("bot_id"), _of_new.c.chat_id == bindparam("new_id")),
    )
    .values(chat_id=bindparam("new_id"))
)
_STEPS = (
    *(_REQUEUE, _LEAVE, _MOVE_GUARDS, _MOVE_ROWS, _LEAVE_BEHIND, _MOVE_PARTS, _TRUST_SENT),
    *(_DROP_OLDER_VALUES, _MOVE_VALUES, _MOVE_HISTORY, _MOVE_USAGE, _MOVE_OVERHEARD, _MOVE_ALLOWED),
)


def move(conn: Connection, bot_id: BotId, old_id: ChatId, new_id: ChatId) -> None:
    """Give all that waits, runs or is unsent in one chat to another; a second time there is nothing left.

    A turn that runs in the old chat goes on. One that had begun in the new one loses its guard and runs
    again behind it: never two at once.
    """
    workers.lock_all(conn, [workers.Chat(bot_id, old_id), workers.Chat(bot_id, new_id)])
    old_key = session_key(bot_id, old_id)
    names: dict[str, object] = {
        "bot_id": bot_id,
        "old_id": old_id,
        "new_id": new_id,
        "old_key": old_key,
        "old_topics": f"{old_key}:",
        "old_topics_end": f"{old_key};",
        "new_key": session_key(bot_id, new_id),
    }
    for row_id in _STOPPED(conn, **names).scalars():  # its task will have no guard to end it with
        questions.close(conn, row_id, outbox_of.STOPPED)
    for statement in _STEPS:
        statement(conn, **names)
    if workers.move_chat(conn, bot_id, old_id, new_id):  # another worker may be sending to the new one
        interrupted.lost_with_chat(conn, bot_id, new_id)
