"""Keeps what turns ask with buttons: a row waits as `asking` until the last of its questions is answered."""

import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, exists, func, insert, select, update

from tgbot.model import Button, Choice, MessageId, RowId, SessionKey, UserId
from tgbot.render import Text
from tgbot.store import outbox as outbox_of
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.parts import Asked, Offer
from tgbot.store.schema import FRONT, outbox, pending, question

STOPPED = "stopped"  # the answer to a question that a /stop ended

_ASKING = literal("'asking'")
_OF_ROW = question.c.pending_id == bindparam("row_id")
_OPEN = and_(_OF_ROW, question.c.answer.is_(None))
_ASK = Statement(
    insert(question).values(
        pending_id=bindparam("row_id"),
        part=bindparam("part"),
        key=bindparam("key"),
        choices=bindparam("choices"),
    )
)
_BASE = Statement(
    select(func.coalesce(func.max(question.c.part) + literal("1"), literal("0"))).where(_OF_ROW)
)
_FIND = Statement(
    select(
        *(question.c.choices, question.c.answer, pending.c.user_id, pending.c.state),
        *(outbox.c.text, outbox.c.entities),
    )
    .join(pending, pending.c.id == question.c.pending_id)
    .join(outbox, and_(outbox.c.pending_id == question.c.pending_id, outbox.c.part == question.c.part))
    .where(question.c.id == bindparam("question_id"), _OF_ROW)
)
_ANSWER = Statement(
    update(question)
    .where(question.c.id == bindparam("question_id"), _OPEN)
    .values(answer=bindparam("answer"), answered_by=bindparam("user_id"))
)
_GO_ON = Statement(
    update(pending)
    .where(pending.c.id == bindparam("row_id"), pending.c.state == _ASKING, ~exists().where(_OPEN))
    .values(state=literal("'queued'"), place=literal(str(FRONT)))
)
_ANSWERS = Statement(select(question.c.key, question.c.answer).where(_OF_ROW, question.c.answer.is_not(None)))
_STOP = Statement(
    update(pending)
    .where(pending.c.session_key == bindparam("session_key"), pending.c.state == _ASKING)
    .values(state=literal("'stopped'"), ended_at=bindparam("now"))
    .returning(pending.c.id, pending.c.message_id)
)
_ASKS = Statement(
    select(pending.c.id).where(pending.c.session_key == bindparam("session_key"), pending.c.state == _ASKING)
)
_OPEN_OF_ROW = Statement(
    select(question.c.id, outbox.c.chat_id, outbox.c.text, outbox.c.entities)
    .join(outbox, and_(outbox.c.pending_id == question.c.pending_id, outbox.c.part == question.c.part))
    .where(_OPEN)
)
_lowest = outbox.alias("lowest")
# Without words yet, the part that the answer goes on with is silent. What has a `ready_at` is full of words.
_MAKE_WAY = Statement(
    update(outbox)
    .where(
        outbox.c.pending_id == bindparam("row_id"),
        outbox.c.part == bindparam("part"),
        outbox.c.state.in_([literal("'growing'"), literal("'sending'"), literal("'unknown'")]),
        outbox.c.silent,
        outbox.c.ready_at.is_(None),
    )
    .values(
        outbox_of.TO_REMOVE
        | {
            "part": select(func.min(_lowest.c.part) - literal("1"))
            .where(_lowest.c.pending_id == bindparam("row_id"))
            .scalar_subquery()
        }
    )
)
_WITHDRAW = Statement(update(question).where(_OPEN).values(answer=literal(f"'{STOPPED}'")))


class Found(NamedTuple):
    """A question whose button was pressed: what it says, who may answer it, and whether it still waits."""

    text: Text
    choices: list[Choice]
    user_id: UserId
    waits: bool

    def text_with(self, choice: Choice) -> Text:
        """Make the text that says what was answered."""
        return self.text.with_line(f"→ {choice.label}") or self.text


class StoppedRow(NamedTuple):
    """A row that a /stop ended while it was asking."""

    row_id: RowId
    message_id: MessageId


def ask(conn: Connection, row_id: RowId, asked: Sequence[Asked], part: int) -> list[Offer]:
    """Store questions, and give the messages that show them, from the part number `part` on."""
    return [_ask(conn, row_id, one, number) for number, one in enumerate(asked, start=part)]


def _ask(conn: Connection, row_id: RowId, asked: Asked, part: int) -> Offer:
    choices = json.dumps([(choice.label, choice.value) for choice in asked.choices])
    question_id = _ASK(conn, row_id=row_id, part=part, key=asked.key, choices=choices).lastrowid
    data = (f"answer:{row_id}:{question_id}:{number}" for number in range(len(asked.choices)))
    return Offer(asked.text, tuple(map(Button, (choice.label for choice in asked.choices), data)))


def first_part(conn: Connection, row_id: RowId) -> int:
    """Compute the number of the part that an answer goes on with: the one behind its last question."""
    number: int = _BASE(conn, row_id=row_id).scalar()
    return number


def close(conn: Connection, row_id: RowId, text: Text) -> None:
    """Let what is on screen since the last question say `text`; where there is nothing, say nothing."""
    outbox_of.close(conn, row_id, text, first_part(conn, row_id))


def make_way(conn: Connection, row_id: RowId) -> bool:
    """Growing, sending or unknown -> surplus: a line of progress behind the last question, where words come.

    It was sent silently, so words that are edited into it would notify nobody. Returns whether it was so.
    """
    part = first_part(conn, row_id)
    return part > 0 and _MAKE_WAY(conn, row_id=row_id, part=part, now=time.time()).rowcount == 1


def find(conn: Connection, row_id: RowId, question_id: int) -> Found | None:
    """Find the question that a button belongs to; None if it belongs to none."""
    row = _FIND(conn, row_id=row_id, question_id=question_id).first()
    if row is None:
        return None
    waits = row.answer is None and row.state == "asking"
    choices = [Choice(*choice) for choice in json.loads(row.choices)]
    return Found(_text(row), choices, UserId(row.user_id), waits)


def answer(conn: Connection, row_id: RowId, question_id: int, value: str, user_id: UserId) -> bool:
    """Note an answer. Asking -> queued with the last one, and then returns True."""
    _ANSWER(conn, row_id=row_id, question_id=question_id, answer=value, user_id=user_id)
    return _GO_ON(conn, row_id=row_id).rowcount == 1


def answers(conn: Connection, row_id: RowId) -> dict[str, str]:
    """Map the keys of a row's answered questions to the answers."""
    return {row.key: row.answer for row in _ANSWERS(conn, row_id=row_id)}


def asking(conn: Connection, session_key: SessionKey) -> RowId | None:
    """Find the row of a session that waits for an answer."""
    row_id: RowId | None = _ASKS(conn, session_key=session_key).scalar()
    return row_id


def stop(conn: Connection, session_key: SessionKey) -> StoppedRow | None:
    """Asking -> stopped: nobody can answer its questions any more. None if the session asks nothing."""
    row = _STOP(conn, session_key=session_key, now=time.time()).first()
    if row is None:
        return None
    for one in _OPEN_OF_ROW(conn, row_id=row.id):
        pressed = f"answer:{row.id}:{one.id}:0"
        text = _text(one)
        outbox_of.rewrite(conn, row.id, one.chat_id, pressed, text.with_line(outbox_of.STOPPED.text) or text)
    _WITHDRAW(conn, row_id=row.id)
    return StoppedRow(row.id, row.message_id)


def _text(row: Any) -> Text:  # noqa: ANN401 - a Row has its columns as attributes only at run time
    return Text(row.text, tuple(json.loads(row.entities or "[]")))
