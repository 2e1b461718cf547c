"""`tgbot db move NEW_URL`: carries a stopped bot's database to another place, of either kind."""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from tgbot import config
from tgbot.store import copying
from tgbot.store.copying import CopyError
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.place import Place, place_of
from tgbot.store.engine.revisions import REVISION


class MoveError(Exception):
    """It cannot be moved, and nothing was; the text is for the person at the terminal."""


class Moved(NamedTuple):
    """What the new database has."""

    rows: dict[str, int]  # by table
    size_bytes: int


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> argparse.ArgumentParser:
    """Add the command, and give its parser."""
    moving = commands.add_parser("move", help="carry a stopped bot to another database")
    moving.add_argument(
        "url", metavar="NEW_URL", help="as TGBOT_DATABASE_URL has it; nothing may be there yet"
    )
    return moving


def run(old: Place, arguments: argparse.Namespace) -> Iterator[str]:
    """Move all of it, or nothing; gives lines for people. The old database stays as it was.

    Raises ConfigError, MoveError, DatabaseLockedError, SchemaError, StorageError, DatabaseDamagedError.
    """
    new = place_of(config.as_database_url("NEW_URL", arguments.url))
    if _identity(old) == _identity(new):
        raise MoveError(f"{new} is where the bot is already: name another database")
    moved = _move(old, new)
    counts = ", ".join(f"{table} {count}" for table, count in moved.rows.items() if count) or "no rows"
    yield f"moved to {new}: {counts} ({moved.size_bytes / 1_000_000:.1f} MB, checked)"
    yield f"{old} is as it was: start no bot on it any more"
    yield f"next: set {config.PREFIX}DATABASE_URL to {_shown(new, arguments.url)}, and start the bot"


def _move(old: Place, new: Place) -> Moved:
    try:
        with old.owned():
            return old.read_once(lambda source: _move_from(source, new))
    except CopyError as error:
        raise MoveError(f"{old} cannot be moved to {new}: {error}") from None


def _move_from(source: Connection, new: Place) -> Moved:
    copying.hold(source)
    with new.owned():
        _make_ready(new)
        return new.write_once(lambda target: _copy(source, target))


def _make_ready(new: Place) -> None:
    """Give the new database its tables, if it has none. Raises CopyError if it has rows."""
    revision = new.revision()
    if revision is None:
        new.upgrade()
    elif revision != REVISION:
        raise CopyError(f"the new one is of schema {revision} already: name another database")
    else:
        new.read_once(copying.refuse_rows)


def _copy(source: Connection, target: Connection) -> Moved:
    return Moved(copying.copy(source, target), copying.size_bytes(target))


def _identity(place: Place) -> object:
    return place.file.resolve() if place.file else place


def _shown(place: Place, url: str) -> str:
    """Write its URL, without a password."""
    return url if place.file else f"{place}"
