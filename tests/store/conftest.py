"""Lives of the process on one migrated file, at store level."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.life import Life, StartLife
from tgbot.db import writing_engine


@pytest.fixture
def live(database_path: Path) -> Iterator[StartLife]:
    """Start one life after another; an older one stays, as stale as a test wants it."""
    lives = []

    def start(**limits: object) -> Life:
        lives.append(Life(writing_engine(database_path), **limits))  # type: ignore[arg-type]  # as StartLife has them
        return lives[-1]

    yield start
    for life in lives:
        life.engine.dispose()


@pytest.fixture
def life(live: StartLife) -> Life:
    return live()
