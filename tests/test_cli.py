"""The command line, as a person at a terminal sees it: real processes, one clear line each."""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import tgbot as package
from tests.forking import ROOT
from tests.store.engine.files import damage
from tests.terminal import tgbot
from tgbot import cli


def test_version_is_one_line(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"tgbot {package.__version__}\n", "")


def test_without_a_command_it_prints_the_help_and_was_asked_wrongly(tmp_path: Path) -> None:
    ended = tgbot(tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == tgbot(tmp_path, "--help").stdout


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def agent(:", "SyntaxError: invalid syntax (mine.py, line 1)"),
        ("raise ValueError('no key\\nand more')", "ValueError: no key)"),
        ("assert False", "AssertionError)"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("import sys; sys.nothing", "AttributeError: module 'sys' has no attribute 'nothing'"),
    ],
)
def test_an_agents_module_that_fails_is_reported_in_one_line_with_its_error(
    tmp_path: Path, source: str, reason: str
) -> None:
    (tmp_path / "mine.py").write_text(source)
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="mine:agent")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert f"cannot import agent 'mine:agent': {reason}" in ended.stderr


def test_an_agent_that_its_module_does_not_have_is_reported(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="json:agent")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "TGBOT_AGENT is wrong (module 'json' has no 'agent')" in ended.stderr


def test_ctrl_c_while_the_agent_is_imported_is_one_line(tmp_path: Path) -> None:
    # A job in the background of a script was started to ignore it.
    minds_it = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    (tmp_path / "mine.py").write_text(f"import os, signal; {minds_it}; os.kill(os.getpid(), signal.SIGINT)")
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="mine:agent")
    assert (ended.returncode, ended.stderr) == (130, "tgbot: interrupted\n")


def test_a_database_that_is_not_as_it_should_be_is_a_bug_with_a_traceback(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "tgbot.db")) as raw:
        raw.execute("DROP TABLE instance")
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x")
    assert ended.returncode == 1
    assert "app.crashed" in ended.stderr
    assert "OperationalError: no such table: instance" in ended.stderr


@pytest.mark.parametrize("table", ["alembic_version", "instance", "guard"])
def test_a_damaged_database_ends_the_bot_with_one_line_that_says_what_to_do(
    tmp_path: Path, table: str
) -> None:
    """The last one shows only when the bot runs."""
    tgbot(tmp_path, "db", "upgrade")
    damage(tmp_path / "tgbot.db", table)
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_API_URL="http://127.0.0.1:9")
    *_, line = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert line.startswith(f"tgbot: {tmp_path}/tgbot.db")
    assert "the file is damaged (database disk image is malformed): restore a backup" in line
    assert "Traceback" not in ended.stderr


def test_a_database_that_fails_at_the_start_is_named(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "tgbot.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_START_WITHIN_SECONDS="0")
    assert (ended.returncode, ended.stderr) == (1, f"tgbot: {tmp_path}/tgbot.db: database is locked\n")


def test_an_agent_of_the_current_folder_is_found_from_the_console_script_too(tmp_path: Path) -> None:
    """The script, unlike `python -m`, leaves the folder off the path, as PYTHONSAFEPATH does."""
    (tmp_path / "mine.py").write_text("agent = 'found'")
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="mine:agent", PYTHONSAFEPATH="1")
    assert "'mine:agent' is not an async generator function" in ended.stderr


def test_db_upgrade_makes_the_database_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    first = tgbot(tmp_path, "db", "upgrade")
    assert "now up to date" in first.stdout
    assert "migrate.done from=None" in first.stderr, "and says what it does"
    assert "already up to date" in tgbot(tmp_path, "db", "upgrade").stdout
    assert (tmp_path / "tgbot.db").exists()


def test_files_with_secrets_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    (tmp_path / ".env").write_text("TGBOT_TOKEN_FILE=token\n")
    (tmp_path / "token").write_text("1:x")
    copy = "tgbot.db.0001-1.backup"
    (tmp_path / copy).touch()
    for name, mode in ((".env", 0o640), ("tgbot.db", 0o604), ("token", 0o644), (copy, 0o644)):
        (tmp_path / name).chmod(mode)
    ended = tgbot(tmp_path, "run", TGBOT_AGENT="nope:x")
    assert "tgbot.db.0001-1.backup is open to other users (its mode is 644)" in ended.stderr
    assert "config.warning .env is open to other users (its mode is 640): chmod 600 .env" in ended.stderr
    assert "tgbot.db is open to other users (its mode is 604): chmod 600 tgbot.db" in ended.stderr
    assert "token is open to other users (its mode is 644): chmod 600 token" in ended.stderr


def test_private_files_and_files_that_are_not_there_are_not_warned_of(tmp_path: Path) -> None:
    assert "config.warning" not in tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="nope:x").stderr
    tgbot(tmp_path, "db", "upgrade")
    (tmp_path / ".env").touch(0o600)
    assert "config.warning" not in tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="nope:x").stderr


def test_status_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "status")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "start the bot once" in ended.stderr


def test_an_http_address_that_another_program_has_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        nowhere = {"TGBOT_TOKEN": "1:x", "TGBOT_API_URL": f"http://127.0.0.1:{port}"}
        ended = tgbot(tmp_path, "run", TGBOT_HTTP_ADDRESS=str(port), **nowhere)
    assert ended.returncode == 2
    assert "tgbot: TGBOT_HTTP_ADDRESS is wrong (Address already in use): set it" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_has_enough_of_what_is_printed_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as printed:
        ended = subprocess.run(
            [sys.executable, "-m", "tgbot", "doctor", "--json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=printed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (cli.UNREAD, "")


def test_a_webhook_to_which_telegram_cannot_post_is_one_line(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_WEBHOOK_URL="http://bot.example.org/hook")
    assert ended.returncode == 2
    assert "tgbot: TGBOT_WEBHOOK_URL is wrong (Telegram posts to https:// only): set it" in ended.stderr
