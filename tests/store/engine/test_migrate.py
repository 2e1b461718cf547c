"""A start brings the file to the newest schema, and never harms one that it does not know."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from tests.store.engine.files import mode
from tgbot.store.engine import revisions
from tgbot.store.engine.sqlite import migrate
from tgbot.store.engine.sqlite.backup import back_up
from tgbot.store.engine.sqlite.opening import writing_engine

ROOT = Path(__file__).parents[3]
TGBOT = ("-m", "tgbot")
# No file may grow beyond a page: as on a full disk, writing fails. -B: no half compiled files either.
FULL_DISK = (
    "-Bc",
    (
        "import resource, sys; from tgbot import cli; from tgbot.store.engine import revisions\n"
        "revisions._known_revisions = lambda: {'0000', '0001'}\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); sys.exit(cli.main())"
    ),
)


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw, raw:
        return raw.execute(sql).fetchall()


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.backup"))


@pytest.fixture
def older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a file of a revision before the first, that has something to lose."""
    monkeypatch.setattr(revisions, "_known_revisions", lambda: {"0000", "0001"})
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
        "import sys; from pathlib import Path; from tgbot.store.engine.sqlite import migrate; "
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
        copy = back_up(older_file, "0000")
    assert query(copy, "SELECT word FROM precious") == [("kept",), ("just committed",)]


def test_every_migration_is_known_by_the_name_of_its_file() -> None:
    scripts = ScriptDirectory(str(ROOT / "migrations"))
    assert {script.revision for script in scripts.walk_revisions()} == revisions._known_revisions()


def break_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each migration write more than its cache holds, then fail: as in earnest, all is taken back."""

    def apply(path: Path) -> None:
        engine = writing_engine(path)
        try:
            with engine.begin() as conn:
                conn.exec_driver_sql("CREATE TABLE anew (bytes BLOB)")
                conn.exec_driver_sql("INSERT INTO anew VALUES (zeroblob(10000000))")
                conn.exec_driver_sql("CREATE TABLE precious (x)")
        finally:
            engine.dispose()

    monkeypatch.setattr(migrate, "_apply", apply)


def test_the_backup_of_a_migration_that_failed_serves_the_next_try_too(
    older_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_migrations(monkeypatch)
    for _ in range(3):
        with pytest.raises(OperationalError, match="precious already exists"):
            migrate.upgrade(older_file)
    [copy] = backups(older_file)
    assert query(copy, "SELECT word FROM precious") == [("kept",)]


def test_a_database_that_changed_since_is_copied_anew(
    older_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older tgbot went on with it meanwhile, say."""
    break_migrations(monkeypatch)
    for word in ("second", "third"):
        with pytest.raises(OperationalError):
            migrate.upgrade(older_file)
        query(older_file, f"INSERT INTO precious VALUES ('{word}')")
    with pytest.raises(OperationalError):
        migrate.upgrade(older_file)
    kept = [query(copy, "SELECT word FROM precious") for copy in backups(older_file)]
    assert sorted(map(len, kept)) == [1, 2, 3], "and no copy takes another's place"


