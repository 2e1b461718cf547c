"""Notes which reactions are due: a process may die after an answer is on screen and before it reacted."""

import json
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import bindparam, false, select, update

from tgbot.model import BotId, ChatId, InstanceId, MessageId, PartId
from tgbot.store import workers
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import listed, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import outbox, pending

_DUE = Statement(
    select(
        *(outbox.c.id, outbox.c.chat_id, pending.c.message_id),
        *(outbox.c.state.label("part_state"), pending.c.state.label("row_state")),
    )
    .join(pending, pending.c.id == outbox.c.pending_id)
    # Where a chat has moved, the id of the question means another message.
    .where(literal("reaction_due"), outbox.c.bot_id == bindparam("bot_id"), pending.c.box == outbox.c.box)
    .where(~workers.elsewhere(outbox))
    .order_by(outbox.c.id)
)
_SHOWN = Statement(
    update(outbox)
    .where(outbox.c.id.in_(select(listed("part_ids", int).c.value)))
    .values(reaction_due=false())
)


class Due(NamedTuple):
    """A reaction that is due: to this message, by the states of the part and of the row."""

    part_id: PartId
    chat_id: ChatId
    message_id: MessageId
    part_state: str
    row_state: str


def due(conn: Connection, bot_id: BotId, instance_id: InstanceId) -> list[Due]:
    """List the reactions that are due, at the start of a process: those that an earlier one did not show."""
    return [Due(*row) for row in _DUE(conn, bot_id=bot_id, instance_id=instance_id)]


def shown(conn: Connection, part_ids: Collection[PartId]) -> None:
    """Note that these were shown."""
    _SHOWN(conn, part_ids=json.dumps(list(part_ids)))
