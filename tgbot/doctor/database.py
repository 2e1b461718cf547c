"""Checks the database: its file or server, its schema, and what waits or was given up in it."""

from collections.abc import Iterator
from pathlib import Path

from tgbot.doctor.check import Check, fail, ok, warn
from tgbot.store import report, workers
from tgbot.store.engine.errors import DatabaseDamagedError, StorageError
from tgbot.store.engine.place import Place
from tgbot.store.engine.revisions import REVISION, SchemaError
from tgbot.store.engine.sqlite import health
from tgbot.store.engine.sqlite.wal import LARGE_BYTES
from tgbot.store.report import Report

SCHEMA, INTEGRITY, LOG = "database schema", "database integrity", "write-ahead log"
SERVER = "database server"
WAITING, DEAD, PARKED = "oldest waiting message", "dead messages", "parked answers"
WAITS_SECONDS_MAX = 3600.0
READABLE = "let this user read and write it and its folder, and end what locks it"


def checks(place: Place) -> Iterator[Check]:
    """Check a database, also while the bot runs on it; nothing is written."""
    if path := place.file:
        if not path.exists():
            yield ok(SCHEMA, f"{path} is not there yet: the first `tgbot run` makes it")
            return
        yield log_size(_size(path.with_name(f"{path.name}-wal")))
    try:
        if not place.file:
            yield from _server(place)
        yield from _contents(place)
    except (SchemaError, DatabaseDamagedError) as error:
        what, _, fix = str(error).rpartition(": ")
        yield fail(INTEGRITY, what, fix)
    except StorageError as error:
        yield fail(INTEGRITY, str(error), READABLE) if place.file else _refused(error)


def log_size(size_bytes: int) -> Check:
    """Judge the size of the write-ahead log."""
    what = f"{size_bytes // 1024} KiB"
    if size_bytes < LARGE_BYTES:
        return ok(LOG, what)
    return warn(LOG, what, "end what keeps the database open for reading, a backup tool or a shell")


def schema(revision: str | None, path: object) -> Check:
    """Judge the schema of a database; None is of one without any."""
    if revision == REVISION:
        return ok(SCHEMA, f"{path} is of schema {revision}, as this tgbot writes it")
    if revision is None:
        return ok(SCHEMA, f"{path} has no tables yet: the first `tgbot run` makes them")
    what = f"{path} is of schema {revision}, this tgbot writes {REVISION}"
    if revision < REVISION:
        return warn(SCHEMA, what, "run `tgbot db upgrade`, or start the bot, which does it too")
    return fail(SCHEMA, what, "update tgbot, or use another database")


def integrity(damages: list[str]) -> Check:
    """Judge what SQLite found damaged."""
    if not damages:
        return ok(INTEGRITY, "SQLite finds nothing damaged")
    what = f"the file is damaged ({'; '.join(damages)})"
    return fail(INTEGRITY, what, "restore a backup, or what `sqlite3 FILE .recover` can save")


def waiting(seconds: float | None, *, running: bool) -> Check:
    """Judge how long the message has waited that has waited longest; None if no message waits."""
    if seconds is None:
        return ok(WAITING, "no message waits")
    what = f"it has waited for {seconds:.0f} s"
    if seconds < WAITS_SECONDS_MAX:
        return ok(WAITING, what)
    return warn(WAITING, what, "see `tgbot status` for what runs before it" if running else "start the bot")


def given_up(found: Report) -> Iterator[Check]:
    """Judge what will not be run, and what will not be sent, without a person."""
    dead = "see `tgbot dead list`, then `tgbot dead retry ROW` or `tgbot dead drop ROW`"
    yield warn(DEAD, f"{found.dead} given up", dead) if found.dead else ok(DEAD, "none")
    parked = "`tgbot status` lists them with Telegram's reasons"
    yield warn(PARKED, f"{found.parked} will not be sent", parked) if found.parked else ok(PARKED, "none")


def _server(place: Place) -> Iterator[Check]:
    from tgbot.doctor import server  # noqa: PLC0415 - it carries the driver, which is an extra

    return server.checks(place)


def _refused(error: StorageError) -> Check:
    what, _, fix = str(error).rpartition(": ")
    return fail(SERVER, what, fix)


def _contents(place: Place) -> Iterator[Check]:
    revision = place.revision()
    yield schema(revision, place)
    if place.file:
        yield integrity(place.read_once(health.damages))
    if revision == REVISION:
        running = workers.is_running(place)
        yield waiting(place.read_once(report.longest_wait_seconds), running=running)
        yield from given_up(place.read_once(report.everything))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
