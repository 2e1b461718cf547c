"""Brings a database to the newest schema, after a backup copy when there is something to lose."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from tgbot.store.engine.backup import back_up
from tgbot.store.engine.connection import writing_engine
from tgbot.store.engine.errors import storage_errors

log = logging.getLogger(__name__)

# Equal to the newest file in migrations/versions (a test compares them): a start that finds it
# in the database need not import Alembic, which costs 20 MB and a third of a second.
REVISION = "0001"

# Beside the package in a checkout, inside it when installed.
_PACKAGE = Path(__file__).parents[2]
_FOLDERS = (_PACKAGE.parent / "migrations", _PACKAGE / "migrations")


class SchemaError(Exception):
    """The file's schema is not one that this program knows; the text says what to do."""


def upgrade(path: Path) -> bool:
    """Apply what is missing. Returns whether anything was.

    The caller holds the process lock. Alembic is imported only when needed: it costs 20 MB.
    Raises SchemaError, StorageError, DatabaseDamagedError.
    """
    revision = current_revision(path)
    if revision == REVISION:
        return False
    if revision is not None:
        check_revision(path, revision)
    with storage_errors(f"{path} cannot be upgraded: "):
        if revision is not None:
            log.info("migrate.backup file=%s", back_up(path, revision))
        _apply(path)
    log.info("migrate.done from=%s to=%s", revision, REVISION)
    return True


def check_revision(path: Path, revision: str) -> None:
    """Refuse a file that cannot be upgraded. Raises SchemaError."""
    if revision > REVISION:
        raise SchemaError(
            f"{path} was written by a newer tgbot (schema {revision}): update tgbot, or use another file"
        )
    if revision not in _known_revisions():
        raise SchemaError(
            f"{path} is of schema {revision}, which this tgbot does not know: use the tgbot that wrote it,"
            " or another file"
        )


def current_revision(path: Path) -> str | None:
    """Read the file's revision, None for one that is new or not there. Raises SchemaError, StorageError."""
    if not path.exists():
        return None
    with storage_errors(f"{path} cannot be read: "), closing(sqlite3.connect(path)) as raw:
        try:
            known = raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            raise SchemaError(f"{path} cannot be read ({error}): name a file of tgbot's own") from None
        row = raw.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    return str(row[0]) if row else None


def _known_revisions() -> set[str]:
    """Give the revision of each migration, which its file is named after."""
    return {file.name.partition("_")[0] for file in (_folder() / "versions").glob("*.py")}


def _folder() -> Path:
    return next(folder for folder in _FOLDERS if folder.is_dir())


def _apply(path: Path) -> None:
    from alembic import command  # noqa: PLC0415 - see upgrade
    from alembic.config import Config  # noqa: PLC0415 - see upgrade

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    engine = writing_engine(path)
    try:
        with engine.begin() as conn:
            config.attributes["connection"] = conn
            command.upgrade(config, "head")
    finally:
        engine.dispose()
