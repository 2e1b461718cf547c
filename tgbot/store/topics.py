"""Topics that are gone: what belongs to one goes to the chat itself."""

import json

from sqlalchemy import bindparam, case, delete, null, select, update

from tgbot.model import Part, whole
from tgbot.render import Text
from tgbot.store import outbox
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import outbox as parts
from tgbot.store.schema import pending

_READY = literal("'ready'")
_ROW = parts.c.pending_id == bindparam("row_id")
_IN_FLIGHT = parts.c.state.in_([literal("'sending'"), literal("'unknown'")])

_RAW = Statement(select(pending.c.raw).where(pending.c.id == bindparam("row_id")))
# Words of a running turn: it says them again.
_FORGET_WORDS = Statement(delete(parts).where(_ROW, _IN_FLIGHT, parts.c.ready_at.is_(None)))
_LEAVE_TOPIC = Statement(
    update(parts)
    .where(_ROW)
    .values(
        state=case((_IN_FLIGHT, _READY), else_=parts.c.state),
        **dict.fromkeys(("topic_id", "reply_to", "floor", "ceiling", "sent_text"), null()),
    )
)
_LEAVE_TOPIC_ROW = Statement(
    update(pending).where(pending.c.id == bindparam("row_id")).values(topic_id=null())
)


def leave(conn: Connection, part: Part) -> None:
    """Ready -> ready: its topic is gone, so the answer goes to the chat itself, and says where it belongs."""
    name = _topic_name(json.loads(_RAW(conn, row_id=part.row_id).scalar()))
    _FORGET_WORDS(conn, row_id=part.row_id)
    _LEAVE_TOPIC(conn, row_id=part.row_id)
    _LEAVE_TOPIC_ROW(conn, row_id=part.row_id)
    text = Text(part.text or "", tuple(json.loads(part.entities or "[]")))
    topic = f"“{name}”" if name else f"number {part.topic_id}"
    marked = text.with_line(f"(For the topic {topic}, which is gone.)")
    if part.kind == "text" and part.ready_at is not None and marked:
        outbox.fall_back(conn, part, [marked])


def _topic_name(found: object) -> str:
    """Find the name in an update: a message in a topic may reply to the one that began it. Else ""."""
    for name in ("message", "reply_to_message", "forum_topic_created", "name"):
        found = found.get(name) if isinstance(found, dict) else None
    return whole(found) if isinstance(found, str) else ""
