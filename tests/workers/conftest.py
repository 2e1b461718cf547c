"""Fixtures: a PostgreSQL server for all tests of a process, a database for each, and workers on it."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.workers.crew import Crew
from tgbot.playground.server import PlaygroundServer

Hire = Callable[..., Crew]


@pytest.fixture(scope="session")
def own_server() -> Iterator[postgres.Server]:
    with postgres.server() as started:
        yield started


@pytest.fixture
def url(own_server: postgres.Server) -> Iterator[str]:
    with own_server.empty_database() as made:
        yield made


@pytest.fixture
async def hire(wire: PlaygroundServer, tmp_path: Path, url: str) -> AsyncIterator[Hire]:
    """Give workers on one database, which are not started yet; afterwards none is left."""
    hired: list[Crew] = []

    def hire(number: int, at: str = url, **settings: object) -> Crew:
        hired.append(Crew(wire, tmp_path, at, number, **settings))
        return hired[-1]

    yield hire
    for worker in (worker for crew in hired for worker in crew.workers if not worker.ended):
        await worker.kill()
