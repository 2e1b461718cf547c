"""Rows that wait for their time, through the real dispatcher: an album is one turn when it is quiet."""

import asyncio
from typing import Any

import pytest

from tests.house import House
from tests.waiting import eventually_async
from tgbot.store import joins
from tgbot.turns import dispatcher

ALBUM: dict[str, Any] = {"media_group_id": "g"}


@pytest.fixture
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "QUIET_SECONDS", 50.0)


async def time_passes(house: House) -> None:
    await house.rows("UPDATE pending SET not_before = 0 WHERE not_before IS NOT NULL")
    house.dispatcher.wake()


async def test_an_album_is_one_turn_even_when_its_parts_arrive_slowly(
    house: House, never_quiet: None
) -> None:
    for part in ("1", "2", "3"):
        await house.say(part, **ALBUM)
    assert house.agent.begun == []
    await time_passes(house)
    await house.agent.has_begun("1")
    await house.say("too late", **ALBUM)
    house.agent.let("1")
    await eventually_async(lambda: _done(house, 1), "the album's turn ends")
    await time_passes(house)
    house.agent.let("too late")
    await house.idle()
    heard = [[message["text"] for message in turn.messages] for turn in house.agent.begun]
    assert heard == [["1", "2", "3"], ["too late"]]
    assert await house.states() == ["done", "joined", "joined", "done"]


async def _done(house: House, count: int) -> bool:
    return (await house.states()).count("done") == count


async def test_a_row_runs_when_its_time_comes_not_at_the_next_poll(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 1e6)
    monkeypatch.setattr(joins, "QUIET_SECONDS", 0.05)
    house.agent.auto = True
    await house.say("1", "2", **ALBUM)
    await house.idle()
    assert await house.answers() == ["re: 1"]


async def test_nothing_is_asked_more_often_while_rows_wait(
    house: House, never_quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is due in 50 s, or that is due and has to wait for another, makes no busy loop."""
    await house.say("running")
    await house.agent.has_begun("running")
    await house.say("1", **ALBUM)
    await asyncio.sleep(0)
    looks = 0
    real = dispatcher.Dispatcher._reconcile

    async def counted(self: dispatcher.Dispatcher) -> None:
        nonlocal looks
        looks += 1
        await real(self)

    monkeypatch.setattr(dispatcher.Dispatcher, "_reconcile", counted)
    await time_passes(house)
    for _ in range(50):
        await asyncio.sleep(0.005)
    assert looks <= 2


async def test_an_album_delays_no_other_chat(house: House, never_quiet: None) -> None:
    await house.say("1", "2", **ALBUM)
    await house.say("hello", chat=8)
    await house.agent.has_begun("hello")


async def test_a_stop_holds_an_album_that_waits(house: House, never_quiet: None) -> None:
    await house.say("1", **ALBUM)
    await house.say("2", **ALBUM)
    await house.say("/stop")
    await house.idle()
    assert house.agent.begun == []
    assert await house.states() == ["held", "joined"]


async def test_a_drain_does_not_wait_for_what_an_album_lacks(house: House, never_quiet: None) -> None:
    """Its other parts can only come to the next process, so it is left for them."""
    await house.say("1", "2", **ALBUM)
    async with asyncio.timeout(30):
        await house.dispatcher.drain(1e6)
    assert house.agent.begun == []
    assert await house.states() == ["queued", "joined"]
