"""Counts what each user takes of their limits: the messages of a minute, the turns of a day."""

import time
from typing import Literal

from sqlalchemy import bindparam, case

from tgbot.model import BotId, UserId
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sql import insert, literal
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import allowance

Span = Literal["minute", "day"]
SECONDS: dict[Span, int] = {"minute": 60, "day": 86_400}

_insert = insert(allowance).values(
    {name: bindparam(name) for name in ("bot_id", "user_id", "span", "began")} | {"number": literal("1")}
)
_COUNT = Statement(
    _insert.on_conflict_do_update(
        index_elements=["bot_id", "user_id", "span"],
        set_={
            "began": _insert.excluded.began,
            "number": case(
                (allowance.c.began == _insert.excluded.began, allowance.c.number + literal("1")),
                else_=literal("1"),
            ),
        },
    ).returning(allowance.c.number)
)


def count(conn: Connection, bot_id: BotId, user_id: UserId, span: Span) -> int:
    """Count one more, and return how many it are in the minute or day (UTC) that it is now."""
    seconds = SECONDS[span]
    began = int(time.time()) // seconds * seconds
    number: int = _COUNT(conn, bot_id=bot_id, user_id=user_id, span=span, began=began).scalar()
    return number
