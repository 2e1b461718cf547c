"""New and old workers side by side: one step of the schema, and the old ones drain."""

import pytest
from sqlalchemy import text

from tests.whole_bot.process import Person
from tests.workers.conftest import Hire
from tgbot.playground.server import PlaygroundServer
from tgbot.store import recovery, upgrading, workers
from tgbot.store.engine import revisions
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.place import Place, place_of
from tgbot.store.engine.revisions import REVISION, SchemaError

NEWER = "9999"


def set_revision(url: str, revision: str) -> None:
    """Leave the schema as a newer tgbot's first step does: usable by this one."""

    def write(conn: Connection) -> None:
        conn.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})

    place_of(url).write_once(write)


async def test_a_worker_that_meets_a_newer_schema_ends_its_turns_and_goes_with_a_clear_line(
    hire: Hire, wire: PlaygroundServer, url: str
) -> None:
    crew = hire(1, agent="tests.workers.agents:slow")
    await crew.start()
    [worker] = crew.workers
    ann = Person(wire, 11)
    ann.says("11-1", "11-2")
    await crew.begins("11-1")

    set_revision(url, NEWER)
    await worker.logs("app.stopping")
    crew.let_end("11-1")
    assert await worker.wait() == 2
    refusal = f" was written by a newer tgbot (schema {NEWER}): update tgbot, or use another database"
    assert worker.log.splitlines()[-1].endswith(refusal)
    assert ann.sees == ["re: 11-1"]

    set_revision(url, REVISION)  # as if this were the new one
    await worker.start()
    crew.let_end("11-2")
    await ann.sees_at_last("re: 11-1", "re: 11-2")
    await crew.end()
    crew.check_turns()


@pytest.fixture
def place(url: str) -> Place:
    made = place_of(url)
    upgrading.upgrade(made)
    return made


@pytest.mark.parametrize("steps", [1, 2])
def test_one_step_may_be_made_beside_older_workers_and_not_two(
    place: Place, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    worker = place.write_once(lambda conn: recovery.begin_instance(conn, 1))
    newer = [f"{number:04}" for number in range(2, 2 + steps)]
    monkeypatch.setattr(revisions, "_known_revisions", lambda: {REVISION, *newer})
    monkeypatch.setattr(upgrading, "REVISION", newer[-1])
    if steps == 1:
        upgrading.upgrade(place)
    else:
        with pytest.raises(SchemaError, match=f"workers of schema {REVISION} still run .*: stop them first"):
            upgrading.upgrade(place)
        place.write_once(lambda conn: workers.end(conn, worker))
        upgrading.upgrade(place)
