"""Brings a database on a server to the newest schema, however many processes start at once."""

import logging

from sqlalchemy import text

from tgbot.store.engine import revisions
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.revisions import REVISION, check_revision

log = logging.getLogger(__name__)

LOCK = 0x7467626F74  # "tgbot": one migrates, and those who started with it find it done


def current_revision(conn: Connection) -> str | None:
    """Read the database's revision; None where there is no schema yet."""
    if conn.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
        return None
    return revisions.revision_of(conn)


def upgrade(conn: Connection, name: str) -> bool:
    """Apply what is missing; whether anything was. Raises SchemaError."""
    if current_revision(conn) == REVISION:
        return False
    conn.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    revision = current_revision(conn)
    if revision == REVISION:
        return False
    if revision is not None:
        check_revision(name, revision)
    revisions.apply(conn)
    log.info("migrate.done from=%s to=%s", revision, REVISION)
    return True
