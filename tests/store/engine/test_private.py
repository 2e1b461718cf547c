"""Messages are in these files: nobody but their owner may read them, whatever the umask."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.engine.files import mode
from tgbot.playground.persistence import Persistence

# A bot's files while it runs, made under a umask that leaves everything open, or nothing.
RUN = """
import asyncio, os, sys
from pathlib import Path
os.umask(int(sys.argv[2], 8))
from tgbot.store import recovery
from tgbot.store.engine.sqlite.lock import ProcessLock
from tgbot.store.engine.sqlite.migrate import upgrade
from tgbot.store.engine.sqlite.database import SqliteDatabase

async def run(path):
    with ProcessLock(path):
        upgrade(path)
        async with SqliteDatabase(path) as db:
            await db.write(recovery.begin_instance, 1)
            for file in sorted(path.parent.iterdir()):
                print(f"{file.name} {file.stat().st_mode & 0o777:o}")

asyncio.run(run(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("umask", ["0", "077", "0277"])
def test_whatever_a_bot_makes_is_private_under_any_umask(tmp_path: Path, umask: str) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path / "tgbot.db"), umask]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    names = ("tgbot.db", "tgbot.db-shm", "tgbot.db-wal", "tgbot.db.lock")
    assert ran.stdout.splitlines() == [f"{name} 600" for name in names]


def test_a_database_that_a_symlink_announces_is_private_too(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    command = [sys.executable, "-c", RUN, str(tmp_path / "link.db"), "0"]
    subprocess.run(command, capture_output=True, check=True)
    assert mode(tmp_path / "real.db") == 0o600


def test_an_existing_database_keeps_the_mode_that_its_owner_gave_it(database_path: Path) -> None:
    database_path.chmod(0o640)
    command = [sys.executable, "-c", RUN, str(database_path), "0"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[:3] == ["tgbot.db 640", "tgbot.db-shm 640", "tgbot.db-wal 640"]


def test_the_playgrounds_memory_is_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with closing(Persistence(tmp_path / "world")):
            assert mode(tmp_path / "world") == 0o700
            made = sorted((tmp_path / "world").iterdir())
            assert [(path.name, mode(path)) for path in made] == [
                ("world.db", 0o600),
                ("world.db-shm", 0o600),
                ("world.db-wal", 0o600),
            ]
    finally:
        os.umask(old)
    with closing(sqlite3.connect(tmp_path / "world" / "world.db")) as raw:
        assert raw.execute("SELECT count(*) FROM message").fetchone() == (0,)