def test_a_change_that_only_the_write_ahead_log_has_is_copied_anew(
    older_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader keeps it from being moved into the file, whose time stays as it was."""
    break_migrations(monkeypatch)
    with pytest.raises(OperationalError):
        migrate.upgrade(older_file)
    with closing(sqlite3.connect(older_file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM precious").fetchall()
        with closing(sqlite3.connect(older_file)) as writer, writer:
            writer.execute("INSERT INTO precious VALUES ('new')")
        with pytest.raises(OperationalError):
            migrate.upgrade(older_file)
    assert ("new",) in query(backups(older_file)[-1], "SELECT word FROM precious")


KILLED_COPYING = (
    "import functools, os, sqlite3, sys; from pathlib import Path\n"
    "from tgbot.store.engine import revisions; from tgbot.store.engine.sqlite import migrate\n"
    "revisions._known_revisions = lambda: {'0000', '0001'}\n"
    "class Dying(sqlite3.Connection):\n"
    "    def backup(self, target):\n"
    "        super().backup(target, pages=1, progress=lambda *_: os.kill(os.getpid(), 9))\n"
    "sqlite3.connect = functools.partial(sqlite3.connect, factory=Dying)\n"
    "migrate.upgrade(Path(sys.argv[1]))\n"
)


def test_a_kill_while_the_copy_is_made_leaves_none_and_the_next_try_cleans_up(
    older_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(older_file.parent.iterdir())
    killed = subprocess.run([sys.executable, "-c", KILLED_COPYING, older_file], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert backups(older_file) == []
    assert set(older_file.parent.iterdir()) > before, "half a copy, under another name"
    query(older_file, "INSERT INTO precious VALUES ('new')")  # so that the next copy has a name of its own
    break_migrations(monkeypatch)
    with pytest.raises(OperationalError):
        migrate.upgrade(older_file)
    [copy] = backups(older_file)
    assert query(copy, "SELECT word FROM precious") == [("kept",), ("new",)]
    assert set(older_file.parent.iterdir()) == {*before, copy}


def test_a_backup_is_private_whatever_its_database_is(older_file: Path) -> None:
    older_file.chmod(0o644)
    assert mode(back_up(older_file, "0000")) == 0o600


def test_an_older_file_of_an_unknown_schema_is_refused_untouched_in_one_line(database_path: Path) -> None:
    query(database_path, "UPDATE alembic_version SET version_num = '0000'")
    before = database_path.read_bytes()
    ran = tgbot(database_path, "db", "upgrade")
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert f"{database_path} is of schema 0000, which this tgbot does not know" in ran.stderr
    assert (database_path.read_bytes(), backups(database_path)) == (before, [])


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
def test_the_commands_report_it_in_one_line_and_exit_with_2(database_path: Path, command: list[str]) -> None:
    query(database_path, "UPDATE alembic_version SET version_num = '9999'")
    ran = tgbot(database_path, *command)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "update tgbot" in ran.stderr


@pytest.mark.parametrize("command", [["db", "upgrade"], ["run"]])
def test_a_new_file_on_a_full_disk_is_reported_in_one_line(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "tgbot.db"
    ran = tgbot(path, *command, program=FULL_DISK)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert f"{path} cannot be upgraded: disk I/O error" in ran.stderr


def test_a_file_that_a_full_disk_keeps_from_being_read_is_not_called_a_wrong_one(database_path: Path) -> None:
    ran = tgbot(database_path, "status", program=FULL_DISK)
    assert (ran.returncode, ran.stderr) == (1, f"tgbot: {database_path} cannot be read: disk I/O error\n")


def test_an_older_file_that_cannot_be_copied_is_reported_in_one_line_and_leaves_no_half_copy(
    older_file: Path,
) -> None:
    ran = tgbot(older_file, "db", "upgrade", program=FULL_DISK)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert f"{older_file} cannot be upgraded: " in ran.stderr
    assert backups(older_file) == []
    assert migrate.current_revision(older_file) == "0000"


@pytest.mark.parametrize("command", [["db", "upgrade"], ["status"], ["run"]])
def test_a_file_that_is_no_database_is_reported_in_one_line(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    path.chmod(0o600)
    ran = tgbot(path, *command)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "notes.txt" in ran.stderr


def tgbot(path: Path, *command: str, program: tuple[str, ...] = TGBOT) -> subprocess.CompletedProcess[str]:
    settings = {
        "TGBOT_DATABASE_URL": f"sqlite:///{path}",
        "TGBOT_TOKEN": "1:x",
        "TGBOT_START_WITHIN_SECONDS": "0",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, *program, *command],
        capture_output=True,
        check=False,
        cwd=path.parent,
        env=os.environ | settings,
        text=True,
        timeout=60,
    )
