"""What systemd hears: datagrams, while the loop turns, the poller tries and the writer answers."""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.systemd import ALIVE, Systemd
from tests.waiting import DEADLINE_SECONDS, eventually
from tgbot.model import InstanceId
from tgbot.store import recovery
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.writer import Database
from tgbot.tally import Tally
from tgbot.watch import notify
from tgbot.watch.notify import Notifier
from tgbot.watch.watchdog import POLL_SECONDS_MAX, Watchdog

OFTEN_SECONDS = 0.03


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(str(tmp_path / "notify"))
    yield listening
    listening.close()


def polled(seconds_ago: float = 0.0) -> Tally:
    at = time.monotonic() - seconds_ago
    return Tally(poll_tried_at=at, polled_at=at)


def watchdog(systemd: Systemd, db: Database, counted: Tally) -> Watchdog:
    return Watchdog(Notifier(systemd.address, OFTEN_SECONDS), db, InstanceId(1), counted)


@pytest.fixture
async def other(tmp_path: Path, db: Database) -> AsyncIterator[Systemd]:
    """Hears a healthy process, whose reports measure the time."""
    listening = Systemd(str(tmp_path / "other"))
    serving = asyncio.create_task(watchdog(listening, db, polled()).serve())
    yield listening
    serving.cancel()
    listening.close()


@pytest.fixture
def second_file(tmp_path: Path, migrated_file: Path) -> Path:
    return Path(shutil.copy(migrated_file, tmp_path / "second.db"))


def test_an_abstract_socket_is_one_whose_name_begins_with_an_at_sign() -> None:
    abstract = Systemd(f"@tgbot-{time.monotonic_ns()}")
    Notifier(abstract.address).send("READY=1", "STATUS=two\nlines")
    assert abstract.count("READY=1") == 1
    assert abstract.heard == ["READY=1", "STATUS=two lines"], "a line break would begin another assignment"
    abstract.close()


def test_nobody_is_told_where_no_socket_is_named_or_nobody_listens(tmp_path: Path) -> None:
    notify.of_environment({}).send("READY=1")
    notify.of_environment({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send("READY=1")
    assert list(tmp_path.iterdir()) == []


def test_how_often_it_reports_is_what_systemd_asks_for() -> None:
    assert notify.of_environment({"WATCHDOG_USEC": "90000000"}).watchdog_seconds == 90
    assert notify.of_environment({"WATCHDOG_USEC": ""}).watchdog_seconds == 0


async def test_it_is_ready_when_telegram_was_asked_and_alive_again_and_again(
    systemd: Systemd, other: Systemd, db: Database
) -> None:
    counted = Tally()
    serving = asyncio.create_task(watchdog(systemd, db, counted).serve())
    await other.hears(ALIVE, 3)
    assert systemd.count("READY=1") == 0
    counted.poll_tried_at = time.monotonic()
    await systemd.hears(ALIVE, 5)
    assert systemd.count("READY=1") == 1
    assert "STATUS=not ready: Telegram has not answered yet" in systemd.heard
    counted.polled_at = time.monotonic()
    await systemd.hears("STATUS=ready")
    serving.cancel()


async def test_a_telegram_that_refuses_for_hours_ends_nothing(systemd: Systemd, db: Database) -> None:
    counted = polled(9999)
    counted.poll_tried_at = time.monotonic()
    serving = asyncio.create_task(watchdog(systemd, db, counted).serve())
    await systemd.hears(ALIVE, 5)
    assert "STATUS=not ready: no updates could come from Telegram for 9999 s" in systemd.heard
    serving.cancel()


async def test_who_stands_by_says_which_worker_polls(systemd: Systemd, db: Database) -> None:
    def another_polls(conn: Connection) -> None:
        for _ in range(2):
            recovery.begin_instance(conn, 1)
        conn.execute(text("INSERT INTO role VALUES ('poller', 2)"))

    serving = asyncio.create_task(watchdog(systemd, db, polled()).serve())
    await systemd.hears("STATUS=ready")
    await db.write(another_polls)
    await systemd.hears("STATUS=ready, and stands by: worker 2 polls")
    serving.cancel()


async def test_a_poller_that_hangs_is_not_reported_alive(
    systemd: Systemd, other: Systemd, db: Database
) -> None:
    serving = asyncio.create_task(watchdog(systemd, db, polled(POLL_SECONDS_MAX + 1)).serve())
    await systemd.hears("READY=1")
    await other.hears(ALIVE, 10)
    assert systemd.count(ALIVE) == 0
    serving.cancel()


async def test_a_writer_that_hangs_is_not_reported_alive_until_it_answers(
    systemd: Systemd, other: Systemd, second_file: Path
) -> None:
    gate = threading.Event()

    def hang(_: Connection) -> None:
        gate.wait(DEADLINE_SECONDS)

    async with SqliteDatabase(second_file) as hanging:
        stuck = hanging.write(hang)
        serving = asyncio.create_task(watchdog(systemd, hanging, polled()).serve())
        await systemd.hears("READY=1")
        await other.hears(ALIVE, 10)
        assert systemd.count(ALIVE) == 0
        gate.set()
        await stuck
        await systemd.hears(ALIVE)
        serving.cancel()


async def test_a_loop_that_is_blocked_is_not_reported_alive(
    systemd: Systemd, other: Systemd, second_file: Path
) -> None:
    blocked, gate = threading.Event(), threading.Event()

    async def live_and_block() -> None:
        async with SqliteDatabase(second_file) as database:
            serving = asyncio.create_task(watchdog(systemd, database, polled()).serve())
            await systemd.hears(ALIVE, 2)
            blocked.set()
            gate.wait(DEADLINE_SECONDS)
            serving.cancel()

    thread = threading.Thread(target=asyncio.run, args=[live_and_block()])
    thread.start()
    await eventually(blocked.is_set, "it blocks its loop")
    before = systemd.count(ALIVE)
    await other.hears(ALIVE, 10)
    assert systemd.count(ALIVE) == before
    gate.set()
    await asyncio.to_thread(thread.join)


async def test_a_process_that_stops_says_so_asks_for_its_time_and_stays_alive(
    systemd: Systemd, db: Database
) -> None:
    ending = watchdog(systemd, db, polled(POLL_SECONDS_MAX + 1))
    serving = asyncio.create_task(ending.serve())
    await systemd.hears("READY=1")
    ending.stopping(45)
    await systemd.hears(ALIVE, 3)
    assert {"STOPPING=1", "EXTEND_TIMEOUT_USEC=45000000", "STATUS=stopping"} < set(systemd.heard)
    assert "STATUS=ready" not in systemd.heard
    serving.cancel()
