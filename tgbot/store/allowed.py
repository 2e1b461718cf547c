"""Keeps who may talk besides those of the settings: people with their roles, and groups as such."""

import json
import time
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from sqlalchemy import bindparam, delete, select

from tgbot.model import BotId, ChatId, SessionKey, UserId
from tgbot.store import values
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert, listed, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import allowed

Role = Literal["owner", "user", "group"]

# Of the row that is claimed. Written out: in RETURNING, SQLAlchemy does not say of which table a column is.
# A chat that speaks as such (a negative id) is none of the group's members: only the settings let it.
MAY_TALK = literal(
    "EXISTS (SELECT 1 FROM allowed WHERE allowed.bot_id = pending.bot_id"
    " AND allowed.chat_id IN (pending.user_id, pending.chat_id) AND pending.user_id > 0)"
)

_COLUMNS = tuple(allowed.c.keys())
_OF_BOT = allowed.c.bot_id == bindparam("bot_id")
_ONE = (_OF_BOT, allowed.c.chat_id == bindparam("chat_id"))
_AMONG = Statement(
    select(allowed.c.chat_id).where(_OF_BOT, allowed.c.chat_id.in_(select(listed("chat_ids", int).c.value)))
)
_ROLE = Statement(select(allowed.c.role).where(*_ONE))
_OWNER = Statement(
    select(allowed.c.chat_id)
    .where(_OF_BOT, allowed.c.role == literal("'owner'"))
    .order_by(allowed.c.since)
    .limit(literal("1"))
)
_ALL = Statement(
    select(allowed.c.chat_id, allowed.c.role, allowed.c.name, allowed.c.since)
    .where(_OF_BOT)
    .order_by(allowed.c.since, allowed.c.chat_id)
)
_ALLOW = Statement(
    insert(allowed).values({name: bindparam(name) for name in _COLUMNS}).on_conflict_do_nothing()
)
_DENY = Statement(delete(allowed).where(*_ONE, allowed.c.role != literal("'owner'")))


SETTING, NAME = "setting", "may_talk"  # what the settings say, kept with the bot's own values


class Allowed(NamedTuple):
    """Somebody who may talk, or a group in which everybody may."""

    chat_id: ChatId
    role: Role
    name: str | None
    since: float


def among(conn: Connection, bot_id: BotId, chat_ids: Iterable[int]) -> set[int]:
    """Find which of these users and groups are allowed: the ids of users are positive, of groups negative."""
    return set(_AMONG(conn, bot_id=bot_id, chat_ids=json.dumps(sorted(set(chat_ids)))).scalars())


def note_settings(
    conn: Connection, bot_id: BotId, users: Collection[UserId] | None, speakers: Iterable[ChatId]
) -> None:
    """Keep whom the settings let talk, for where those are not known; None means everyone."""
    said = {"everyone": users is None, "ids": [*(users or ()), *speakers]}
    values.put_in(conn, SessionKey(str(bot_id)), SETTING, NAME, json.dumps(said))


def may_talk(conn: Connection, bot_id: BotId, chat_id: ChatId, user_ids: Collection[UserId]) -> set[UserId]:
    """Find those of these users who may talk in a chat now, by the settings or the table."""
    said = json.loads(values.get_in(conn, SessionKey(str(bot_id)), SETTING, NAME) or '{"ids": []}')
    found = among(conn, bot_id, [chat_id, *user_ids])
    all_people = said.get("everyone") or chat_id in found
    return {one for one in user_ids if one in said["ids"] or (one > 0 and (all_people or one in found))}


def role_of(conn: Connection, bot_id: BotId, chat_id: int) -> Role | None:
    """Find the role of a user or group; None if they are not allowed."""
    found: Role | None = _ROLE(conn, bot_id=bot_id, chat_id=chat_id).scalar()
    return found


def owner_of(conn: Connection, bot_id: BotId) -> UserId | None:
    """Find who was the first to own the bot, besides the one whom the settings name; None if nobody does."""
    user_id: UserId | None = _OWNER(conn, bot_id=bot_id).scalar()
    return user_id


def everyone(conn: Connection, bot_id: BotId) -> list[Allowed]:
    """List all who are allowed, in the order in which they were."""
    return [Allowed(*row) for row in _ALL(conn, bot_id=bot_id)]


def allow(  # noqa: PLR0913, PLR0917 - the columns
    conn: Connection, bot_id: BotId, chat_id: int, role: Role, name: str | None, by: UserId
) -> bool:
    """Let somebody talk, or everybody in a group. Returns whether that is new."""
    values = {"bot_id": bot_id, "chat_id": chat_id, "role": role, "name": name, "allowed_by": by}
    return _ALLOW(conn, **values, since=time.time()).rowcount == 1


def deny(conn: Connection, bot_id: BotId, chat_id: int) -> bool:
    """Take it back, but not from an owner. Returns whether there was anything to take back."""
    return _DENY(conn, bot_id=bot_id, chat_id=chat_id).rowcount == 1
