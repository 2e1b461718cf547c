"""The migrations and the metadata describe one and the same database."""

import re
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests import postgres
from tgbot.store import schema
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sqlite import migrate
from tgbot.store.engine.sqlite.opening import read_once, writing_engine


def test_the_migrations_end_in_the_metadata(database_path: Path) -> None:
    def differences(conn: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(conn), schema.metadata))

    assert read_once(database_path, differences) == []


def test_the_migrations_end_in_the_same_sql_as_the_metadata(database_path: Path, tmp_path: Path) -> None:
    """Alembic compares neither CHECK constraints, nor the WHERE of an index, nor AUTOINCREMENT."""
    made = tmp_path / "made.db"
    engine = writing_engine(made)
    with engine.begin() as conn:
        schema.metadata.create_all(conn)
    engine.dispose()
    migrated = read_once(database_path, described)
    del migrated["alembic_version"]
    assert migrated == read_once(made, described)


def test_the_migrations_end_in_the_same_postgresql_as_the_metadata(postgres_server: postgres.Server) -> None:
    with postgres_server.blank() as conn:
        schema.metadata.create_all(conn)
        made = described_on_server(conn)
    with postgres_server.database() as migrated, migrated.engine.connect() as conn:
        assert made == {one for one in described_on_server(conn) if one[0] != "alembic_version"}


def test_every_number_on_postgresql_has_64_bits(postgres_server: postgres.Server) -> None:
    """Sequences, too."""
    with postgres_server.database() as migrated, migrated.engine.connect() as conn:
        narrow = conn.exec_driver_sql(
            "SELECT column_name FROM information_schema.columns WHERE data_type = 'integer'"
            " AND table_schema = 'public' UNION SELECT sequencename FROM pg_sequences WHERE max_value < 2^53"
        )
        assert narrow.all() == []


def described_on_server(conn: Connection) -> set[tuple[object, ...]]:
    """Give each column, constraint and index, behind the name of its table."""
    described = conn.exec_driver_sql(
        "SELECT table_name, column_name, concat_ws(' ', data_type, is_nullable, column_default)"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " UNION SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " UNION SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace"
    )
    return {tuple(row) for row in described}


def described(conn: Connection) -> dict[str, set[str]]:
    """Give the lines of SQL that made each table and index; their order says nothing."""
    made = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
    return {
        name: {re.sub(r"\s+", " ", line).strip(" ,") for line in sql.split("\n")}
        for name, sql in made
        if not name.startswith("sqlite_")
    }


def test_the_revision_is_that_of_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "migrations"))
    assert scripts.get_heads() == [migrate.REVISION]


def test_revisions_sort_as_they_follow_each_other() -> None:
    """A newer file is recognized by comparing the names of revisions."""
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "migrations"))
    names = [script.revision for script in scripts.walk_revisions()]
    assert names == sorted(names, reverse=True)
