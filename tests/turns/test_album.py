"""The quiet window of an album, through real tasks: who waits in it, and what ends it."""

import asyncio
from collections.abc import Callable

import pytest

from tests.house import House, raw_message
from tests.scripted import ScriptedAgent
from tests.waiting import eventually
from tgbot.model import AlbumTurn
from tgbot.store import albums
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.turns import album, dispatcher

GrowQuiet = Callable[[], None]


@pytest.fixture
def grow_quiet(monkeypatch: pytest.MonkeyPatch) -> GrowQuiet:
    """Keep albums open until the test says that it is quiet."""
    real, quiet = albums.close, asyncio.Event()

    def close(conn: Connection, claimed: AlbumTurn, _: float) -> AlbumTurn | float:
        return real(conn, claimed, 0) if quiet.is_set() else 0.001

    monkeypatch.setattr(albums, "close", close)
    return quiet.set


@pytest.fixture
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(album, "QUIET_SECONDS", 1e6)


async def test_an_album_is_one_turn_even_when_its_parts_arrive_slowly(
    house: House, grow_quiet: GrowQuiet
) -> None:
    for part in ("1", "2", "3"):
        await house.say(part, media_group_id="g")
        await asyncio.sleep(0.01)  # for the turn to look again
    assert house.agent.begun == []
    grow_quiet()
    await house.agent.has_begun("1")
    await house.say("too late", media_group_id="g")
    house.agent.let("1")
    house.agent.let("too late")
    await house.idle()
    heard = [[message["text"] for message in turn.messages] for turn in house.agent.begun]
    assert heard == [["1", "2", "3"], ["too late"]]
    assert await house.states() == ["done", "joined", "joined", "done"]


async def test_an_album_delays_no_other_chat(house: House, never_quiet: None) -> None:
    await house.say("1", "2", media_group_id="g")
    await house.say("hello", chat=8)
    await house.agent.has_begun("hello")


async def test_a_stop_in_the_quiet_window_ends_it_at_once_and_the_agent_never_starts(
    house: House, never_quiet: None
) -> None:
    await house.say("1", media_group_id="g")
    await house.say("2", media_group_id="g")
    await house.say("/stop")
    await house.idle()
    assert house.agent.begun == []
    assert await house.states() == ["stopped", "joined"]
    assert await house.answers() == ["⏹ Stopped.", "Stopped."]


async def test_a_drain_does_not_wait_for_what_an_album_lacks(house: House, never_quiet: None) -> None:
    """Its other parts can only come to the next life, so it is left open for them."""
    await house.say("1", "2", media_group_id="g")
    await eventually(lambda: len(house.dispatcher._gathering) == 1, "the turn is in its quiet window")
    async with asyncio.timeout(30):
        await house.dispatcher.drain(1e6)
    assert house.agent.begun == []
    assert await house.states() == ["queued", "joined"]
    assert await house.rows("SELECT album_closed_at FROM pending WHERE state = 'queued'") == [(None,)]
    assert await house.guards() == []


async def test_a_stale_owner_of_an_album_never_starts_its_agent(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    received = await house.accept_without_spawning(raw_message(1, "1", media_group_id="g"))
    await house.rows("DELETE FROM guard")
    house.dispatcher.spawn(received.claimed)
    await eventually(lambda: "turn.lost_guard" in caplog.text, "the window's end finds no guard")
    await eventually(lambda: house.dispatcher.running == 0, "its task ends")
    assert house.agent.begun == []
    assert "turn.crashed" not in caplog.text


async def test_an_album_whose_task_is_cancelled_at_any_await_runs_again_whole(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(album, "QUIET_SECONDS", 0)
    for n in range(12):
        agent = ScriptedAgent()
        agent.auto = True
        async with House(db, agent, attempts_max=99) as house:
            await house.say("1", "2", chat=100 + n, media_group_id="g")
            [task] = house.dispatcher._tasks
            for _ in range(n):
                await asyncio.sleep(0)
            task.cancel()
            await house.idle()
            assert await house.answers(100 + n) == ["re: 1"]
            assert {len(turn.messages) for turn in agent.begun} == {2}
            assert house.dispatcher._gathering == set()


def refuse_to_close(house: House, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the database refuse that, and nothing else."""
    real, refusals = house.db.write, iter(range(times))

    def write(operation: object, *args: object) -> object:
        if operation is albums.close and next(refusals, None) is not None:
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(StorageError("disk full"))
            return failed
        return real(operation, *args)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(house.db, "write", write)


async def test_an_album_outlasts_a_database_that_refuses(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(album, "QUIET_SECONDS", 0)
    refuse_to_close(house, monkeypatch, times=3)
    house.agent.auto = True
    await house.say("1", "2", media_group_id="g")
    await house.idle()
    assert await house.answers() == ["re: 1"]


async def test_a_stop_ends_the_window_also_while_the_database_refuses(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(album, "RETRY_SECONDS", 1e6)
    refuse_to_close(house, monkeypatch, times=1)
    await house.say("1", media_group_id="g")
    await eventually(lambda: "album.storage_error" in caplog.text, "the database has refused")
    await house.say("/stop")
    await house.idle()
    assert (house.agent.begun, await house.states()) == ([], ["stopped"])
