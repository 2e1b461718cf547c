"""A database of every released schema is brought to the newest one, with all that was in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.store.engine import released
from tests.store.instance import Instance
from tgbot.store import report, schema
from tgbot.store.engine import revisions
from tgbot.store.engine.sqlite import migrate
from tgbot.store.engine.sqlite.opening import reading_engine, writing_engine

RELEASED = sorted(file.stem for file in released.FOLDER.glob("*.sql"))


def tables(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        ).fetchall()


def test_of_each_schema_there_is_a_database() -> None:
    assert set(RELEASED) == revisions._known_revisions()


def test_the_database_of_the_newest_schema_is_what_its_migrations_make(
    tmp_path: Path, database_path: Path
) -> None:
    released.read(migrate.REVISION, tmp_path / "kept.db")
    remedy = "python -m tests.store.engine.released"
    assert tables(tmp_path / "kept.db") == tables(database_path), remedy


@pytest.mark.parametrize("revision", RELEASED)
def test_it_is_upgraded_and_whole(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "old.db"
    released.read(revision, path)
    migrate.upgrade(path)
    assert migrate.current_revision(path) == migrate.REVISION
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    engine = reading_engine(path)
    with engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), schema.metadata) == []
    engine.dispose()


@pytest.mark.parametrize("revision", RELEASED)
def test_a_bot_goes_on_with_what_was_in_it(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "old.db"
    released.read(revision, path)
    migrate.upgrade(path)
    bot = Instance(writing_engine(path))
    found = bot.do(report.everything)
    assert (found.queued, found.held, found.dead, len(found.running)) == (1, 1, 2, 2)
    assert bot.answers(2) == ["re: answered"]
    assert sorted(bot.recover()) == ["queued", "stopped"]
    assert [turn.text for turn in bot.claim_waiting()] == ["interrupted"]
    assert "re: unsent" in bot.send_all(3)
    bot.engine.dispose()
