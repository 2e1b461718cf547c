"""Keeps the last things that people in a group said to each other, as context for the next turn there.

They belong to a chat and topic, whosever sessions there are. A message that runs a turn takes them into its
own row, in the transaction that stores it: so each is given to one turn, and again to every attempt of it.
"""

import json

from sqlalchemy import bindparam, delete, select, update

from tgbot.model import Address, BotId, ChatId, RowId, Update
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import overheard, pending

GENERAL = 0  # in place of a topic, where there is none

_IN_CHAT = (overheard.c.bot_id == bindparam("bot_id"), overheard.c.chat_id == bindparam("chat_id"))
_HERE = (*_IN_CHAT, overheard.c.topic_id == bindparam("topic_id"))
_KEEP = Statement(
    insert(overheard)
    .values({name: bindparam(name) for name in ("bot_id", "update_id", "chat_id", "topic_id", "line")})
    .on_conflict_do_nothing()
)
_LINES = Statement(select(overheard.c.id, overheard.c.line).where(*_HERE).order_by(overheard.c.id))
_DROP = Statement(delete(overheard).where(*_HERE, overheard.c.id <= bindparam("last_id")))
_DROP_CHAT = Statement(delete(overheard).where(*_IN_CHAT))
_GIVE = Statement(update(pending).where(pending.c.id == bindparam("row_id")).values(raw=bindparam("changed")))
_RAW = Statement(select(pending.c.raw).where(pending.c.id == bindparam("row_id")))


def keep(conn: Connection, update: Update, address: Address, line: str, most: int) -> None:
    """Keep a line, and only the last `most` of its place; one that comes again is kept once."""
    place = _place(update.bot_id, address)
    _KEEP(conn, update_id=update.update_id, line=line, **place)
    ids = [row.id for row in _LINES(conn, **place)]
    if len(ids) > most:
        _DROP(conn, last_id=ids[-most - 1], **place)


def give(conn: Connection, bot_id: BotId, address: Address, row_id: RowId) -> None:
    """Move what is kept of a place into the message of a row there."""
    place = _place(bot_id, address)
    if rows := _LINES(conn, **place).rows:
        update = json.loads(_RAW(conn, row_id=row_id).scalar())
        update["message"]["overheard"] = [row.line for row in rows]
        _GIVE(conn, row_id=row_id, changed=json.dumps(update, separators=(",", ":")))
        _DROP(conn, last_id=rows[-1].id, **place)


def forget(conn: Connection, bot_id: BotId, address: Address) -> None:
    """Drop what is kept of a place."""
    _DROP(conn, last_id=2**62, **_place(bot_id, address))


def forget_chat(conn: Connection, bot_id: BotId, chat_id: ChatId) -> None:
    """Drop what is kept of a chat: the bot left, and what was said before it joins again is not for it."""
    _DROP_CHAT(conn, bot_id=bot_id, chat_id=chat_id)


def _place(bot_id: BotId, address: Address) -> dict[str, object]:
    return {"bot_id": bot_id, "chat_id": address.chat_id, "topic_id": address.topic_id or GENERAL}
