"""The query plan of every hot statement: it names its partial index, and nothing walks through a table."""

import contextlib
import dataclasses
import re
import sqlite3
from collections.abc import Iterator
from unittest.mock import patch

from bench import history, scene
from bench.figures import Figure
from tgbot.intake.batch import receive
from tgbot.model import ChatId, MessageId, Owner, RowId, session_key
from tgbot.render import Text
from tgbot.store import inbox, joins, outbox, recovery, report, sending, turns
from tgbot.store.engine.connection import Connection, writing_engine
from tgbot.store.engine.statement import Statement

OLD_ROWS = 1_000
CHAT_ID = ChatId(1)
SESSION = session_key(scene.BOT_ID, CHAT_ID)

# What a condition says, and the index that was made for it; the first that is said counts.
INDEXES = {
    "pending.not_before IS NOT NULL": "ix_pending_timed",
    "pending.join_key IS NOT NULL": "ix_pending_joinable",
    "pending.state = 'queued'": "ix_pending_queued",
    "pending.state = 'held'": "ix_pending_held",
    "pending.state = 'dead'": "ix_pending_dead",
    "lead_id = ": "ix_pending_joined",
    "outbox.state IN ('open', 'ready')": "ix_outbox_unsent",
    "outbox.state = 'parked'": "ix_outbox_parked",
}
BY_ID = "pending.id = :row_id"  # whoever names the row needs no other index

# Guards are as few as there are slots, a listed table is a parameter: walking through all of them is no harm.
_WALK = re.compile(r"SCAN (?!guard\b|CONSTANT|\w+ VIRTUAL TABLE)(?!.*\bix_)")


def figures() -> Iterator[Figure]:
    with scene.folder() as folder:
        path = scene.migrated(folder / "plans.db")
        history.add_old(path, OLD_ROWS)
        engine = writing_engine(path)
        with engine.begin() as conn, _recorded() as statements:
            _use_everything(conn)
        engine.dispose()
        with scene.raw_connection(path) as raw:
            plans = {sql: _plan(raw, sql, names) for sql, names in statements.items()}
    meant = {sql: index for sql in plans if (index := _index_for(_conditions(sql)))}
    without = [sql for sql, index in meant.items() if index not in plans[sql]]
    walking = [sql for sql, plan in plans.items() if _WALK.search(plan)]
    yield _none_of("statements without the partial index made for them", without, len(meant))
    yield _none_of("statements that walk through a table", walking, len(plans))


def _index_for(conditions: str) -> str | None:
    if BY_ID in conditions:
        return None
    return next((index for condition, index in INDEXES.items() if condition in conditions), None)


def _none_of(name: str, offenders: list[str], checked: int) -> Figure:
    for sql in offenders:
        print(f"  {name}: {' '.join(sql.split())}")
    return Figure(name, f"{len(offenders)} of {checked}", "0", not offenders)


def _use_everything(conn: Connection) -> None:
    """Take one message through each arrow of its life, and ask all that is asked while the bot runs."""
    owner = Owner(scene.BOT_ID, recovery.begin_instance(conn, 1), max_turns=1, crashes_max=1)
    arrivals = scene.messages([scene.update(CHAT_ID) for _ in range(3)] + [scene.update(CHAT_ID + 1)])
    first = receive(conn, owner, scene.RULES, arrivals).claimed[0]
    second = turns.end(conn, owner, first, turns.Ending("done", [Text("a"), Text("b")])).following
    assert second
    stop = inbox.store(conn, arrivals[0], "done") or RowId(1)
    inbox.stop(conn, SESSION, stop)
    turns.end(conn, owner, second, turns.Ending("interrupted"))
    inbox.resume(conn, SESSION, stop)
    inbox.drop(conn, SESSION, None)
    turns.claim_waiting(conn, owner)
    for held in recovery.guards(conn):
        recovery.recover(conn, owner, held)
        recovery.retry(conn, owner, SESSION, held.row_id)
        recovery.forget(conn, SESSION, held.row_id)
    parts = scene.messages([scene.update(CHAT_ID + 2) for _ in range(2)])
    assert receive(
        conn, owner, scene.RULES, [dataclasses.replace(part, join_key="a") for part in parts]
    ).timed
    joins.joined_to(conn, stop)
    turns.next_due(conn)
    recovery.note_stopping(conn, owner.instance_id)
    part = sending.next_part(conn, owner.bot_id, CHAT_ID)
    assert part
    sending.placed(conn, part, MessageId(1))
    sending.sent(conn, dataclasses.replace(part, message_id=MessageId(1)))
    sending.mark_uncertain(conn, part.row_id)
    sending.show_uncertain(conn, owner.bot_id)
    sending.trying(conn, part.part_id, 1)
    sending.message_of(conn, part.row_id)
    outbox.fall_back(conn, owner.bot_id, part, [Text("a"), Text("b")])
    sending.album_of(conn, part)
    sending.take_apart(conn, part)
    sending.park(conn, part, "blocked")
    sending.chats(conn, owner.bot_id, ChatId(0), 1)
    sending.expire(conn, 1.0)
    report.session(conn, SESSION)
    report.everything(conn)


@contextlib.contextmanager
def _recorded() -> Iterator[dict[str, list[str]]]:
    """Note each statement as it is sent, with the names of its parameters."""
    statements: dict[str, list[str]] = {}

    prepared = Statement._prepared  # noqa: SLF001 - every statement passes it

    def recording(self: Statement, conn: Connection) -> str:
        sql = prepared(self, conn)
        statements[sql] = re.findall(r":(\w+)", sql)
        return sql

    with patch.object(Statement, "_prepared", recording):
        yield statements


def _plan(raw: sqlite3.Connection, sql: str, names: list[str]) -> str:
    """Explain without values: what SQLite can only see in a bound value, it would prepare anew each time."""
    rows = raw.execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names))
    return "\n".join(row[-1] for row in rows)


def _conditions(sql: str) -> str:
    return " ".join(sql.split()).partition(" WHERE ")[2]
