"""Brings a database to the newest schema, also while workers of the version before run on it."""

from sqlalchemy import func, select

from tgbot.store.engine.connection import Connection
from tgbot.store.engine.place import Place
from tgbot.store.engine.revisions import REVISION, SchemaError, steps_from
from tgbot.store.engine.sql import now
from tgbot.store.engine.statement import Statement
from tgbot.store.schema import instance

STEPS_MAX = 1  # a worker goes on, until it has drained, with a schema that is this much newer than its own

_OLDEST = Statement(select(func.min(instance.c.revision)).where(instance.c.lease_until > now()))


def upgrade(place: Place) -> bool:
    """Apply what is missing; whether anything was. The place must be owned.

    Raises SchemaError (also while workers run that could not bear the new schema), StorageError,
    DatabaseDamagedError.
    """
    if place.file is None and place.revision() not in {None, REVISION}:
        place.read_once(lambda conn: _check_workers(conn, place))
    return place.upgrade()


def _check_workers(conn: Connection, place: Place) -> None:
    oldest: str | None = _OLDEST(conn).scalar()
    if oldest is not None and steps_from(oldest) > STEPS_MAX:
        fix = "stop them first, or update one version at a time"
        raise SchemaError(f"workers of schema {oldest} still run on {place}: {fix}")
