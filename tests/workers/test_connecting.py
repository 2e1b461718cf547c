"""Commands where the database is on a server that refuses them, or is reached through a pooler."""

import asyncio
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.pgbouncer import pgbouncer
from tests.terminal import tgbot
from tests.whole_bot.process import Person
from tests.workers.conftest import Hire
from tgbot.playground.server import PlaygroundServer
from tgbot.store.engine.place import place_of

SECRET = "hunter2"
COMMANDS = ("run", "status", "dead list", "doctor", "db upgrade", "db move sqlite:///new.db")


def settings(url: str) -> dict[str, str]:
    return {"TGBOT_TOKEN": "1:playground", "TGBOT_API_URL": "http://127.0.0.1:1", "TGBOT_DATABASE_URL": url}


@pytest.fixture(scope="module")
def ann(own_server: postgres.Server) -> Iterator[str]:
    """The name of a database of a role that logs in with a password."""
    own_server.run(f"CREATE ROLE ann LOGIN PASSWORD '{SECRET}'")
    own_server.run("CREATE DATABASE anns OWNER ann")
    with own_server.lets_in("local all ann scram-sha-256"):
        yield "anns"
    own_server.run("DROP DATABASE anns")
    own_server.run("DROP ROLE ann")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_password_is_one_line_of_each_command_and_is_not_in_it(
    own_server: postgres.Server, ann: str, tmp_path: Path, command: str
) -> None:
    url = own_server.url(ann, f"ann:{SECRET}-not")
    ended = tgbot(tmp_path, *command.split(), **settings(url))
    name = url.replace(f"{SECRET}-not", "***").replace("/tmp/", "%2Ftmp%2F")
    line = f"{name}: wrong password for the role ann: correct it in the URL (or in PGPASSWORD, or ~/.pgpass)"
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert SECRET not in said
    if command == "doctor":
        assert f"fail database server: {line}\n" in ended.stdout
        assert "fail Bot API server" in ended.stdout, "the rest is checked, too"
    else:
        assert said == f"tgbot: {line}\n"


async def test_where_the_database_refuses_the_doctor_does_not_poll_in_the_place_of_a_bot(
    own_server: postgres.Server, wire: PlaygroundServer, tmp_path: Path
) -> None:
    refused = settings(own_server.url("nope")) | {"TGBOT_API_URL": wire.url}
    ended = await asyncio.to_thread(tgbot, tmp_path, "doctor", **refused)
    assert "the server has no database nope" in ended.stdout
    assert "ok   another poller: not looked for" in ended.stdout
    assert ended.stderr == ""


def test_a_new_database_that_refuses_is_one_line_of_a_move(
    own_server: postgres.Server, ann: str, tmp_path: Path, database_path: Path
) -> None:
    old = settings(f"sqlite:///{database_path}")
    ended = tgbot(tmp_path, "db", "move", own_server.url("nope", f"ann:{SECRET}"), **old)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "the server has no database nope: make it (`createdb nope`)" in ended.stderr
    assert SECRET not in ended.stderr


def test_a_password_that_would_pass_for_a_part_of_the_host_is_refused_and_not_shown(tmp_path: Path) -> None:
    for password in (f"{SECRET}@more", f"{SECRET}/more"):
        ended = tgbot(tmp_path, "status", **settings(f"postgresql+psycopg://me:{password}@host/bots"))
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert "in a password @ is written %40, and / %2F" in ended.stderr
        assert SECRET not in ended.stderr
        assert "more" not in ended.stderr


def test_a_backup_and_a_restore_are_the_servers_own_and_the_line_says_how(
    own_server: postgres.Server, url: str, tmp_path: Path
) -> None:
    place_of(url).upgrade()
    programs = {**os.environ, "PATH": f"{postgres.programs()}:{os.environ['PATH']}"}
    for command in ("backup", "restore"):
        with_password = url.replace("postgres@", f"postgres:{SECRET}@") + f"&password={SECRET}"
        ended = tgbot(tmp_path, command, str(tmp_path / "a copy"), **settings(with_password))
        assert (ended.returncode, SECRET in ended.stderr) == (1, False)
        how = ended.stderr.rpartition("whose own program does that: ")[2]
        subprocess.run(shlex.split(how), env=programs, check=True)
        if command == "backup":
            own_server.run(f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")
            own_server.run(f"CREATE DATABASE {url.partition('?')[0].rpartition('/')[2]}")
    assert place_of(url).revision() is not None


async def test_a_bot_works_through_a_pooler_in_session_mode(
    hire: Hire, own_server: postgres.Server, wire: PlaygroundServer, url: str
) -> None:
    with pgbouncer(own_server, "pool_mode = session") as query:
        crew = hire(2, at=f"{url.partition('?')[0]}?{query}", agent="tests.workers.agents:slow")
        await crew.start()
        ann = Person(wire, 11)
        ann.says("11-1", "11-2")
        for text in ("11-1", "11-2"):
            await crew.begins(text)
            crew.let_end(text)
        await ann.sees_at_last("re: 11-1", "re: 11-2")
        await crew.end()


def test_a_bot_does_not_start_through_a_pooler_in_transaction_mode(
    own_server: postgres.Server, tmp_path: Path, url: str
) -> None:
    with pgbouncer(own_server, "pool_mode = transaction") as query:
        ended = tgbot(tmp_path, "run", **settings(f"{url.partition('?')[0]}?{query}"))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "a pooler in transaction mode is between" in ended.stderr
