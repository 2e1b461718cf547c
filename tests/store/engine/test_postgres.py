"""What is PostgreSQL's own: commits of unknown outcome, leases that are over, others in the way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest
from sqlalchemy import Connection, text

from tests import postgres
from tgbot.store.engine.errors import LeaseLostError, StorageError
from tgbot.store.engine.locks import lock, try_lock
from tgbot.store.engine.place import Place, place_of
from tgbot.store.engine.writer import Database


@pytest.fixture
def place(postgres_server: postgres.Server) -> Iterator[Place]:
    with postgres_server.empty_database() as url:
        made = place_of(url)
        made.write_once(lambda conn: conn.execute(text("CREATE TABLE word (word text)")))
        yield made


@pytest.fixture
async def server_db(place: Place) -> AsyncIterator[Database]:
    async with place.database() as db:
        yield db


def add(conn: Connection, word: str) -> None:
    conn.execute(text("INSERT INTO word VALUES (:word)"), {"word": word})


def words(place: Place) -> list[str]:
    return place.read_once(lambda conn: [*conn.execute(text("SELECT word FROM word ORDER BY 1")).scalars()])


def test_no_plan_is_compiled(place: Place) -> None:
    assert place.read_once(lambda conn: conn.execute(text("SHOW jit")).scalar()) == "off"


def test_a_nul_is_stored_as_a_space(place: Place) -> None:
    place.write_once(lambda conn: add(conn, "a\0b"))
    assert words(place) == ["a b"]


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_whose_answer_is_lost_is_looked_up(
    place: Place, server_db: Database, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    real = Connection.commit

    def commit(conn: Connection) -> None:
        monkeypatch.undo()
        if committed:
            real(conn)
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(Connection, "commit", commit)
    writing = server_db.write(add, "a")
    if committed:
        await writing
    else:
        with pytest.raises(StorageError, match="the connection is lost"):
            await writing
    await server_db.write(add, "b")
    assert words(place) == (["a", "b"] if committed else ["b"])


async def test_when_its_lease_is_over_nothing_is_written_and_the_process_hears_of_it(
    place: Place, server_db: Database
) -> None:
    server_db.fence_by("NOT EXISTS (SELECT 1 FROM word)")
    await server_db.write(add, "a")
    with pytest.raises(LeaseLostError):
        await server_db.write(add, "b")
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(server_db.serve(), 60)
    assert words(place) == ["a"]


async def test_writes_that_lock_the_same_name_run_one_after_the_other(place: Place) -> None:
    """Each reads what the ones before it have committed, whichever process they were in."""

    def count_up(conn: Connection) -> None:
        lock(conn, ["name"])
        number = conn.execute(text("SELECT count(*) FROM word")).scalar()
        add(conn, str(number))

    async with place.database() as one, place.database() as other:
        await asyncio.gather(*(db.write(count_up) for _ in range(20) for db in (one, other)))
    assert sorted(map(int, words(place))) == list(range(40))


async def test_a_lock_ends_with_its_transaction_and_the_next_one_has_to_take_it_again(place: Place) -> None:
    locked, end = threading.Event(), threading.Event()

    def hold(conn: Connection) -> None:
        lock(conn, ["name"])
        locked.set()
        end.wait()

    async with place.database() as one, place.database() as other:
        await one.write(lock, ["name"])
        holding = other.write(hold)
        await asyncio.to_thread(locked.wait)
        taken = await one.write(try_lock, ["name"])
        end.set()
        await holding
    assert not taken


async def test_locks_in_opposite_orders_end_in_nobodys_way(place: Place) -> None:
    def both(first: str, second: str) -> Callable[[Connection], None]:
        def write(conn: Connection) -> None:
            lock(conn, [first])
            lock(conn, [second])
            add(conn, first)

        return write

    async with place.database() as one, place.database() as other:
        writes = [db.write(both(*names)) for _ in range(3) for db, names in ((one, "ab"), (other, "ba"))]
        await asyncio.gather(*writes)
    assert words(place) == ["a"] * 3 + ["b"] * 3
