"""Each test of the store runs on SQLite and on PostgreSQL; rows become due only when a test decides that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.store.instance import Instance, StartInstance
from tests.store.storage import Files, Server, Storage, Storages
from tgbot.store import joins


@pytest.fixture(autouse=True)
def _nothing_is_quiet_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "QUIET_SECONDS", 50.0)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    with postgres.server() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def storages(request: pytest.FixtureRequest, tmp_path: Path) -> Storages:
    if request.param == "sqlite":
        return Files(tmp_path, request.getfixturevalue("migrated_file"))
    return Server(request.getfixturevalue("postgres_server"))


@pytest.fixture
def own_storage(storages: Storages) -> Iterator[Storage]:
    with storages() as made:
        yield made


@pytest.fixture
def start_instance(own_storage: Storage) -> StartInstance:
    """Start one instance of the process after another; the older ones stay usable, as stale owners."""

    def start(**limits: object) -> Instance:
        return Instance(own_storage.engine(), **limits)  # type: ignore[arg-type]  # as StartInstance has them

    return start
