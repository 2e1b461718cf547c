"""Erases what was said in a session: for good, but for what still waits in its queue.

Rows and parts stay, without their words: an update must be known when it comes again, and a message on screen
by its id. SQLite overwrites what is deleted (`secure_delete`).
"""

import json

from sqlalchemy import BindParameter, and_, bindparam, case, delete, exists, null, or_, select, update

from tgbot.model import Address, BotId, RowId, SessionKey, UserId, session_key
from tgbot.store import overheard
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import listed, literal, position
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import (
    box_of,
    file,
    file_piece,
    guard,
    history,
    ledger,
    outbox,
    pending,
    question,
    second_look,
    session_value,
)

NO_WORDS = "{}"  # in place of an update

_session: BindParameter[str] = bindparam("session_key")
_row = select(listed("row_ids", int).c.value)
_lead = pending.alias("lead")
_RUNS = Statement(
    select(
        or_(
            exists().where(guard.c.session_key == _session),
            exists().where(pending.c.session_key == _session, pending.c.state == literal("'asking'")),
        )
    )
)
_UNSENT = Statement(
    select(
        exists().where(
            outbox.c.bot_id == bindparam("bot_id"),
            outbox.c.chat_id == bindparam("chat_id"),
            outbox.c.state.in_([literal(f"'{state}'") for state in ("ready", "sending", "unknown")]),
            pending.c.id == outbox.c.pending_id,
            pending.c.session_key == _session,
            pending.c.ended_at.is_not(None),
        )
    )
)
_ASKED_BY = Statement(
    select(pending.c.user_id)
    .join(outbox, outbox.c.pending_id == pending.c.id)
    .where(
        pending.c.id == bindparam("row_id"),
        position(outbox.c.buttons, bindparam("pressed")) > literal("0"),
    )
)
# Runs when somebody asks for it, so no index is kept for it.
_ENDED = Statement(
    select(pending.c.id).where(
        pending.c.bot_id == bindparam("bot_id"),
        or_(
            pending.c.session_key == _session,
            and_(  # an update that could not be read has only its place
                pending.c.session_key.is_(None),
                pending.c.chat_id == bindparam("chat_id"),
                pending.c.topic_id.is_not_distinct_from(bindparam("topic_id")),
            ),
        ),
        pending.c.ended_at.is_not(None),
        ~exists().where(_lead.c.id == pending.c.lead_id, _lead.c.ended_at.is_(None)),
    )
)
# An update keeps the id that its group had before it became a supergroup, and the row its box.
_FROM_BEFORE = Statement(
    select(pending.c.raw).where(
        pending.c.id.in_(_row),
        pending.c.kind == literal("'message'"),
        pending.c.box != box_of(pending.c.chat_id),
        pending.c.raw != literal(f"'{NO_WORDS}'"),
    )
)
_files = select(file.c.id).where(
    or_(
        file.c.pending_id.in_(_row),
        file.c.id.in_(select(outbox.c.file_id).where(outbox.c.pending_id.in_(_row))),
    )
)
_STEPS = (
    # A summary, also of a row that will run again, is of what was said before.
    Statement(
        delete(history).where(
            history.c.session_key == _session,
            or_(history.c.pending_id.in_(_row), history.c.kind == literal("'summary'")),
        )
    ),
    Statement(delete(session_value).where(session_value.c.session_key == _session)),
    *(
        Statement(delete(table).where(table.c.pending_id.in_(_row)))
        for table in (ledger, question, second_look)
    ),
    Statement(delete(file_piece).where(file_piece.c.file_id.in_(_files))),
    Statement(delete(file).where(file.c.id.in_(_files))),
    Statement(delete(outbox).where(outbox.c.pending_id.in_(_row), outbox.c.state == literal("'parked'"))),
    Statement(
        update(outbox)
        .where(outbox.c.pending_id.in_(_row), outbox.c.state == literal("'sent'"))
        .values(
            # Those below the reply to a command say nothing of what was said.
            buttons=case(
                (
                    exists().where(
                        pending.c.id == outbox.c.pending_id, pending.c.kind == literal("'control'")
                    ),
                    outbox.c.buttons,
                )
            ),
            **dict.fromkeys(
                ("text", "entities", "file_name", "file_id", "sent_text", "uncertain_until"), null()
            ),
        )
    ),
    Statement(
        update(pending)
        .where(pending.c.id.in_(_row))
        .values(
            raw=literal(f"'{NO_WORDS}'"),
            # Without its words it cannot be tried again.
            state=case((pending.c.state == literal("'dead'"), literal("'dropped'")), else_=pending.c.state),
        )
    ),
)


def runs(conn: Connection, address: Address) -> bool:
    """Whether a turn runs in a session, or asks something: what it knows cannot be erased now."""
    return bool(_RUNS(conn, session_key=address.session_key).scalar())


def unsent(conn: Connection, bot_id: BotId, address: Address) -> bool:
    """Whether something of what ended in a session is not on screen yet, so that its text is still needed."""
    where = {"bot_id": bot_id, "chat_id": address.chat_id, "session_key": address.session_key}
    return bool(_UNSENT(conn, **where).scalar())


def erase(conn: Connection, bot_id: BotId, address: Address) -> list[SessionKey]:
    """Erase the log, the notes and settings, and the words of all that has ended; not while a turn `runs`.

    Returns each key that the session has had: what is kept beside the database may have any of them.
    """
    key, topic_id = address.session_key, address.topic_id
    where = {"bot_id": bot_id, "chat_id": address.chat_id, "topic_id": topic_id}
    row_ids = json.dumps(_ENDED(conn, session_key=key, **where).scalars())
    written_in = {
        json.loads(raw)["message"]["chat"]["id"] for raw in _FROM_BEFORE(conn, row_ids=row_ids).scalars()
    }
    for step in _STEPS:
        step(conn, session_key=key, row_ids=row_ids)
    overheard.forget(conn, bot_id, address)
    topic = key.removeprefix(session_key(bot_id, address.chat_id))
    return [SessionKey(session_key(bot_id, chat_id) + topic) for chat_id in {*written_in, address.chat_id}]


def asked_by(conn: Connection, row_id: RowId, pressed: str) -> UserId | None:
    """Find who typed the command whose reply still has this button; None if it has none any more."""
    # With the quotes of JSON around it, `erase:1` does not match `erase:12`.
    user_id: UserId | None = _ASKED_BY(conn, row_id=row_id, pressed=json.dumps(pressed)).scalar()
    return user_id
