"""The writer: one thread, group commit, and what a failure may and may not take along."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from tests.store.engine.files import damage
from tests.waiting import DEADLINE_SECONDS
from tgbot.store.engine import writer
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import DatabaseDamagedError, StorageError
from tgbot.store.engine.sqlite import opening, wal
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.sqlite.opening import read_once
from tgbot.store.engine.writer import Database
from tgbot.tally import tally

Write = asyncio.Future[int] | asyncio.Future[None]


def add(conn: Connection, pid: int = 1) -> int:
    conn.exec_driver_sql(
        "INSERT INTO instance (pid, started_at, host, revision, lease_until) VALUES (?, 1, '', '', 0)",
        (pid,),
    )
    return pid


def pids(conn: Connection) -> list[int]:
    return [pid for (pid,) in conn.exec_driver_sql("SELECT pid FROM instance ORDER BY id")]


def break_after_writing(conn: Connection) -> None:
    add(conn, 666)
    raise LookupError("a mistake of ours")


@contextmanager
def busy_writer(db: Database) -> Iterator[None]:
    """Keep the writer at work, so that all that is handed in meanwhile is one batch."""
    may_end, at_work = threading.Event(), threading.Event()

    def work(_: Connection) -> None:
        at_work.set()
        may_end.wait(30)

    db.write(work)
    assert at_work.wait(30)
    try:
        yield
    finally:
        may_end.set()


@pytest.fixture
def commits(db: SqliteDatabase) -> list[int]:
    """Grow by one entry with each commit."""
    seen: list[int] = []
    event.listen(db._writer, "commit", lambda _: seen.append(1))
    return seen


# Group commit


async def test_writes_that_queue_up_while_a_commit_runs_share_the_next_one(
    db: Database, commits: list[int]
) -> None:
    with busy_writer(db):
        writes = [db.write(add, n) for n in range(200)]
    assert await asyncio.gather(*writes) == list(range(200))
    assert len(commits) == 2, "the busy one and one for all of them"


async def test_a_commit_takes_no_more_than_its_bound(db: Database, commits: list[int]) -> None:
    with busy_writer(db):
        writes = [db.write(add) for _ in range(2 * writer.BATCH_MAX + 1)]
    await asyncio.gather(*writes)
    assert len(commits) == 4


async def test_each_commit_is_counted_with_its_operations_and_its_time(db: Database) -> None:
    sizes, seconds = tally.commit_writes, tally.commit_seconds
    before = list(sizes.counts), sizes.total, sum(seconds.counts)
    with busy_writer(db):
        writes: list[asyncio.Future[Any]] = [db.write(add), db.write(break_after_writing), db.write(add)]
    await asyncio.gather(*writes, return_exceptions=True)
    grown = [now - then for now, then in zip(sizes.counts, before[0], strict=True)]
    assert grown == [1, 0, 1, *[0] * (len(grown) - 3)], "the busy one, and one of three operations"
    assert (sizes.total - before[1], sum(seconds.counts) - before[2]) == (4, 2)


async def test_writes_run_in_the_order_they_were_handed_in(db: Database) -> None:
    await asyncio.gather(*(db.write(add, n) for n in range(600)))
    assert await db.read(pids) == list(range(600))


async def test_an_operation_sees_what_the_ones_before_it_in_its_batch_wrote(db: Database) -> None:
    with busy_writer(db):
        db.write(add, 5)
        seen = db.write(pids)
    assert await seen == [5]


async def test_a_result_is_reported_only_after_its_commit(db: Database, database_path: Path) -> None:
    await db.write(add, 5)
    assert read_once(database_path, pids) == [5]


async def test_what_is_handed_in_before_the_end_is_written_before_it(database_path: Path) -> None:
    async with SqliteDatabase(database_path) as db:
        with busy_writer(db):
            writes = [db.write(add, n) for n in range(3)]
    assert [write.result() for write in writes] == [0, 1, 2]
    assert read_once(database_path, pids) == [0, 1, 2]


# Failures


async def test_a_failing_operation_leaves_its_neighbours_in_the_batch_alone(
    db: Database, commits: list[int]
) -> None:
    with busy_writer(db):
        before, bad, after = db.write(add, 1), db.write(break_after_writing), db.write(add, 2)
    with pytest.raises(LookupError, match="a mistake of ours"):
        await bad
    assert (await before, await after) == (1, 2)
    assert await db.read(pids) == [1, 2], "the failing one left nothing"
    assert len(commits) == 2


async def test_a_failing_operation_that_is_alone_leaves_nothing(db: Database, commits: list[int]) -> None:
    with pytest.raises(LookupError):
        await db.write(break_after_writing)
    assert await db.write(pids) == []
    assert len(commits) == 1, "that of the look"


async def test_a_refused_row_is_our_mistake_and_no_storage_error(db: Database) -> None:
    def refused(conn: Connection) -> None:
        conn.exec_driver_sql(
            "INSERT INTO instance (pid, started_at, host, revision, lease_until) VALUES (NULL, 1, '', '', 0)"
        )

    with pytest.raises(IntegrityError):
        await db.write(refused)
    assert await db.write(add, 3) == 3


async def test_a_missing_table_or_column_is_our_mistake_and_no_storage_error(db: Database) -> None:
    """Tried again, it would fail for ever."""

    def ask(conn: Connection, sql: str) -> None:
        conn.exec_driver_sql(sql)

    for run in (db.write, db.read):
        for sql, words in (
            ("SELECT 1 FROM nowhere", "no such table"),
            ("SELECT pod FROM instance", "no such col"),
        ):
            with pytest.raises(OperationalError, match=words):
                await run(ask, sql)
    assert await db.write(add, 3) == 3


@pytest.mark.parametrize("side", ["write", "read"])
async def test_a_damaged_file_is_no_storage_error_and_ends_who_watches_for_it(
    database_path: Path, side: str
) -> None:
    damage(database_path, "instance")
    async with SqliteDatabase(database_path) as db:
        watching = asyncio.create_task(db.serve())
        with pytest.raises(DatabaseDamagedError, match=r"malformed.* restore a backup"):
            await getattr(db, side)(pids)
        with pytest.raises(DatabaseDamagedError):
            await asyncio.wait_for(watching, 30)


async def test_a_cancelled_callers_operation_still_runs(db: Database) -> None:
    with busy_writer(db):
        cancelled, after = db.write(add, 1), db.write(add, 2)
        cancelled.cancel()
    await after
    assert cancelled.cancelled()
    assert await db.read(pids) == [1, 2]


def fill(conn: Connection) -> None:
    conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS ballast (bytes BLOB)")
    conn.exec_driver_sql("INSERT INTO ballast VALUES (zeroblob(10000000))")


def limit_pages(conn: Connection, pages: int) -> None:
    conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")


async def test_a_full_disk_is_a_storage_error_and_the_next_write_works_once_there_is_room(
    db: Database, database_path: Path
) -> None:
    await db.write(limit_pages, 40)
    with pytest.raises(StorageError, match="full"):
        await db.write(fill)
    await db.write(limit_pages, 100_000)
    await db.write(fill)
    assert await db.write(add, 4) == 4
    assert read_once(database_path, pids) == [4]


async def test_of_a_batch_on_a_full_disk_each_part_is_written_or_refused_as_reported(
    db: Database,
) -> None:
    """SQLite may take back the whole transaction: nobody in it may believe that he was written."""
    await db.write(limit_pages, 40)
    with busy_writer(db):
        writes: list[Write] = [db.write(add, 1), db.write(fill), db.write(add, 2)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(outcomes[1], StorageError)
    assert "full" in str(outcomes[1]), "the reason is reported, not what it led to"
    assert await db.read(pids) == [pid for pid in outcomes if isinstance(pid, int)]


async def test_a_transaction_that_sqlite_took_back_fails_all_of_its_batch(db: Database) -> None:
    def lose_transaction(conn: Connection) -> None:
        add(conn, 666)
        conn.exec_driver_sql("ROLLBACK")  # as SQLite does by itself after an I/O error

    with busy_writer(db):
        writes: list[Write] = [db.write(add, 1), db.write(lose_transaction), db.write(add, 2)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(error) for error in outcomes] == [StorageError] * 3
    assert await db.write(add, 3) == 3
    assert await db.read(pids) == [3]


async def test_a_commit_that_fails_fails_all_of_its_batch_and_the_next_one_works(db: Database) -> None:
    """SQLite keeps such a transaction open, until it is rolled back."""

    def owe(conn: Connection) -> None:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        conn.exec_driver_sql(
            "INSERT INTO guard (session_key, turn_id, instance_id, since) VALUES ('x', 999, 1, 1)"
        )

    with busy_writer(db):
        writes: list[Write] = [db.write(add, 1), db.write(owe)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert ["FOREIGN KEY" in str(error) for error in outcomes] == [True, True]
    assert await db.write(add, 2) == 2
    assert await db.read(pids) == [2]


def large(conn: Connection) -> None:
    conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS ballast (bytes BLOB)")
    conn.exec_driver_sql("INSERT INTO ballast VALUES (zeroblob(100000))")


async def test_a_log_that_grows_behind_a_reader_is_warned_of_once_each_time_it_doubled(
    db: Database, database_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wal, "LARGE_BYTES", 1_000_000)
    with closing(sqlite3.connect(database_path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM instance").fetchall()
        for _ in range(50):  # 5 MB
            await db.write(large)
        grown = [record.getMessage() for record in caplog.records]
        assert [line.partition(" ")[0] for line in grown] == ["db.log_grows"] * 3, "at 1, 2 and 4 MB"
        assert "bytes=4" in grown[-1]
        assert "end what keeps the database open for reading" in grown[-1]
        reader.execute("ROLLBACK")
    await db.write(large)  # and the log begins anew
    for _ in range(50):
        await db.write(large)
    assert len(caplog.records) == 3


async def test_a_reader_that_stays_as_a_replicator_does_holds_up_no_commit_while_the_log_is_emptied(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "READING_PRAGMAS", ("PRAGMA busy_timeout=3600000",))
    async with SqliteDatabase(database_path) as db:
        await db.write(add, 1)
        with closing(sqlite3.connect(database_path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM instance").fetchall()
            await db.write(add, 2)
            await asyncio.wait_for(db.empty_log(), DEADLINE_SECONDS)
            await db.write(add, 3)
        await db.empty_log()
        patience = await db.read(lambda conn: conn.exec_driver_sql("PRAGMA busy_timeout").scalar())
    assert patience == 3_600_000, "as it was"


@contextmanager
def folder_instead_of(path: Path) -> Iterator[None]:
    """Put the file away, and what cannot be opened in its place."""
    away = path.rename(path.with_name("away.db"))
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        away.rename(path)


async def test_a_database_that_cannot_be_opened_again_is_a_storage_error_without_a_traceback(
    db: SqliteDatabase, database_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db._conn.invalidate()
    with folder_instead_of(database_path):
        for _ in range(2):
            with pytest.raises(StorageError, match="unable to open"):
                await db.write(add, 1)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert await db.write(add, 2) == 2


async def test_a_rollback_that_fails_is_one_line_and_the_next_write_has_a_new_connection(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def close(conn: Connection) -> None:
        opening.driver_of(conn).close()

    with pytest.raises(sqlite3.ProgrammingError):
        await db.write(close)
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info) == (
        "db.rollback_failed reason=Cannot operate on a closed database.",
        None,
    )
    assert await db.write(add, 2) == 2


async def test_a_file_that_was_deleted_takes_no_more_writes(
    db: Database, database_path: Path, tmp_path: Path
) -> None:
    assert await db.write(add, 1) == 1
    await asyncio.to_thread(database_path.rename, tmp_path / "moved")
    with pytest.raises(StorageError, match="was deleted or replaced"):
        await db.write(add, 2)
    await asyncio.to_thread(database_path.touch)
    with pytest.raises(StorageError, match="was deleted or replaced"):
        await db.write(add, 3)
    await asyncio.to_thread((tmp_path / "moved").rename, database_path)
    assert await db.write(add, 4) == 4
    assert await db.write(pids) == [1, 4]


async def test_an_agent_may_go_to_another_folder(
    database_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(database_path.parent)
    async with SqliteDatabase(Path(database_path.name)) as db:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert await db.write(add, 1) == 1
    assert read_once(database_path, pids) == [1]


async def test_a_connection_lost_in_the_middle_of_a_write_is_replaced(db: Database) -> None:
    def lose(conn: Connection) -> None:
        opening.driver_of(conn).close()
        add(conn, 1)

    with pytest.raises(ProgrammingError):
        await db.write(lose)
    assert await db.write(add, 2) == 2


async def test_a_locked_database_is_a_storage_error_never_a_hang(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pragmas = [p.replace("5000", "50") if "busy_timeout" in p else p for p in opening.PRAGMAS]
    assert "PRAGMA busy_timeout=50" in pragmas
    monkeypatch.setattr(opening, "PRAGMAS", pragmas)
    async with SqliteDatabase(database_path) as db:
        with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match="locked"):
                await asyncio.wait_for(db.write(add, 1), 30)
            other.execute("ROLLBACK")
        assert await db.write(add, 2) == 2
        assert await db.read(pids) == [2]


async def test_a_writing_transaction_that_reads_first_holds_the_lock_already(
    db: Database, database_path: Path
) -> None:
    """A deferred one would fail as it writes, if another connection wrote after its read."""

    def read_then_write(conn: Connection) -> str:
        pids(conn)
        with closing(sqlite3.connect(database_path, timeout=0)) as other:
            try:
                other.execute(
                    "INSERT INTO instance (pid, started_at, host, revision, lease_until)"
                    " VALUES (9, 1, '', '', 0)"
                )
            except sqlite3.OperationalError as error:
                add(conn, 1)
                return str(error)
        return "the other one could write"

    assert await db.write(read_then_write) == "database is locked"
    assert await db.read(pids) == [1]


# The read side


async def test_the_read_side_cannot_write(db: Database) -> None:
    with pytest.raises(StorageError, match="readonly"):
        await db.read(add, 1)
    assert await db.read(pids) == []


def test_a_read_of_a_file_that_another_process_writes_cannot_write(database_path: Path) -> None:
    with pytest.raises(StorageError, match="readonly"):
        read_once(database_path, add)


async def test_a_read_whose_caller_was_cancelled_leaves_no_transaction_open(
    db: Database, database_path: Path
) -> None:
    """An open one would keep the write-ahead log from being reused: it would grow for ever."""
    at_work, may_end = threading.Event(), threading.Event()

    def read_long(conn: Connection) -> None:
        pids(conn)
        at_work.set()
        may_end.wait(30)
        pids(conn)

    reading = asyncio.create_task(db.read(read_long))
    await asyncio.to_thread(at_work.wait, 30)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    may_end.set()
    assert await db.read(pids) == [], "the next one comes after it"
    await db.write(add, 1)
    with closing(sqlite3.connect(database_path, timeout=0)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


async def test_one_read_sees_the_same_database_from_its_first_statement_to_its_last(db: Database) -> None:
    written, looked = threading.Event(), threading.Event()

    def look_twice(conn: Connection) -> tuple[list[int], list[int]]:
        first = pids(conn)
        looked.set()
        written.wait(30)
        return first, pids(conn)

    reading = asyncio.create_task(db.read(look_twice))
    await asyncio.to_thread(looked.wait, 30)
    await db.write(add, 1)
    written.set()
    assert await reading == ([], [])
    assert await db.read(pids) == [1]


async def test_a_read_after_the_end_is_refused(database_path: Path) -> None:
    async with SqliteDatabase(database_path) as closed:
        pass
    with pytest.raises(StorageError, match="closed"):
        await closed.read(pids)


async def test_a_read_goes_beside_a_write_that_takes_long(db: Database) -> None:
    await db.write(add, 1)
    with busy_writer(db):
        assert await db.read(pids) == [1]


async def test_the_writer_makes_a_commit_survive_a_power_cut(db: Database) -> None:
    def pragmas(conn: Connection) -> list[object]:
        names = ("journal_mode", "foreign_keys", "busy_timeout")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await db.write(pragmas) == ["wal", 1, 5000]
    assert "PRAGMA synchronous=FULL" in opening.PRAGMAS


# The end


async def test_a_write_after_the_end_is_refused(database_path: Path) -> None:
    async with SqliteDatabase(database_path) as closed:
        pass
    with pytest.raises(StorageError, match="closed"):
        await closed.write(add, 1)


async def test_a_close_waits_for_no_thread_of_the_loop(database_path: Path) -> None:
    """Agents may sit in all of them."""
    may_go = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        sitting = asyncio.get_running_loop().run_in_executor(None, may_go.wait)
        try:
            async with asyncio.timeout(30), SqliteDatabase(database_path) as closing:
                written = closing.write(add, 1)
            assert written.result() == 1, "what was handed in before is committed"
        finally:
            may_go.set()
        await sitting
