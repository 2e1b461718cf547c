"""Keeps what was said to those who may not talk: each of them hears little, and a crowd leaves few rows."""

import time
from typing import Literal, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from tgbot.model import BotId, UserId
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import pairing, stranger

# Who get the reply that this bot is private: a crowd must neither keep friends waiting nor fill the disk.
STRANGERS_A_MINUTE, STRANGERS_A_DAY = 10, 200
ASKING_MAX = 10  # who wait for the owner's decision at a time

_OF_BOT = stranger.c.bot_id == bindparam("bot_id")
_ONE = (_OF_BOT, stranger.c.user_id == bindparam("user_id"))
_SINCE = Statement(
    select(
        func.count(),
        func.count().filter(stranger.c.replied_at > bindparam("minute")),
    ).where(_OF_BOT, stranger.c.replied_at > bindparam("day"))
)
_NOTE = Statement(
    insert(stranger)
    .values({name: bindparam(name) for name in ("bot_id", "user_id", "replied_at")})
    .on_conflict_do_nothing()
)
_FIND = Statement(select(stranger.c.state, stranger.c.name, stranger.c.wrong_codes).where(*_ONE))
_ASKING = Statement(select(func.count()).where(_OF_BOT, stranger.c.state == literal("'asked'")))
_ASK = Statement(update(stranger).where(*_ONE).values(state=literal("'asked'"), name=bindparam("name")))
_insert_denied = insert(stranger).values(
    {name: bindparam(name) for name in ("bot_id", "user_id", "replied_at")} | {"state": literal("'denied'")}
)
_DENY = Statement(
    _insert_denied.on_conflict_do_update(
        index_elements=["bot_id", "user_id"], set_={"state": _insert_denied.excluded.state}
    )
)
_FORGET = Statement(delete(stranger).where(*_ONE))
_GUESSED_WRONG = Statement(
    update(stranger)
    .where(*_ONE)
    .values(wrong_codes=stranger.c.wrong_codes + literal("1"))
    .returning(stranger.c.wrong_codes)
)
_CODE_COLUMNS = ("bot_id", "code_hash", "expires_at")
_insert_code = insert(pairing).values({name: bindparam(name) for name in _CODE_COLUMNS})
_OPEN = Statement(
    _insert_code.on_conflict_do_update(
        index_elements=["bot_id"],
        set_={name: _insert_code.excluded[name] for name in _CODE_COLUMNS[1:]},
    )
)
_CODE = Statement(
    select(pairing.c.code_hash, pairing.c.expires_at).where(pairing.c.bot_id == bindparam("bot_id"))
)
_CLOSE = Statement(delete(pairing).where(pairing.c.bot_id == bindparam("bot_id")))


class Stranger(NamedTuple):
    """Somebody who may not talk, and has heard so."""

    state: Literal["replied", "asked", "denied"]
    name: str | None
    wrong_codes: int


class Code(NamedTuple):
    """The hash of the code that makes its sender the owner; it counts until a Unix time in seconds."""

    code_hash: str
    expires_at: float


def find(conn: Connection, bot_id: BotId, user_id: UserId) -> Stranger | None:
    """Find a stranger; None if they got no reply yet."""
    row = _FIND(conn, bot_id=bot_id, user_id=user_id).first()
    return Stranger(*row) if row else None


def note(conn: Connection, bot_id: BotId, user_id: UserId) -> bool:
    """Note that this stranger gets their first reply; False if too many others got one just now."""
    now = time.time()
    a_day, a_minute = _SINCE(conn, bot_id=bot_id, minute=now - 60, day=now - 86_400).first()
    if a_day >= STRANGERS_A_DAY or a_minute >= STRANGERS_A_MINUTE:
        return False
    return _NOTE(conn, bot_id=bot_id, user_id=user_id, replied_at=now).rowcount == 1


def ask(conn: Connection, bot_id: BotId, user_id: UserId, name: str) -> bool:
    """Note that the owner is asked about a stranger who is noted; False if too many wait for that."""
    if _ASKING(conn, bot_id=bot_id).scalar() >= ASKING_MAX:
        return False
    return _ASK(conn, bot_id=bot_id, user_id=user_id, name=name).rowcount == 1


def deny(conn: Connection, bot_id: BotId, user_id: UserId) -> None:
    """Note that the owner does not want to be asked about somebody."""
    _DENY(conn, bot_id=bot_id, user_id=user_id, replied_at=time.time())


def forget(conn: Connection, bot_id: BotId, user_id: UserId) -> None:
    """Forget a stranger, who is none any more."""
    _FORGET(conn, bot_id=bot_id, user_id=user_id)


def guessed_wrong(conn: Connection, bot_id: BotId, user_id: UserId) -> int:
    """Count a wrong code of a stranger who is noted; returns how many it were by now."""
    count: int = _GUESSED_WRONG(conn, bot_id=bot_id, user_id=user_id).scalar()
    return count


def open_pairing(conn: Connection, bot_id: BotId, code: Code) -> None:
    """Let a code make its sender the owner, in place of an earlier one."""
    _OPEN(conn, bot_id=bot_id, code_hash=code.code_hash, expires_at=code.expires_at)


def pairing_code(conn: Connection, bot_id: BotId) -> Code | None:
    """Find the code that makes its sender the owner; None if none does."""
    row = _CODE(conn, bot_id=bot_id).first()
    return Code(*row) if row else None


def close_pairing(conn: Connection, bot_id: BotId) -> bool:
    """Let no code make anybody the owner. Returns whether one did until now."""
    return _CLOSE(conn, bot_id=bot_id).rowcount == 1
