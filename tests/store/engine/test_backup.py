"""Backups are made while the bot runs, and put back while it does not; a kill harms neither file."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.forking import ROOT
from tests.store.engine.files import damage, mode
from tests.store.engine.test_migrate import older_file, query
from tgbot import cli
from tgbot.store.engine.sqlite.backup import KEPT_COPIES, back_up
from tgbot.store.engine.sqlite.lock import ProcessLock

__all__ = ["older_file"]  # a fixture

SET = "INSERT OR REPLACE INTO session_value VALUES ('42:7', 'note', 'word', :word, 1)"
GET = "SELECT value FROM session_value"


def write(path: Path, word: str) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(SET, {"word": word})


def words(path: Path) -> list[str]:
    return [str(word) for (word,) in query(path, GET)]


class Terminal:
    """The command line in a folder, in the test's own process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def line(self, *command: str) -> str:
        """Run a command that succeeds, and give its only line."""
        assert cli.main(command) == 0
        out, err = self._capsys.readouterr()
        assert (err, out.count("\n")) == ("", 1)
        return out

    def refused(self, *command: str) -> str:
        """Run a command that fails, and give its only line."""
        assert cli.main(command) in (1, 2)
        out, err = self._capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TGBOT_DATABASE_URL", "sqlite:///tgbot.db")
    return Terminal(tmp_path, capsys)


@pytest.fixture
def folder(database_path: Path) -> Path:
    """Make the folder of a database that has something to lose."""
    write(database_path, "before")
    return database_path.parent


def replaced(folder: Path) -> list[Path]:
    return sorted(folder.glob("tgbot.db.replaced-*"))


# tgbot backup


def test_a_backup_has_all_that_is_committed_while_the_database_is_in_use(
    folder: Path, terminal: Terminal
) -> None:
    with closing(sqlite3.connect(folder / "tgbot.db")) as bot, ProcessLock(folder / "tgbot.db"):
        bot.execute("PRAGMA journal_mode=WAL")
        bot.execute(SET, {"word": "only in the log"})
        bot.commit()
        said = terminal.line("backup", "copy.db")
    assert said.startswith(f"{folder}/tgbot.db is backed up in copy.db (0.")
    assert words(folder / "copy.db") == ["only in the log"]


def test_a_backup_is_one_private_file(folder: Path, terminal: Terminal) -> None:
    (folder / "tgbot.db").chmod(0o644)
    before = set(folder.iterdir())
    terminal.line("backup", "copy.db")
    assert mode(folder / "copy.db") == 0o600
    query(folder / "copy.db", GET)
    assert set(folder.iterdir()) - before == {folder / "copy.db"}


def test_a_backup_overwrites_nothing(folder: Path, terminal: Terminal) -> None:
    (folder / "diary.txt").write_text("dear diary")
    assert "diary.txt is there already: name a file that is not" in terminal.refused("backup", "diary.txt")
    assert (folder / "diary.txt").read_text() == "dear diary"


def test_without_a_database_nothing_is_backed_up_and_nothing_made(tmp_path: Path, terminal: Terminal) -> None:
    assert f"no database at {tmp_path}/tgbot.db" in terminal.refused("backup", "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_makes_no_backup_that_somebody_would_trust(
    folder: Path, terminal: Terminal
) -> None:
    damage(folder / "tgbot.db", "history")
    assert f"{folder}/tgbot.db is damaged" in terminal.refused("backup", "copy.db")
    assert list(folder.glob("copy*")) == []


def test_a_folder_that_is_not_there_is_reported_in_one_line(folder: Path, terminal: Terminal) -> None:
    assert "cannot make nowhere/copy.db: there is no folder nowhere: make it first" in terminal.refused(
        "backup", "nowhere/copy.db"
    )


# tgbot restore


