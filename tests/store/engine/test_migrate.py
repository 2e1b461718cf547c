"""A start brings the file to the newest schema, and never harms one that it does not know."""

import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tgbot.store.engine import migrate

ROOT = Path(__file__).parents[3]
TGBOT = ("-m", "tgbot")
# No file may grow beyond a page: as on a full disk, writing fails. -B: no half compiled files either.
FULL_DISK = (
    "-Bc",
    (
        "import resource, sys; from tgbot import cli\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); sys.exit(cli.main())"
    ),
)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw, raw:
        return raw.execute(sql).fetchall()


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.backup"))


@pytest.fixture
def older_file(tmp_path: Path) -> Path:
    """Give a file of a revision before the first, that has something to lose."""
    path = tmp_path / "tgbot.db"
    query(path, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    query(path, "INSERT INTO alembic_version VALUES ('0000')")
    query(path, "CREATE TABLE precious (word TEXT)")
    query(path, "INSERT INTO precious VALUES ('kept')")
    return path


def test_a_new_file_gets_every_table_and_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    assert migrate.current_revision(path) is None
    assert migrate.upgrade(path)
    assert migrate.current_revision(path) == migrate.REVISION
    assert query(path, "SELECT count(*) FROM pending") == [(0,)]
    assert backups(path) == []


def test_an_upgrade_of_what_is_up_to_date_touches_nothing(database_path: Path) -> None:
    before = database_path.read_bytes()
    assert not migrate.upgrade(database_path)
    assert database_path.read_bytes() == before
    assert backups(database_path) == []


def test_a_start_on_an_up_to_date_file_does_not_import_alembic(database_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tgbot.store.engine import migrate; "
        "migrate.upgrade(Path(sys.argv[1])); print('alembic' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code, database_path], capture_output=True, check=True)
    assert ran.stdout.split() == [b"False"]


def test_an_older_file_is_copied_before_it_is_changed(
    older_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seen = []

    def apply(path: Path) -> None:
        [copy] = backups(path)
        seen.append((query(copy, "SELECT word FROM precious"), migrate.current_revision(copy)))

    monkeypatch.setattr(migrate, "_apply", apply)
    assert migrate.upgrade(older_file)
    assert seen == [([("kept",)], "0000")]
    assert str(backups(older_file)[0]) in caplog.text, "the user can find it"


def test_the_backup_holds_what_only_the_write_ahead_log_has_yet(older_file: Path) -> None:
    with closing(sqlite3.connect(older_file)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("INSERT INTO precious VALUES ('just committed')")
        raw.commit()
        copy = migrate._back_up(older_file, "0000")
    assert query(copy, "SELECT word FROM precious") == [("kept",), ("just committed",)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Its last statement meets a table of that name: all the tables before it are taken back."""
    path = tmp_path / "tgbot.db"
    query(path, "CREATE TABLE guard (mine TEXT)")
    with pytest.raises(OperationalError, match="guard already exists"):
        migrate.upgrade(path)
    assert query(path, "SELECT name FROM sqlite_master") == [("guard",)]


def test_a_newer_file_is_refused_untouched_and_says_what_to_do(database_path: Path) -> None:
    query(database_path, "UPDATE alembic_version SET version_num = '9999'")
    before = database_path.read_bytes()
    with pytest.raises(migrate.SchemaError, match=r"written by a newer tgbot \(schema 9999\): update tgbot"):
        migrate.upgrade(database_path)
    assert (database_path.read_bytes(), backups(database_path)) == (before, [])


@pytest.mark.parametrize("command", [["db", "upgrade"], ["run"]])
def test_the_commands_tell_it_in_one_line_and_exit_with_2(database_path: Path, command: list[str]) -> None:
    query(database_path, "UPDATE alembic_version SET version_num = '9999'")
    ran = tgbot(database_path, *command)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "update tgbot" in ran.stderr


@pytest.mark.parametrize("command", [["db", "upgrade"], ["run"]])
def test_a_new_file_on_a_full_disk_is_told_in_one_line(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "tgbot.db"
    ran = tgbot(path, *command, program=FULL_DISK)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert f"{path} cannot be upgraded: disk I/O error" in ran.stderr


def test_a_file_that_a_full_disk_keeps_from_being_read_is_not_called_a_wrong_one(database_path: Path) -> None:
    ran = tgbot(database_path, "status", program=FULL_DISK)
    assert (ran.returncode, ran.stderr) == (1, f"tgbot: {database_path} cannot be read: disk I/O error\n")


def test_an_older_file_that_no_copy_can_be_made_of_is_told_in_one_line_and_leaves_no_half_copy(
    older_file: Path,
) -> None:
    ran = tgbot(older_file, "db", "upgrade", program=FULL_DISK)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert f"{older_file} cannot be upgraded: " in ran.stderr
    assert backups(older_file) == []
    assert migrate.current_revision(older_file) == "0000"


@pytest.mark.parametrize("command", [["db", "upgrade"], ["status"], ["run"]])
def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    ran = tgbot(path, *command)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "notes.txt" in ran.stderr


def tgbot(path: Path, *command: str, program: tuple[str, ...] = TGBOT) -> subprocess.CompletedProcess[str]:
    settings = {"TGBOT_DATABASE_URL": f"sqlite:///{path}", "TGBOT_TOKEN": "1:x", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *program, *command],
        capture_output=True,
        check=False,
        cwd=path.parent,
        env=os.environ | settings,
        text=True,
        timeout=60,
    )
