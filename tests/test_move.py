"""`tgbot db move`: all of a stopped bot is in the new database, or nothing; the old one stays as it was."""

import argparse
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

import pytest
from sqlalchemy import Table, func, insert, select

from tests import postgres
from tests.forking import ROOT
from tests.store.instance import Instance
from tests.terminal import tgbot
from tests.waiting import eventually
from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import Person
from tgbot import move
from tgbot.playground.server import PlaygroundServer
from tgbot.store import copying, recovery, schema, workers
from tgbot.store.engine.bulk import Row, bulk_of
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.place import place_of
from tgbot.store.engine.postgres import session
from tgbot.store.engine.postgres.place import PostgresServer
from tgbot.store.engine.sqlite.opening import writing_engine

LARGE = 2**52 - 1  # the largest id of Telegram's
ODD = "tab \t line \n\r backslash \\ \\N \\. quotes ' \" é 🙂 \x01 \ufeff"
NOTE = {"session_key": "42:7", "kind": "note", "value": "", "updated_at": 3.0}
LEASES = (schema.chat_lease, schema.role)
MOVED = [table for table in schema.metadata.sorted_tables if table not in LEASES]
# Of what the messages below do not fill. Their row 1 is a message.
ROWS: dict[Table, list[dict[str, object]]] = {
    schema.allowed: [{"bot_id": 42, "chat_id": -LARGE, "role": "group", "allowed_by": 7, "since": 0.1 + 0.2}],
    schema.stranger: [{"bot_id": 42, "user_id": LARGE, "replied_at": 1e-300, "name": ODD}],
    schema.pairing: [{"bot_id": 42, "code_hash": "", "expires_at": -0.0}],
    schema.audit: [{"id": 9, "at": 1e300, "role": "owner", "action": "stop", "row_id": 1}],
    schema.allowance: [
        {"bot_id": bot, "user_id": 7, "span": span, "began": 60, "number": 1}
        for span in ("minute", "day")
        for bot in range(600)
    ],
    schema.overheard: [{"bot_id": 42, "update_id": LARGE, "chat_id": -7, "topic_id": 0, "line": "Bob: \\"}],
    schema.question: [{"pending_id": 1, "part": 0, "key": "k", "choices": "[]", "answered_by": None}],
    schema.history: [
        {"session_key": key, "pending_id": 1, "turn_id": 1, "kind": "step", "content": ODD * 500, "at": 1.5}
        for key in ("42:7", "42:é", "42:Z", "42:z")
    ],
    schema.ledger: [
        {"pending_id": 1, "call_id": id_, "tool": "t", "state": "started", "starts": 1, "at": 2}
        for id_ in ("b", "B", "_", "é", "a")
    ],
    schema.session_value: [{**NOTE, "name": name} for name in ("Ä", "a", "~", "🙂")],
    schema.usage: [
        {
            **dict.fromkeys(("bot_id", "chat_id", "user_id", "nano_dollars"), LARGE),
            **dict.fromkeys(("pending_id", "turn_id", "input_tokens", "output_tokens"), 1),
            **dict.fromkeys(("session_key", "model"), ODD),
            "state": "settled",
            "at": 1 / 3,
        }
    ],
    schema.file: [{"id": 3, "pending_id": 1}, {"id": 4, "pending_id": 1}],
    schema.file_piece: [
        {"file_id": 3, "number": number, "content": bytes(range(256)) * 40} for number in range(20)
    ],
    schema.second_look: [
        {"id": 5, "bot_id": 42, "pending_id": 1, "chat_id": 7, "floor": 1, "text": "t", "due_at": 9.0}
    ],
    schema.disorder: [{"bot_id": 42, "box": -LARGE}],
}
# Dies where a table is copied, or (with "") when all are and nothing is committed.
DIES = """
import contextlib, itertools, os, sys
from tgbot import cli
from tgbot.store import copying

where, *words = sys.argv[1:]
reading, size_bytes = copying._reading, copying.size_bytes

def die(*_):
    os.kill(os.getpid(), 9)

@contextlib.contextmanager
def until(conn, table):
    with reading(conn, table) as rows:
        yield itertools.chain(rows, iter(die, None) if table.name == where else ())

copying._reading = until
copying.size_bytes = size_bytes if where else die
cli.main(words)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as started:
        yield started


@pytest.fixture
def on_server(server: postgres.Server) -> Iterator[str]:
    """The URL of a database that has nothing yet."""
    with server.empty_database() as url:
        yield url


@pytest.fixture
def old(database_path: Path) -> str:
    """The URL of a database with rows in every table, whose bot was killed."""
    instance = Instance(writing_engine(database_path))
    for chat in (7, LARGE):
        turn = instance.start("hello " + ODD, "held", "held too", chat=chat)
        instance.begin(turn, "first words")
        instance.answer(turn, "first words and more", "a second part")
        instance.say("/stop", "waits", chat=chat)
    instance.sent(instance.the_next())
    instance.next_part()  # nobody ever hears what became of it
    for table, rows in ROWS.items():
        instance.do(adding(table, rows))
    instance.rows("UPDATE sqlite_sequence SET seq = 1000 WHERE name = 'history' RETURNING seq")
    assert instance.rows("SELECT max(held_by > id) FROM pending") == [(1,)], "a row refers to a later one"
    assert all(instance.do(count_of(table)) for table in MOVED)
    instance.engine.dispose()
    return f"sqlite:///{database_path}"


class Way(NamedTuple):
    """From where to where: two URLs, of the two kinds."""

    old: str
    new: str


@pytest.fixture(params=["to postgresql", "to sqlite"])
def way(request: pytest.FixtureRequest, tmp_path: Path, old: str, on_server: str) -> Way:
    if request.param == "to postgresql":
        return Way(old, on_server)
    move_here(old, on_server)
    return Way(on_server, new_file(tmp_path))


def test_a_bot_comes_back_from_postgresql_as_it_was(tmp_path: Path, old: str, on_server: str) -> None:
    """Who worked on what there is of no use any more."""
    before = dump(old)
    assert moving(tmp_path, old, on_server).returncode == 0
    assert dump(old) == before
    leases: dict[Table, dict[str, object]] = {
        schema.chat_lease: {"bot_id": 42, "chat_id": 7},
        schema.role: {"name": "poller"},
    }
    for table, row in leases.items():
        place_of(on_server).write_once(adding(table, [{**row, "instance_id": 1}]))
    assert moving(tmp_path, on_server, new_file(tmp_path)).returncode == 0
    assert dump(new_file(tmp_path)) == over(before)


def test_it_says_what_was_moved_and_what_to_do_next(tmp_path: Path, old: str, on_server: str) -> None:
    secret = on_server.replace("postgres@", "postgres:hunter2@") + "&password=hunter2"
    moved = moving(tmp_path, old, secret)
    shown = str(place_of(secret))
    first, second, third = moved.stdout.splitlines()
    assert first.startswith(f"moved to {shown}: allowance 1200, ")
    assert ", file 2, " in first
    assert first.endswith(" MB, checked)")
    assert second == f"{tmp_path}/tgbot.db is as it was: start no bot on it any more"
    assert third == f"next: set TGBOT_DATABASE_URL to {shown}, and start the bot"
    assert "hunter2" not in moved.stdout + moved.stderr


def test_after_a_move_no_id_is_given_again(way: Way) -> None:
    """Not even that of a row that was deleted; nor is one tried that is taken."""
    move_here(*way)
    for table, expected in ((schema.history, 1001), (schema.second_look, 6)):
        row = {name: value for name, value in ROWS[table][0].items() if name != "id"}
        assert place_of(way.new).write_once(adding(table, [row])) == expected


def test_an_empty_database_is_moved_and_counts_from_one(
    tmp_path: Path, database_path: Path, on_server: str
) -> None:
    moved = moving(tmp_path, f"sqlite:///{database_path}", on_server)
    assert ": no rows (" in moved.stdout
    assert place_of(on_server).write_once(lambda conn: recovery.begin_instance(conn, 1)) == 1


async def test_the_bot_goes_on_in_the_new_database_where_it_was(
    wire: PlaygroundServer, tmp_path: Path, on_server: str
) -> None:
    """It was killed as one answer could not be sent, a turn ran and a message waited; and goes back again."""
    ann, bob, gate = Person(wire, 7), Person(wire, 8), tmp_path / "gate"
    async with judged_bot(wire, tmp_path, agent="tests.whole_bot.agents:moody") as bot:
        await bot.start()
        wire.world.add_faults([{"method": "sendMessage", "kind": "500", "times": None}])
        bob.says("unsent")
        await bot.logs("state=done")
        ann.says(f"wait for {gate}", "waits")
        await bot.logs("turn.claimed", 2)
        await eventually(lambda: not wire.world.bot("42:playground-secret").updates, "all are stored")
        await bot.kill()
        wire.world.clear_faults()
        gate.touch()
        await bot.prints("db", "move", on_server)
        bot.setting(database_url=on_server)
        await bot.start()
        await bob.sees_at_last("unsent (attempt 1)")
        await ann.sees_at_last(f"wait for {gate} (attempt 2)", "waits (attempt 1)")
        assert await bot.stop() == 0
        await bot.prints("db", "move", new_file(tmp_path))
        bot.setting(database_url=new_file(tmp_path))
        ann.says("back")
        await bot.start()
        await ann.sees_at_last(f"wait for {gate} (attempt 2)", "waits (attempt 1)", "back (attempt 1)")
        assert await bot.stop() == 0


@pytest.mark.parametrize("where", ["file_piece", ""], ids=["a table", "the commit"])
def test_a_move_that_is_killed_leaves_the_old_database_and_begins_anew(
    tmp_path: Path, old: str, way: Way, where: str
) -> None:
    before = dump(old)
    killed = [sys.executable, "-c", DIES, where, "db", "move", way.new]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TGBOT_DATABASE_URL": way.old}
    assert subprocess.run(killed, cwd=tmp_path, env=environment, check=False).returncode == -9
    assert dump(old) == before
    place_of(way.new).read_once(copying.refuse_rows)
    move_here(*way)
    if way.old == old:
        move_here(way.new, new_file(tmp_path))
    assert dump(new_file(tmp_path)) == over(before)


def lost(rows: Iterable[Row]) -> list[Row]:
    return [*rows][1:]


def with_less_text(rows: Iterable[Row]) -> list[Row]:
    return [
        tuple(value.replace("é", "e") if isinstance(value, str) else value for value in row) for row in rows
    ]


@pytest.mark.parametrize("spoil", [lost, with_less_text], ids=["a row is lost", "a text is another"])
def test_what_does_not_arrive_as_it_was_is_noticed_and_nothing_is_moved(
    way: Way, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Iterable[Row]], Iterable[Row]]
) -> None:
    bulk = place_of(way.new).write_once(bulk_of)
    fill = bulk.fill

    def spoiling(conn: Connection, table: Table, rows: Iterable[Row]) -> None:
        fill(conn, table, spoil(rows) if table is schema.history else rows)

    monkeypatch.setattr(bulk, "fill", spoiling)
    with pytest.raises(move.MoveError, match="what was read back of history is not what was written"):
        move_here(*way)
    place_of(way.new).read_once(copying.refuse_rows)


@contextmanager
def a_bot_on(url: str) -> Iterator[None]:
    place = place_of(url)
    if place.file:
        with place.owned():
            yield
    else:
        instance = place.write_once(lambda conn: workers.begin(conn, 1, "host", 1.0))
        yield
        place.write_once(lambda conn: workers.end(conn, instance))


def test_a_bot_that_runs_is_not_moved(tmp_path: Path, way: Way) -> None:
    with a_bot_on(way.old):
        refused = moving(tmp_path, *way)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert str(place_of(way.old)) in refused.stderr
    assert "stop" in refused.stderr
    assert place_of(way.new).revision() is None, "nothing is there"
    move_here(*way)


def test_a_database_that_has_rows_is_never_written_to(tmp_path: Path, way: Way) -> None:
    place = place_of(way.new)
    place.upgrade()
    place.write_once(lambda conn: recovery.begin_instance(conn, 1))
    refused = moving(tmp_path, *way)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"tgbot: {place_of(way.old)} cannot be moved to {place}: the new one has rows already (instance):"
        " name another database\n"
    )
    assert place.read_once(count_of(schema.pending)) == 0


def test_a_bot_that_begins_on_the_new_database_meanwhile_is_not_overwritten(
    old: str, on_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = PostgresServer.upgrade

    def upgrade_and_begin(place: PostgresServer) -> bool:
        done = upgrade(place)
        place.write_once(lambda conn: recovery.begin_instance(conn, 1))
        return done

    monkeypatch.setattr(PostgresServer, "upgrade", upgrade_and_begin)
    with pytest.raises(move.MoveError, match=r"has rows already \(instance\)"):
        move_here(old, on_server)


def test_an_old_schema_is_not_moved(tmp_path: Path, old: str, on_server: str) -> None:
    with closing(sqlite3.connect(tmp_path / "tgbot.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
    refused = moving(tmp_path, old, on_server)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "run `tgbot db upgrade`" in refused.stderr


def test_a_database_of_another_schema_is_not_moved_to(tmp_path: Path, old: str) -> None:
    new = new_file(tmp_path)
    place_of(new).upgrade()
    with closing(sqlite3.connect(tmp_path / "new.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
    refused = moving(tmp_path, old, new)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "the new one is of schema 0000 already: name another database" in refused.stderr


@pytest.mark.parametrize("url", ["sqlite:///tgbot.db", "sqlite:///here/../tgbot.db"])
def test_a_database_is_not_moved_to_itself(tmp_path: Path, old: str, url: str) -> None:
    (tmp_path / "here").mkdir()
    refused = moving(tmp_path, old, url)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "is where the bot is already: name another database" in refused.stderr


def test_a_url_that_cannot_be_is_refused_and_not_repeated(tmp_path: Path, old: str) -> None:
    refused = moving(tmp_path, old, "postgresql://me:hunter2@host/database")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "tgbot: NEW_URL is wrong (it is neither a SQLite file nor" in refused.stderr
    assert "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE" in refused.stderr
    assert "hunter2" not in refused.stderr


def test_a_nul_in_a_text_becomes_a_space_on_postgresql(old: str, on_server: str) -> None:
    """Files have them, and keep them."""
    place_of(old).write_once(adding(schema.session_value, [{**NOTE, "name": "here", "value": "a\0b"}]))
    move_here(old, on_server)
    value = select(schema.session_value.c.value).where(schema.session_value.c.name == "here")
    assert place_of(on_server).read_once(lambda conn: conn.scalar(value)) == "a b"


def test_while_a_database_on_a_server_is_moved_nobody_writes_to_it(
    tmp_path: Path, old: str, on_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a bot stored there meanwhile would be lost."""
    moving(tmp_path, old, on_server)
    errors = []

    def one_comes(conn: Connection) -> int:
        monkeypatch.setattr(session, "LOCK_MS", 10)
        try:
            place_of(on_server).write_once(lambda conn: recovery.begin_instance(conn, 1))
        except StorageError as error:
            errors.append(str(error))
        return 0

    monkeypatch.setattr(copying, "size_bytes", one_comes)
    move_here(on_server, new_file(tmp_path))
    [error] = errors
    assert "lock timeout" in error


