"""A database that is locked, or whose disk is full: a start waits for it, a writer recovers."""

import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.whole_bot.process import BotProcess
from tgbot.store.engine.sqlite import migrate

NOWHERE = "http://127.0.0.1:9"
UNLIMITED = resource.RLIM_INFINITY


def bot_in(folder: Path, within_seconds: float = 600) -> BotProcess:
    return BotProcess(folder, NOWHERE, start_within_seconds=within_seconds)


@asynccontextmanager
async def started(bot: BotProcess) -> AsyncIterator[None]:
    await bot.start()
    try:
        yield
    finally:
        if not bot.ended:
            await bot.kill()


async def test_a_start_on_a_locked_database_waits_until_it_is_free(
    tmp_path: Path, database_path: Path
) -> None:
    bot = bot_in(tmp_path)
    with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with started(bot):
            await bot.logs("db.waiting reason=database is locked")
            other.execute("ROLLBACK")
            await bot.logs("app.started")


async def test_a_start_whose_migration_finds_the_database_locked_waits_too(tmp_path: Path) -> None:
    bot = bot_in(tmp_path)
    with closing(sqlite3.connect(tmp_path / "tgbot.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with started(bot):
            await bot.logs("db.waiting reason=")
            other.execute("ROLLBACK")
            await bot.logs("app.started")
    assert migrate.current_revision(tmp_path / "tgbot.db") == migrate.REVISION


@pytest.mark.parametrize("existing", [True, False], ids=["existing file", "new file"])
async def test_a_start_on_a_full_disk_waits_for_room(
    tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch, *, existing: bool
) -> None:
    """The full disk is a limit on the size of every file of the process, its log's included."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # nor are half compiled files left
    if existing:
        shutil.copy(migrated_file, tmp_path / "tgbot.db")
    bot = bot_in(tmp_path)
    async with started(bot):
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (4096, UNLIMITED))  # long before it has imported all
        await bot.logs("db.waiting reason=")
        resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
        await bot.logs("app.started")


async def test_a_start_gives_up_in_its_time_with_one_line(tmp_path: Path, database_path: Path) -> None:
    bot = bot_in(tmp_path, within_seconds=0.1)
    with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with started(bot):
            assert await bot.wait() == 1
    *_, line = bot.log.splitlines()
    assert line == f"tgbot: {database_path}: database is locked"
    assert "Traceback" not in bot.log


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here; the same with a limit on the process runs anywhere")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_start_on_a_small_disk_that_is_full_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    migrate.upgrade(small_disk / "tgbot.db")
    (small_disk / "ballast").write_bytes(bytes(3 * 2**20 - used(small_disk)))
    bot = bot_in(tmp_path)
    bot.setting(database_url=f"sqlite:///{small_disk / 'tgbot.db'}")
    async with started(bot):
        await bot.logs("db.waiting reason=")
        (small_disk / "ballast").unlink()
        await bot.logs("app.started")


def used(folder: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.iterdir())


# Each write replaces a row. The log is full long before SQLite moves it into the file by itself.
REPLACE = """
import asyncio, resource, sys
from pathlib import Path
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.sqlite.database import SqliteDatabase

def replace(conn, number):
    columns = "id, pid, started_at, host, revision, lease_until"
    conn.exec_driver_sql(f"REPLACE INTO instance ({columns}) VALUES (1, ?, 1, '', '', 0)", (number,))

async def run():
    in_a_row = 0
    async with SqliteDatabase(Path(sys.argv[1])) as db:
        if len(sys.argv) > 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        for number in range(2_000):
            try:
                await db.write(replace, number)
                in_a_row = 0
            except StorageError:
                in_a_row += 1
                assert in_a_row < 3, "it is stuck"

asyncio.run(run())
"""


def test_a_log_that_fills_its_disk_makes_room_for_itself(database_path: Path) -> None:
    subprocess.run([sys.executable, "-c", REPLACE, database_path, "limited"], check=True)
    with closing(sqlite3.connect(database_path)) as raw:
        assert raw.execute("SELECT pid FROM instance").fetchall() == [(1999,)]


def test_a_log_that_fills_a_small_disk_makes_room_for_itself(small_disk: Path) -> None:
    migrate.upgrade(small_disk / "tgbot.db")
    subprocess.run([sys.executable, "-c", REPLACE, small_disk / "tgbot.db"], check=True)
