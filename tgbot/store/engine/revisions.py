"""Which schemas there are, and how the migrations that lead from one to the next are applied."""

from pathlib import Path

from sqlalchemy import text

from tgbot.store.engine.connection import Connection

# Equal to the newest file in migrations/versions (a test compares them): a start that finds it
# in the database need not import Alembic, which costs 20 MB and a third of a second.
REVISION = "0001"

# Beside the package in a checkout, inside it when installed.
_PACKAGE = Path(__file__).parents[2]
_FOLDERS = (_PACKAGE.parent / "migrations", _PACKAGE / "migrations")


class SchemaError(Exception):
    """The database's schema is not one that this program knows; the text says what to do."""


def check_revision(name: object, revision: str) -> None:
    """Refuse a database that cannot be upgraded. Raises SchemaError."""
    if revision > REVISION:
        raise SchemaError(
            f"{name} was written by a newer tgbot (schema {revision}): update tgbot, or use another database"
        )
    if revision not in _known_revisions():
        raise SchemaError(
            f"{name} is of schema {revision}, which this tgbot does not know: use the tgbot that wrote it,"
            " or another database"
        )


def revision_of(conn: Connection) -> str:
    """Read the revision of a database that has a schema."""
    revision: str = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return revision


def steps_from(revision: str) -> int:
    """Count the migrations that lead from a revision to ours."""
    return sum(known > revision for known in _known_revisions())


def apply(conn: Connection) -> None:
    """Apply what is missing, in the connection's transaction: all of it, or nothing."""
    from alembic import command  # noqa: PLC0415 - it costs 20 MB, and most starts do not need it
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _known_revisions() -> set[str]:
    """Give the revision of each migration, which its file is named after."""
    return {file.name.partition("_")[0] for file in (_folder() / "versions").glob("*.py")}


def _folder() -> Path:
    return next(folder for folder in _FOLDERS if folder.is_dir())
