"""A database with a past, or with much to do: rows by the hundred thousand, made by the server itself."""

import json
from typing import Any

import psycopg

from bench import scene
from bench.history import FIRST_OLD_CHAT, FIRST_OLD_UPDATE, FIRST_QUEUED_UPDATE, OLD_CHATS
from tgbot.store import upgrading
from tgbot.store.engine.place import Place, place_of

_ROWS = """
    INSERT INTO pending
        (bot_id, update_id, kind, state, session_key, chat_id, box, user_id, message_id,
         attempt, received_at, ended_at, raw)
    SELECT %(bot_id)s, %(first_update)s + i, 'message', %(state)s, concat(%(bot_id)s::bigint, ':', chat),
           chat, 0, chat, i, %(attempt)s, i, %(ended_at)s, %(raw)s
    FROM (SELECT i, %(first_chat)s + i %% %(chats)s AS chat FROM generate_series(0, %(rows)s - 1) AS i) AS n
"""


def connect(url: str) -> psycopg.Connection[Any]:
    """Open a connection beside the bot's, on which each statement is committed."""
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def migrated(url: str) -> Place:
    place = place_of(url)
    upgrading.upgrade(place)
    return place


def add_old(url: str, rows: int) -> None:
    """Add rows whose answers were given long ago."""
    old = {"state": "done", "attempt": 1, "ended_at": 1.0, "first_update": FIRST_OLD_UPDATE}
    _add(url, old | {"rows": rows, "chats": OLD_CHATS, "first_chat": FIRST_OLD_CHAT, "bot_id": scene.BOT_ID})


def add_queued(url: str, rows: int, chats: int, bot_id: int = scene.BOT_ID) -> None:
    """Add rows that wait, spread evenly over chats 1, 2, ...; once a database."""
    queued = {"state": "queued", "attempt": 0, "ended_at": None, "first_update": FIRST_QUEUED_UPDATE}
    _add(url, queued | {"rows": rows, "chats": chats, "first_chat": 1, "bot_id": bot_id})


def _add(url: str, values: dict[str, object]) -> None:
    raw = json.dumps(scene.update(1), separators=(",", ":"))
    with connect(url) as conn:
        conn.execute(_ROWS, values | {"raw": raw})
        conn.execute("VACUUM ANALYZE pending")  # as the server does by itself, only later
