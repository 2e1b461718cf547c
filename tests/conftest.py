"""Fixtures: a migrated SQLite file for each test, the bot around it, a Bot API server on loopback."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.house import House
from tests.scripted import ScriptedAgent
from tests.store.instance import Instance, StartInstance
from tgbot.playground.server import PlaygroundServer
from tgbot.store.engine.sqlite import migrate
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.sqlite.opening import PRAGMAS, writing_engine
from tgbot.store.engine.writer import Database

# The same examples at every run, and no deadlines: what fails here fails anywhere, however slow it is.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    migrate.upgrade(path)
    return path


@pytest.fixture
def database_path(migrated_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tgbot.db"
    shutil.copy(migrated_file, path)
    return path


@pytest.fixture
async def db(database_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    # No power cut in these tests: the process lives on, so waiting for the disk proves nothing.
    monkeypatch.setattr("tgbot.store.engine.sqlite.opening.PRAGMAS", (*PRAGMAS, "PRAGMA synchronous=OFF"))
    async with SqliteDatabase(database_path) as database:
        yield database


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def house(db: Database, agent: ScriptedAgent) -> AsyncIterator[House]:
    async with House(db, agent) as built:
        yield built


@pytest.fixture
async def wire() -> AsyncIterator[PlaygroundServer]:
    async with PlaygroundServer(port=0) as server:
        yield server


@pytest.fixture
def start_instance(database_path: Path) -> Iterator[StartInstance]:
    """Start one instance of the process after another; the older ones stay usable, as stale owners."""
    instances = []

    def start(**limits: object) -> Instance:
        instances.append(Instance(writing_engine(database_path), **limits))  # type: ignore[arg-type]  # as StartInstance has them
        return instances[-1]

    yield start
    for instance in instances:
        instance.engine.dispose()


@pytest.fixture
def instance(start_instance: StartInstance) -> Instance:
    return start_instance()
