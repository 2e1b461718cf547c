"""The real process prunes in the background: also when it is killed in the middle, and while it answers."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.store.engine.files import damage
from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tgbot.store.engine.sqlite import migrate
from tgbot.store.inbox import REDELIVERED_ROWS

ROWS = 3 * REDELIVERED_ROWS
# Answered in 2001, in another chat than anybody's here.
SEED = f"""
    INSERT INTO instance (pid, started_at, host, revision, lease_until) VALUES (1, 1e9, '', '', 0);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
    INSERT INTO pending (bot_id, update_id, kind, state, session_key, chat_id, box, user_id, message_id,
        attempt, received_at, ended_at, raw)
    SELECT 42, -i, 'message', 'done', '42:5', 5, 1, 5, i, 1, 1e9, 1e9, '{{"message": {{"text": "old"}}}}'
    FROM n;
    INSERT INTO instance (pid, host, revision, started_at, lease_until) VALUES (1, 'a', '1', 1e9, 0);
    INSERT INTO turn (pending_id, instance_id, started_at) SELECT id, 1, 1e9 FROM pending;
    INSERT INTO outbox (bot_id, pending_id, part, state, chat_id, box, message_id, text, ready_at)
    SELECT 42, id, 0, 'sent', 5, 1, {ROWS} + id, 'old', 1e9 FROM pending;
    INSERT INTO audit (at, role, action, row_id) VALUES (1e9, 'admin', 'drop', 1), (5e9, 'admin', 'drop', 2);
"""


@pytest.fixture
def old(bot: BotProcess) -> Iterator[sqlite3.Connection]:
    """Give the bot a past."""
    migrate.upgrade(bot.database)
    with closing(sqlite3.connect(bot.database)) as raw:
        raw.executescript(SEED)
        yield raw


def left(raw: sqlite3.Connection, table: str = "pending") -> int:
    (count,) = raw.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


async def test_a_kill_while_it_prunes_leaves_whole_rows_and_the_next_start_goes_on(
    bot: BotProcess, ann: Person, old: sqlite3.Connection
) -> None:
    await bot.start()
    await eventually(lambda: left(old) < ROWS, "it prunes")
    ann.says("one")
    await bot.kill()
    assert REDELIVERED_ROWS < left(old) < ROWS, "in the middle"
    assert old.execute("PRAGMA foreign_key_check").fetchall() == []
    assert left(old) == left(old, "turn") == left(old, "outbox")
    await bot.start()
    ann.says("two")
    await ann.sees_at_last("one (attempt 1)", "two (attempt 1)")
    await bot.logs("prune.done")
    assert left(old) <= REDELIVERED_ROWS + 2
    assert left(old, "audit") == 1
    assert left(old, "instance") == 3, "the bot's own two, and the one whose turns stay"
    assert old.execute("PRAGMA foreign_key_check").fetchall() == []
    assert old.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_with_0_days_all_is_kept(bot: BotProcess, ann: Person, old: sqlite3.Connection) -> None:
    bot.setting(keep_days=0)
    await bot.start()
    ann.says("one")
    await ann.sees_at_last("one (attempt 1)")
    await bot.stop()
    assert left(old) == ROWS + 1


async def test_what_cannot_be_pruned_stops_nothing_but_pruning(
    bot: BotProcess, ann: Person, old: sqlite3.Connection
) -> None:
    """Somebody's own table refers to a row, say."""
    old.execute("CREATE TABLE mine (pending_id INTEGER REFERENCES pending (id))")
    old.execute("INSERT INTO mine VALUES (1)")
    old.commit()
    await bot.start()
    await bot.logs("prune.failed")
    ann.says("one")
    await ann.sees_at_last("one (attempt 1)")
    assert not bot.ended
    assert left(old) == ROWS + 1


async def test_damage_that_the_pruning_meets_first_is_one_line(
    bot: BotProcess, old: sqlite3.Connection
) -> None:
    old.close()
    damage(bot.database, "ix_audit_at")
    await bot.start()
    await bot.logs("prune.failed")
    assert "prune.failed reason=the file is damaged" in bot.log
    assert "Traceback" not in bot.log
