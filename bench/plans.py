"""The query plan of every hot statement: it names its partial index, and nothing walks through a table."""

import contextlib
import dataclasses
import re
import sqlite3
from collections.abc import Iterator
from unittest.mock import patch

from sqlalchemy import Dialect

from bench import history as rows
from bench import scene
from bench.figures import Figure
from tgbot.intake.batch import receive
from tgbot.model import ChatId, MessageId, Owner, Ownership, Part, Raw, RowId, Token, UserId, session_key
from tgbot.render import Text
from tgbot.store import (
    allowances,
    allowed,
    audit,
    claims,
    day,
    dead,
    expiry,
    files,
    history,
    inbox,
    instances,
    interrupted,
    joins,
    ledger,
    modes,
    outbox,
    overheard,
    overview,
    pruning,
    queue,
    reacted,
    reactions,
    recovery,
    report,
    sending,
    settling,
    strangers,
    topics,
    turns,
    usage,
    values,
)
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sqlite.opening import writing_engine
from tgbot.store.engine.statement import Prepared, Statement

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
    "outbox.state IN ('ready', 'sending', 'unknown')": "ix_outbox_unsent",
    "outbox.state = 'parked'": "ix_outbox_parked",
    "history.kind IN ('fresh', 'summary')": "ix_history_boundary",
    "undo.target_id = ": "ix_history_undo",
    "usage.user_id = ": "ix_usage_user",
    "usage.chat_id = ": "ix_usage_chat",
    "usage.session_key = ": "ix_usage_session",
    "stranger.state = 'asked'": "ix_stranger_asked",
    "stranger.replied_at > ": "ix_stranger_replied",
}
# Whoever names the row needs no other index.
BY_ID = ("pending.id = :row_id", "outbox.id = :part_id", "outbox.pending_id = :row_id")

# Guards are as few as there are slots, instances as the bot was started, files as the answers that wait,
# second looks as those that were lost in the last minute, a listed table is a parameter, and a subquery
# (one is named first_turn) is what a search has found: walking through all of them is no harm.
_SMALL = r"(?:guard|instance|file|second_look|first_turn)\b|\(subquery-|CONSTANT|\w+ VIRTUAL TABLE"
_WALK = re.compile(rf"SCAN (?!{_SMALL})(?!.*\bix_)")


def figures() -> Iterator[Figure]:
    with scene.folder() as folder:
        path = scene.migrated(folder / "plans.db")
        rows.add_old(path, OLD_ROWS)
        engine = writing_engine(path)
        with engine.begin() as conn, recorded() as statements:
            _use_everything(conn)
        engine.dispose()
        with scene.raw_connection(path) as raw:
            plans = {sql: _plan(raw, sql, names) for sql, names in statements.items()}
    meant = {sql: index for sql in plans if (index := _index_for(_conditions(sql)))}
    without = [sql for sql, index in meant.items() if index not in plans[sql]]
    walking = [sql for sql, plan in plans.items() if _WALK.search(plan)]
    yield none_of("statements without the partial index made for them", without, len(meant))
    yield none_of("statements that walk through a table", walking, len(plans))


def _index_for(conditions: str) -> str | None:
    conditions = conditions.replace("OR pending.id = :row_id", "")  # one of two ways: it names no row
    if any(named in conditions for named in BY_ID):
        return None
    return next((index for condition, index in INDEXES.items() if condition in conditions), None)


def none_of(name: str, offenders: list[str], checked: int) -> Figure:
    for sql in offenders:
        print(f"  {name}: {' '.join(sql.split())}")
    return Figure(name, f"{len(offenders)} of {checked}", "0", not offenders)


