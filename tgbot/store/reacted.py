"""Finds what a reaction is about: the row whose answer or question the message is."""

import json
from typing import NamedTuple

from sqlalchemy import and_, bindparam, or_, select

from tgbot.model import Address, BotId, ChatId, Message, MessageId, RowId, Update, box
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.erasure import NO_WORDS
from tgbot.store.schema import box_of, outbox, pending, question

_FIND = Statement(
    select(pending.c.id, pending.c.state, question.c.id.label("question_id"), question.c.choices)
    .select_from(outbox)
    .join(pending, pending.c.id == outbox.c.pending_id)
    .outerjoin(
        question,
        and_(
            question.c.pending_id == outbox.c.pending_id,
            question.c.part == outbox.c.part,
            question.c.answer.is_(None),
        ),
    )
    .where(
        outbox.c.bot_id == bindparam("bot_id"),
        outbox.c.box == bindparam("box"),
        outbox.c.message_id == bindparam("message_id"),
        outbox.c.chat_id == bindparam("chat_id"),
        outbox.c.kind.not_in([literal("'card'"), literal("'surplus'")]),
        pending.c.kind == literal("'message'"),
    )
)
_ENDED = Statement(
    select(pending.c.id).where(
        pending.c.id == bindparam("row_id"),
        pending.c.state.in_([literal(f"'{state}'") for state in ("done", "failed", "stopped")]),
        # Of a chat that has moved, the message id means another message.
        pending.c.box == box_of(pending.c.chat_id),
    )
)
_RAN_TOGETHER = Statement(
    select(
        *(pending.c.session_key, pending.c.chat_id, pending.c.user_id, pending.c.message_id),
        *(pending.c.topic_id, pending.c.raw),
    )
    .where(
        or_(pending.c.id == bindparam("row_id"), pending.c.lead_id == bindparam("row_id")),
        pending.c.raw != literal(f"'{NO_WORDS}'"),
    )
    .order_by(pending.c.lead_id, pending.c.id)  # NULL comes first: the lead row
)


class About(NamedTuple):
    """What a message of the bot belongs to: a row, by its state; and a question that waits, if it asks one.

    `values` are those of the question's choices, in the order of its buttons.
    """

    row_id: RowId
    state: str
    question_id: int | None
    values: list[str]


def find(conn: Connection, bot_id: BotId, chat_id: ChatId, message_id: MessageId) -> About | None:
    """Find what a message belongs to; None if it is not the bot's, or no turn's."""
    row = _FIND(conn, bot_id=bot_id, box=box(chat_id), chat_id=chat_id, message_id=message_id).first()
    if row is None:
        return None
    return About(row.id, row.state, row.question_id, [value for _, value in json.loads(row.choices or "[]")])


def again(conn: Connection, update: Update, row_id: RowId) -> list[Message]:
    """Make what a turn ran for anew, as messages of `update`: one, or those of an album.

    Empty if the row's turn has not ended by itself or by a /stop, or its words were erased.
    """
    if _ENDED(conn, row_id=row_id).first() is None:
        return []
    return [
        Message(update._replace(raw=raw), Address(session_key, chat_id, user_id, message_id, topic_id))
        for session_key, chat_id, user_id, message_id, topic_id, raw in _RAN_TOGETHER(conn, row_id=row_id)
    ]
