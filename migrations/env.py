"""Runs the migrations on the connection it is given, or on TGBOT_DATABASE_URL's database."""

from alembic import context

from tgbot import config
from tgbot.store import schema
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.place import place_of


def run(connection: Connection) -> None:
    """Migrate inside the transaction of the connection: all of it, or nothing."""
    context.configure(
        connection=connection, target_metadata=schema.metadata, render_as_batch=True, transactional_ddl=True
    )
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    place_of(config.database_url()).write_once(run)
