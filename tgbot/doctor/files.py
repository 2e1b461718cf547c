"""Checks that files with secrets or messages are their owner's alone, and that the disk has room."""

import asyncio
import glob
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from tgbot.config import ENV_FILE
from tgbot.doctor.check import Check, Repair, fail, ok, warn
from tgbot.store.engine.private import FOLDER_MODE, MODE

PERMISSIONS, DISK = "file permissions", "disk space"
MIB = 1024 * 1024
SCARCE_BYTES = 1024 * MIB
FULL_BYTES = 100 * MIB  # the write-ahead log alone may need as much
BESIDE = ("", "-wal", "-shm", ".lock", ".files")  # what a database's name is followed by


def checks(database: Path | None, secret_files: Iterable[Path]) -> Iterator[Check]:
    """Check what belongs to a database, unless that is on a server, and other files with secrets in them."""
    yield from permissions([Path(ENV_FILE), *secret_files, *(_of_database(database) if database else [])])
    folder = database.parent.resolve() if database else Path.cwd()
    yield disk_space(shutil.disk_usage(folder).free, folder)


def permissions(paths: Iterable[Path]) -> list[Check]:
    """Check each file and folder that is there."""
    found = [path for path in paths if path.exists()]
    loose = [path for path in found if path.stat().st_mode & 0o077]
    names = ", ".join(path.name for path in found) or "none is there yet"
    return [_loose(path) for path in loose] or [ok(PERMISSIONS, f"open to their owner only: {names}")]


def disk_space(free_bytes: int, folder: Path) -> Check:
    """Judge the room on the disk of a folder."""
    what = f"{free_bytes // MIB} MiB are free in {folder}"
    fix = "make room, or move the database (TGBOT_DATABASE_URL): on a full disk nothing is taken in"
    if free_bytes >= SCARCE_BYTES:
        return ok(DISK, what)
    return (warn if free_bytes >= FULL_BYTES else fail)(DISK, what, fix)


def _of_database(database: Path) -> list[Path]:
    # What SQLite and the lock put there lies beside the file that a symlink leads to.
    paths = [path.with_name(path.name + end) for path in (database.resolve(), database) for end in BESIDE]
    once = {path.resolve(): path for path in paths}
    return [*once.values(), *sorted(database.parent.glob(f"{glob.escape(database.name)}.*.backup"))]


def _loose(path: Path) -> Check:
    mode, wanted = stat.S_IMODE(path.stat().st_mode), FOLDER_MODE if path.is_dir() else MODE
    what = f"{path} is open to other users (its mode is {mode:o})"
    return warn(PERMISSIONS, what, f"chmod {wanted:o} {path}", _chmod(path, wanted))


def _chmod(path: Path, mode: int) -> Repair:
    async def repair() -> None:
        await asyncio.to_thread(path.chmod, mode)

    return repair