def _use_everything(conn: Connection) -> None:
    """Take one message through each arrow of its life, and ask all that is asked while the bot runs."""
    owner = Owner(scene.BOT_ID, recovery.begin_instance(conn, 1), max_turns=1, crashes_max=1)
    arrivals = scene.messages([scene.update(CHAT_ID) for _ in range(3)] + [scene.update(CHAT_ID + 1)])
    first = receive(conn, owner, scene.RULES, arrivals).claimed[0]
    _admit(conn)
    _keep_values(conn, first)
    _log(conn, first)
    _spend(conn, first)
    overheard.keep(conn, arrivals[0].update, arrivals[0].address, "Ann: hi", 1)
    overheard.give(conn, owner.bot_id, arrivals[0].address, first.row_id)
    overheard.forget_chat(conn, owner.bot_id, CHAT_ID)
    second = turns.end(conn, owner, first, turns.Ending("done", [Text("a"), Text("b")])).following
    assert second
    stop = inbox.store(conn, arrivals[0], "done") or RowId(1)
    queue.stop(conn, SESSION, stop)
    turns.end(conn, owner, second, turns.Ending("interrupted"))
    queue.resume(conn, SESSION, stop)
    queue.drop(conn, SESSION, None)
    claims.claim_waiting(conn, owner)
    for held in recovery.guards(conn, owner.instance_id):
        recovery.recover(conn, owner, held)
        list(dead.each(conn))
        recovery.retry(conn, SESSION, held.row_id)
        recovery.was_tried_again(conn, SESSION, held.row_id)
        recovery.forget(conn, SESSION, held.row_id)
    together: list[Raw] = [{"media_group_id": "g"}, {"text": "x" * 4096}, {"forward_origin": {}}]
    for fields in together:
        raws = [scene.update(CHAT_ID + 2) for _ in range(2)]
        parts = scene.messages([{**raw, "message": {**raw["message"], **fields}} for raw in raws])
        assert receive(conn, owner, scene.RULES, parts).timed
    modes.set_default(conn, owner.bot_id, "steer")
    if running := claims.claim(conn, SESSION, owner):
        joins.incoming(conn, running, RowId(0))
    inbox.refuse(conn, stop)
    joins.joined_to(conn, stop)
    claims.next_due(conn, owner)
    recovery.note_stopping(conn, owner.instance_id)
    reacted.find(conn, owner.bot_id, CHAT_ID, MessageId(1))
    reacted.again(conn, arrivals[0].update, first.row_id)
    part = sending.next_part(conn, owner.bot_id, CHAT_ID, owner.instance_id)
    assert part
    _send_and_settle(conn, owner, part)
    _look(conn)
    expiry.resend(conn, part.row_id)
    queue.address(conn, part.row_id)
    audit.note(conn, "admin", "resend", part.row_id, part.chat_id)
    audit.newest(conn, 1)
    audit.prune(conn, 1.0)
    _prune(conn)


def _look(conn: Connection) -> None:
    report.session(conn, SESSION)
    report.everything(conn)
    overview.overview(conn, 0)
    instances.workers(conn)
    day.hours(conn)


def _prune(conn: Connection) -> None:
    row_ids, _ = pruning.find(conn, 1e12, RowId(0))
    pruning.prune(conn, 1e12, row_ids)


def _admit(conn: Connection) -> None:
    allowed.allow(conn, scene.BOT_ID, CHAT_ID, "user", None, UserId(1))
    allowed.note_settings(conn, scene.BOT_ID, (), ())
    allowed.may_talk(conn, scene.BOT_ID, CHAT_ID, [UserId(1)])
    allowed.role_of(conn, scene.BOT_ID, CHAT_ID)
    allowed.owner_of(conn, scene.BOT_ID)
    allowed.everyone(conn, scene.BOT_ID)
    allowed.deny(conn, scene.BOT_ID, CHAT_ID)
    user_id = UserId(1)
    allowances.count(conn, scene.BOT_ID, user_id, "day")
    strangers.note(conn, scene.BOT_ID, user_id)
    strangers.find(conn, scene.BOT_ID, user_id)
    strangers.ask(conn, scene.BOT_ID, user_id, "Ann")
    strangers.guessed_wrong(conn, scene.BOT_ID, user_id)
    strangers.deny(conn, scene.BOT_ID, user_id)
    strangers.forget(conn, scene.BOT_ID, user_id)
    strangers.open_pairing(conn, scene.BOT_ID, strangers.Code("", 1.0))
    strangers.pairing_code(conn, scene.BOT_ID)
    strangers.close_pairing(conn, scene.BOT_ID)