def test_a_move_that_takes_long_is_not_ended_by_the_server(
    old: str, server: postgres.Server, on_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two waits for the other one, for as long as a large table takes."""

    def slow(_: Connection) -> int:
        time.sleep(1.5)
        return 0

    move_here(old, on_server)
    with server.empty_database() as new:
        place_of(new).upgrade()
        monkeypatch.setattr(session, "IDLE_MS", 1000)
        monkeypatch.setattr(copying, "size_bytes", slow)
        move_here(on_server, new)
        assert place_of(new).read_once(count_of(schema.pending))


def adding(table: Table, rows: Sequence[Mapping[str, object]]) -> Callable[[Connection], object]:
    """Make the operation that adds rows, and gives the first column of the first."""
    statement = insert(table).values(list(rows)).returning(*table.primary_key)
    return lambda conn: conn.scalar(statement)


def count_of(table: Table) -> Callable[[Connection], int | None]:
    return lambda conn: conn.scalar(select(func.count()).select_from(table))


def moving(folder: Path, old: str, new: str) -> CompletedProcess[str]:
    return tgbot(folder, "db", "move", new, TGBOT_DATABASE_URL=old)


def move_here(old: str, new: str) -> list[str]:
    """Do the same in this process."""
    return list(move.run(place_of(old), argparse.Namespace(url=new)))


def new_file(folder: Path) -> str:
    return f"sqlite:///{folder}/new.db"


def dump(url: str) -> list[str]:
    """Write all of a file as SQL, in an order that does not depend on that of the writing."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as raw:
        return sorted(raw.iterdump())


def over(dumped: list[str]) -> list[str]:
    """Say the same of a bot that was killed whose lease has been ended."""
    for_ever = [line for line in dumped if line.startswith('INSERT INTO "instance"')]
    assert len(for_ever) == 1
    ended = [f"{line.rpartition(',')[0]},0.0);" for line in for_ever]
    return sorted([*(line for line in dumped if line not in for_ever), *ended])
