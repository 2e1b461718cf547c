"""The command line, as a person at a terminal meets it: real processes, one clear line each."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.engine.files import damage

ROOT = Path(__file__).parent.parent


def tgbot(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TGBOT_")}
    return subprocess.run(
        [sys.executable, "-m", "tgbot", *words],
        cwd=folder,
        env={**bare, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "TGBOT_TOKEN is missing: set it in the environment or in .env to the bot's token"),
        ({"TGBOT_TOKN": "hush-hush"}, "unknown setting TGBOT_TOKN, did you mean TGBOT_TOKEN?"),
        ({"TGBOT_TOKEN": "hush-hush"}, "TGBOT_TOKEN is wrong (a token looks like 123456:ABC-DEF)"),
        ({"TGBOT_TOKEN": "\u0661\u0662:x"}, "TGBOT_TOKEN is wrong"),  # digits, though not Telegram's
        ({"TGBOT_TOKEN": "1" * 23 + ":x"}, "TGBOT_TOKEN is wrong"),  # no integer of SQLite's
        ({"TGBOT_TOKEN": "1:x", "TGBOT_API_URL": "ftp://x"}, "TGBOT_API_URL is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_API_URL": "http://x:65536"}, "TGBOT_API_URL is wrong (Port out of"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": "postgres://x"}, "TGBOT_DATABASE_URL is wrong"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": "sqlite+aiosqlite:///tgbot.db"},
            "(only a SQLite file is supported): set it in the environment or in .env to sqlite:///FILE",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_ALLOWED_USERS": "1,bob"}, "TGBOT_ALLOWED_USERS is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_MAX_TURNS": "0"}, "TGBOT_MAX_TURNS is wrong"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_GRACE_SECONDS": "-1"}, "TGBOT_GRACE_SECONDS is wrong"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "nope:x"},
            "TGBOT_AGENT is wrong (can not import agent 'nope:x': ModuleNotFoundError",
        ),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_DATABASE_URL": "sqlite:////tmp"},
            "TGBOT_DATABASE_URL is wrong (this is a folder)",
        ),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "json:dumps"}, "not an async generator function"),
        ({"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": ".foo:bar"}, "neither one of echo nor package.module:name"),
        (
            {"TGBOT_TOKEN": "1:x", "TGBOT_AGENT": "eliza"},
            "set it in the environment or in .env to echo, or package",
        ),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_exit_status_2(
    tmp_path: Path, settings: dict[str, str], line: str
) -> None:
    ended = tgbot(tmp_path, "run", **settings)
    assert ended.returncode == 2
    (told,) = ended.stderr.splitlines()
    assert line in told
    assert "hush-hush" not in told


def test_settings_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TGBOT_TOKEN=1:x\nTGBOT_AGENT=nope:x\n")
    assert "can not import agent 'nope:x'" in tgbot(tmp_path, "run").stderr


def test_a_settings_file_that_is_not_utf_8_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("# clé\nTGBOT_TOKEN=1:x\n".encode("latin-1"))
    ended = tgbot(tmp_path, "run")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ".env is not UTF-8" in ended.stderr


def test_a_settings_file_that_can_not_be_read_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/proc/self/mem")  # which fails also for root
    ended = tgbot(tmp_path, "run")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ".env can not be read" in ended.stderr


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
def test_an_agents_module_that_fails_is_told_in_one_line_with_its_error(
    tmp_path: Path, source: str, reason: str
) -> None:
    (tmp_path / "mine.py").write_text(source)
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="mine:agent")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert f"can not import agent 'mine:agent': {reason}" in ended.stderr


def test_an_agent_that_its_module_does_not_have_is_told_so(tmp_path: Path) -> None:
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
    assert line.startswith("tgbot: tgbot.db")
    assert "the file is damaged (database disk image is malformed): restore a backup" in line
    assert "Traceback" not in ended.stderr


def test_a_database_that_fails_at_the_start_is_named(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "tgbot.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_START_WITHIN_SECONDS="0")
    assert (ended.returncode, ended.stderr) == (1, "tgbot: tgbot.db: database is locked\n")


def test_an_agent_of_the_current_folder_is_found_from_the_console_script_too(tmp_path: Path) -> None:
    """The script, unlike `python -m`, leaves the folder off the path, as PYTHONSAFEPATH does."""
    (tmp_path / "mine.py").write_text("agent = 'found'")
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="mine:agent", PYTHONSAFEPATH="1")
    assert "'mine:agent' is not an async generator function" in ended.stderr


def test_an_unknown_setting_is_a_warning_with_the_nearest_known_one(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="nope:x", TGBOT_MAX_TURN="3")
    assert "unknown setting TGBOT_MAX_TURN, did you mean TGBOT_MAX_TURNS?" in ended.stderr


def test_files_with_secrets_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    (tmp_path / ".env").write_text("TGBOT_TOKEN=1:x\n")
    for name, mode in ((".env", 0o640), ("tgbot.db", 0o604)):
        (tmp_path / name).chmod(mode)
    ended = tgbot(tmp_path, "run", TGBOT_AGENT="nope:x")
    assert "config.warning .env is open to other users (its mode is 640): chmod 600 .env" in ended.stderr
    assert "tgbot.db is open to other users (its mode is 604): chmod 600 tgbot.db" in ended.stderr


def test_private_files_and_files_that_are_not_there_are_not_warned_of(tmp_path: Path) -> None:
    assert "config.warning" not in tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="nope:x").stderr
    tgbot(tmp_path, "db", "upgrade")
    (tmp_path / ".env").touch(0o600)
    assert "config.warning" not in tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_AGENT="nope:x").stderr


def test_status_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "status")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "start the bot once" in ended.stderr


def test_db_upgrade_makes_the_database_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    first = tgbot(tmp_path, "db", "upgrade")
    assert "now up to date" in first.stdout
    assert "migrate.done from=None" in first.stderr, "and tells what it does"
    assert "already up to date" in tgbot(tmp_path, "db", "upgrade").stdout
    assert (tmp_path / "tgbot.db").exists()


def test_status_reads_for_people_and_for_programs(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    none = "the bot does not run: interrupted 0, queued 0, held 0, dead 0, unsent 0, parked 0\n"
    assert tgbot(tmp_path, "status").stdout == none
    assert json.loads(tgbot(tmp_path, "status", "--json").stdout)["running"] == []


def test_status_of_another_schema_says_what_to_do(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "tgbot.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
        raw.execute("DROP TABLE outbox")
    ended = tgbot(tmp_path, "status")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "run `tgbot db upgrade`" in ended.stderr


def test_status_says_why_a_row_is_dead(tmp_path: Path) -> None:
    tgbot(tmp_path, "db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "tgbot.db")) as raw, raw:
        raw.executemany(
            "INSERT INTO pending (update_id, kind, bot_id, state, session_key, received_at, ended_at, raw)"
            " VALUES (?, ?, 1, 'dead', '1:7', 0, 0, '{}')",
            [(1, "unreadable"), (2, "message")],
        )
    _, *dead = tgbot(tmp_path, "status").stdout.splitlines()
    assert [line.partition(": ")[2] for line in dead] == ["can not be read", "interrupted too often"]


def test_a_database_in_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    ended = tgbot(tmp_path, "run", TGBOT_TOKEN="1:x", TGBOT_DATABASE_URL="sqlite:///no/where.db")
    assert ended.stderr.count("\n") == 1
    assert "its folder does not exist" in ended.stderr