def _keep_values(conn: Connection, turn: Ownership) -> None:
    values.put(conn, turn, "note", "a", "b")
    values.get(conn, turn, "note", "a")
    values.all_of(conn, turn, "note")
    values.remove(conn, turn, "note", "a")


def _log(conn: Connection, turn: Ownership) -> None:
    history.append(conn, turn, "step", "{}")
    history.seen(conn, turn)
    history.last_row(conn, turn)
    ledger.start(conn, turn, "a", "tool")
    ledger.finish(conn, turn, "a", "tool", "{}")
    ledger.calls(conn, turn.row_id)


def _spend(conn: Connection, turn: Ownership) -> None:
    limits: usage.Limits = {"turn": usage.Limit(), "user": usage.Limit(), "chat": usage.Limit()}
    amount = usage.Amount(1, 1, 1)
    reservation_id = usage.reserve(conn, turn, limits, usage.Request("m", 1.0, amount))
    assert not isinstance(reservation_id, usage.Exhausted)
    usage.settle(conn, turn, reservation_id, amount)
    usage.give_back(conn, turn, reservation_id)
    usage.of_turn(conn, turn)
    usage.report(conn, turn.session_key, 1.0)


def _send_and_settle(conn: Connection, owner: Owner, part: Part) -> None:
    """Do all that can happen to a part."""
    outbox.begin(conn, Token(1), part.row_id, 0, Text("a"), "{}", silent=False)
    outbox.close_part(conn, Token(1), part.row_id, 0, Text("a"))
    outbox.shown_in(conn, part.row_id, 0)
    interrupted.lost(conn, part)
    settling.placed(conn, part, MessageId(9))
    settling.unknown_ids(
        conn, owner.bot_id, dataclasses.replace(part, floor=MessageId(1), ceiling=MessageId(9))
    )
    settling.not_found(conn, dataclasses.replace(part, ceiling=MessageId(9)), [MessageId(8)])
    for look in settling.second_looks(conn, owner.bot_id, 1e10, owner.instance_id):
        settling.ids_since(conn, owner.bot_id, look, MessageId(0))
        settling.looked(conn, look, [])
    sending.sent(conn, part, MessageId(1), react=True)
    reactions.shown(conn, [one.part_id for one in reactions.due(conn, owner.bot_id, owner.instance_id)])
    interrupted.mark_uncertain(conn, part.row_id)
    interrupted.show_uncertain(conn, owner.bot_id)
    sending.failed(conn, part)
    outbox.fall_back(conn, part, [Text("a"), Text("b")])
    topics.leave(conn, part)
    sending.album_of(conn, part)
    sending.take_apart(conn, part)
    sending.park(conn, part, "blocked")
    interrupted.lost_in_chat(conn, owner.bot_id, CHAT_ID)
    interrupted.not_begun(conn, [], owner.instance_id)
    sending.chats(conn, owner.bot_id, ChatId(0), 1, owner.instance_id)
    expiry.expire(conn, owner.bot_id, 1.0)
    expiry.show_expired(conn, part.row_id)
    file_id = files.begin(conn, part.row_id)
    files.add(conn, file_id, 0, b"a")
    files.piece(conn, file_id, 0)
    files.discard_unused(conn)


@contextlib.contextmanager
def recorded() -> Iterator[dict[str, list[str]]]:
    """Note each statement as it is sent, with the names of its parameters."""
    statements: dict[str, list[str]] = {}

    prepare = Statement.for_dialect

    def recording(self: Statement, dialect: Dialect) -> Prepared:
        prepared = prepare(self, dialect)
        statements[prepared.sql] = re.findall(r":(\w+)", prepared.sql)
        return prepared

    with patch.object(Statement, "for_dialect", recording):
        yield statements


def _plan(raw: sqlite3.Connection, sql: str, names: list[str]) -> str:
    """Explain without values: what SQLite can only see in a bound value, it would prepare anew each time."""
    rows = raw.execute(f"EXPLAIN QUERY PLAN {sql}", dict.fromkeys(names))
    return "\n".join(row[-1] for row in rows)


def _conditions(sql: str) -> str:
    return " ".join(sql.split()).partition(" WHERE ")[2]