def test_a_restore_brings_the_old_state_back_and_keeps_what_was_there(
    folder: Path, terminal: Terminal
) -> None:
    terminal.line("backup", "copy.db")
    write(folder / "tgbot.db", "after")
    said = terminal.line("restore", "copy.db")
    [kept] = replaced(folder)
    assert said == f"{folder}/tgbot.db is restored from copy.db; what was there is kept as {kept}\n"
    assert (words(folder / "tgbot.db"), words(kept)) == (["before"], ["after"])
    assert [mode(folder / "tgbot.db"), mode(kept)] == [0o600, 0o600]
    assert words(folder / "copy.db") == ["before"], "it can be restored again"


def test_a_database_that_is_gone_is_restored_too(folder: Path, terminal: Terminal) -> None:
    terminal.line("backup", "copy.db")
    (folder / "tgbot.db").unlink()
    assert terminal.line("restore", "copy.db") == f"{folder}/tgbot.db is restored from copy.db\n"
    assert words(folder / "tgbot.db") == ["before"]


def test_a_restored_database_takes_nothing_from_the_log_of_the_old_one(
    folder: Path, terminal: Terminal
) -> None:
    """The old one was killed: its log has what was committed last."""
    terminal.line("backup", "copy.db")
    leave_a_log(folder / "tgbot.db", "after")
    terminal.line("restore", "copy.db")
    assert words(folder / "tgbot.db") == ["before"]
    assert words(replaced(folder)[0]) == ["after"], "nor does what is kept lose it"


def test_while_the_bot_runs_nothing_is_restored(folder: Path, terminal: Terminal) -> None:
    terminal.line("backup", "copy.db")
    write(folder / "tgbot.db", "after")
    with ProcessLock(folder / "tgbot.db"):
        assert f"is in use by process {os.getpid()}: stop that one first" in terminal.refused(
            "restore", "copy.db"
        )
    assert (words(folder / "tgbot.db"), replaced(folder)) == (["after"], [])


def test_while_another_program_reads_the_database_nothing_is_restored(
    folder: Path, terminal: Terminal
) -> None:
    terminal.line("backup", "copy.db")
    leave_a_log(folder / "tgbot.db", "after")
    with closing(sqlite3.connect(folder / "tgbot.db", isolation_level=None)) as shell:
        shell.execute("BEGIN")
        shell.execute(GET).fetchall()
        write(folder / "tgbot.db", "later")
        said = terminal.refused("restore", "copy.db")
    assert "tgbot.db is open in another program: close that first" in said
    assert (words(folder / "tgbot.db"), replaced(folder)) == (["later"], [])


def test_what_is_no_backup_of_ours_is_refused_in_one_line(folder: Path, terminal: Terminal) -> None:
    (folder / "notes.txt").write_text("dear diary, " * 100)
    query(folder / "other.db", "CREATE TABLE mine (x)")
    terminal.line("backup", "newer.db")
    query(folder / "newer.db", "UPDATE alembic_version SET version_num = '9999'")
    terminal.line("backup", "damaged.db")
    damage(folder / "damaged.db", "history")
    for name, why in (
        ("notes.txt", "notes.txt cannot be read (file is not a database)"),
        ("other.db", "other.db is not a database of tgbot's: name a backup"),
        ("newer.db", "newer.db was written by a newer tgbot (schema 9999): update tgbot"),
        ("damaged.db", "damaged.db is damaged"),
        ("nothing.db", "nothing.db is not there, or is not a file: name a backup"),
    ):
        assert why in terminal.refused("restore", name)
    assert (words(folder / "tgbot.db"), replaced(folder)) == (["before"], [])


def test_a_damaged_database_is_kept_as_it_is_and_replaced(folder: Path, terminal: Terminal) -> None:
    terminal.line("backup", "copy.db")
    content = b"no database at all" * 100
    (folder / "tgbot.db").write_bytes(content)
    terminal.line("restore", "copy.db")
    assert words(folder / "tgbot.db") == ["before"]
    assert replaced(folder)[0].read_bytes() == content


