"""`tgbot backup` and `tgbot restore`: a copy of the database, made while the bot runs, and put back."""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

from tgbot.store.engine.errors import StorageError, storage_errors
from tgbot.store.engine.place import Place
from tgbot.store.engine.sqlite.backup import save
from tgbot.store.engine.sqlite.lock import ProcessLock
from tgbot.store.engine.sqlite.migrate import REVISION, current_revision
from tgbot.store.engine.sqlite.restore import restore


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> list[argparse.ArgumentParser]:
    """Add the commands, and give their parsers.

    Each sets `act`, which takes the database and the arguments and gives lines.
    An `act` raises SchemaError, StorageError, DatabaseDamagedError and DatabaseLockedError.
    """
    backup = commands.add_parser("backup", help="copy the database into a new file; also while the bot runs")
    backup.set_defaults(act=_backup)
    back = commands.add_parser("restore", help="put a backup in the database's place; not while the bot runs")
    back.set_defaults(act=_restore)
    for command in (backup, back):
        command.add_argument("file", metavar="FILE", type=Path)
    return [backup, back]


def _backup(place: Place, arguments: argparse.Namespace) -> Iterator[str]:
    database = _file(place, "pg_dump --format=custom", f"--file={arguments.file}")
    if current_revision(database) is None:
        raise StorageError(f"no database at {database}: there is nothing to back up")
    with storage_errors(f"{database} cannot be backed up: "):
        save(database, arguments.file)
    yield f"{database} is backed up in {arguments.file} ({_size(arguments.file)}, checked)"


def _restore(place: Place, arguments: argparse.Namespace) -> Iterator[str]:
    replace = "pg_restore --clean --if-exists --no-owner --single-transaction"
    database = _file(place, replace, f"{arguments.file}")
    with ProcessLock(database):
        kept = restore(database, arguments.file)
    before = f"; what was there is kept as {kept}" if kept else ""
    later = "" if current_revision(database) == REVISION else "; the next start upgrades it"
    yield f"{database} is restored from {arguments.file}{before}{later}"


def _file(place: Place, program: str, word: str) -> Path:
    """Give the file of SQLite. Raises StorageError for a server, whose own program does that."""
    if place.file is None:
        how = f"{program} --dbname={shlex.quote(place.server_url or '')} {shlex.quote(word)}"
        raise StorageError(f"{place} is on a PostgreSQL server, whose own program does that: {how}")
    return place.file


def _size(file: Path) -> str:
    return f"{file.stat().st_size / 1_000_000:.1f} MB"
