"""The file stays as large as what is kept: a tenth of a year of messages, pruned day by day."""

import json
from collections.abc import Iterator

from sqlalchemy import text

from bench import scene
from bench.figures import Figure, at_most
from tgbot.model import RowId
from tgbot.pruner import DAY_SECONDS
from tgbot.store import pruning
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sqlite.opening import write_once

DAYS, KEPT_DAYS = 365, 30
DAY_ROWS = 274
SCALE = 10  # of the year that the figure is for: 1e6 messages
ANSWER = "An answer of a few lines, as a model gives it. " * 8

_MESSAGES = """
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)
    INSERT INTO pending
        (bot_id, update_id, kind, state, session_key, chat_id, box, user_id, message_id, attempt, received_at,
         ended_at, raw)
    SELECT 1, :first + i, 'message', 'done', '1:' || (1000000 + i % 100), 1000000 + i % 100, 0,
        1000000 + i % 100, 2 * (:first + i), 1, :now, :now, :raw
    FROM n
"""
_TURNS = "INSERT INTO turn (pending_id, instance_id, started_at) SELECT id, 1, :now FROM pending"
_ANSWERS = """
    INSERT INTO outbox
        (bot_id, pending_id, part, state, chat_id, box, message_id, reply_to, text, entities, ready_at)
    SELECT 1, id, 0, 'sent', chat_id, 0, message_id + 1, NULL, :answer, '[]', :now FROM pending
"""
_TODAY = " WHERE received_at = :now"


def figures() -> Iterator[Figure]:
    with scene.folder() as folder:
        path = scene.migrated(folder / "year.db")
        write_once(
            path,
            lambda conn: conn.execute(text("INSERT INTO instance VALUES (1, 1, 0, NULL, '', '', 0)")),
        )
        commits = write_once(path, _year)
        megabytes = path.stat().st_size / 1_000_000 * SCALE
    yield at_most(f"a file of 1e6 messages a year, {KEPT_DAYS} days kept, MB (of a tenth)", megabytes, 200)
    yield at_most("rows deleted in one commit of pruning", max(commits), pruning.ROWS_MAX)


def _year(conn: Connection) -> list[int]:
    """Live and prune day by day; returns how many rows each step has deleted."""
    steps: list[int] = []
    for day in range(DAYS):
        _live(conn, day)
        steps += _prune(conn, (day + 1 - KEPT_DAYS) * DAY_SECONDS)
    return steps


def _live(conn: Connection, day: int) -> None:
    first, now = day * DAY_ROWS + 1, day * DAY_SECONDS
    raw = json.dumps(scene.update(1_000_000), separators=(",", ":"))
    conn.execute(text(_MESSAGES), {"rows": DAY_ROWS, "first": first, "now": now, "raw": raw})
    conn.execute(text(_TURNS + _TODAY), {"now": now})
    conn.execute(text(_ANSWERS + _TODAY), {"now": now, "answer": ANSWER})


def _prune(conn: Connection, before: float) -> Iterator[int]:
    last: RowId | None = RowId(0)
    while last is not None:
        row_ids, last = pruning.find(conn, before, last)
        if row_ids:
            yield pruning.prune(conn, before, row_ids)