def test_a_link_to_the_database_stays_one(folder: Path, terminal: Terminal) -> None:
    terminal.line("backup", "copy.db")
    (folder / "tgbot.db").rename(folder / "real.db")
    (folder / "tgbot.db").symlink_to("real.db")
    write(folder / "tgbot.db", "after")
    terminal.line("restore", "copy.db")
    assert (folder / "tgbot.db").is_symlink()
    assert words(folder / "real.db") == ["before"]


# Kills


LEAVE_A_LOG = """
import os, sqlite3, sys
raw = sqlite3.connect(sys.argv[1])
raw.execute("PRAGMA journal_mode=WAL")
raw.execute(sys.argv[2], {"word": sys.argv[3]})
raw.commit()
os.kill(os.getpid(), 9)
"""
# Copies or restores, and dies before the step of this number: each call that changes a file is one.
DYING = """
import os, pathlib, sqlite3, sys
from pathlib import Path
steps = int(sys.argv[1])
def step(*_):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), 9)
def before(owner, name):
    original = getattr(owner, name)
    def stepping(*args, **kwargs):
        step()
        return original(*args, **kwargs)
    setattr(owner, name, stepping)
class Dying(sqlite3.Connection):
    def backup(self, target):
        super().backup(target, pages=25, progress=step)
connect = sqlite3.connect
sqlite3.connect = lambda *args, **kwargs: connect(*args, **{"factory": Dying} | kwargs)
for name in ("unlink", "rename", "chmod"):
    before(pathlib.Path, name)
for name in ("link", "fsync", "fchmod"):
    before(os, name)
from tgbot.store.engine.sqlite.backup import save
from tgbot.store.engine.sqlite.restore import restore
{"save": save, "restore": restore}[sys.argv[2]](Path("tgbot.db"), Path("copy.db"))
"""


def leave_a_log(path: Path, word: str) -> None:
    killed = subprocess.run([sys.executable, "-c", LEAVE_A_LOG, path, SET, word], check=False)
    assert killed.returncode == -signal.SIGKILL


def killed_before(folder: Path, step: int, what: str) -> bool:
    """Do it in a process that dies before a step; False if it has not as many."""
    ran = subprocess.run(
        [sys.executable, "-c", DYING, str(step), what],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, -signal.SIGKILL), ran.stderr
    return ran.returncode != 0


def test_a_backup_that_is_killed_at_any_step_is_whole_or_not_there(folder: Path) -> None:
    step = 0
    while killed_before(folder, step, "save"):
        assert not (folder / "copy.db").exists() or words(folder / "copy.db") == ["before"]
        assert words(folder / "tgbot.db") == ["before"]
        (folder / "copy.db").unlink(missing_ok=True)
        step += 1
    assert step > 5
    assert words(folder / "copy.db") == ["before"]


def test_a_restore_that_is_killed_at_any_step_leaves_the_old_database_or_the_new_one(
    folder: Path, terminal: Terminal
) -> None:
    terminal.line("backup", "copy.db")
    step = 0
    while True:
        leave_a_log(folder / "tgbot.db", "after")
        killed = killed_before(folder, step, "restore")
        assert words(folder / "tgbot.db") in ([["before"], ["after"]] if killed else [["before"]])
        if not killed:
            break
        step += 1
    assert step > 10
    assert [file for file in replaced(folder) if file.samefile(folder / "tgbot.db")] == []
    assert list(folder.glob("*.partial*")) == [], "the next one has cleaned up"


# The copies that migrations make


def test_of_the_copies_that_migrations_make_the_newest_three_stay(older_file: Path) -> None:
    (older_file.parent / "tgbot.db.mine.backup").touch()
    copies = []
    for number in range(5):
        query(older_file, f"INSERT INTO precious VALUES ('{number}')")
        copies.append(back_up(older_file, f"000{9 - number}"))
    there = sorted(older_file.parent.glob("*.backup"))
    assert there == sorted([*copies[-KEPT_COPIES:], older_file.parent / "tgbot.db.mine.backup"])
    assert KEPT_COPIES == 3
