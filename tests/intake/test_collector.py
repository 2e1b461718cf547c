"""Updates that come one by one and in parallel are stored in the order of their ids, several at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.house import raw_message
from tests.waiting import eventually
from tgbot.intake import collector
from tgbot.intake.collector import Collector
from tgbot.model import Raw
from tgbot.store.engine.errors import StorageError
from tgbot.telegram.get_updates import Unparsed

FOR_EVER = 1e6


class Stored:
    """The batches that were stored; those that come while `gate` is not set wait for it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.collector = Collector(self._accept)

    async def _accept(self, batch: Sequence[Raw | Unparsed]) -> None:
        self.batches.append([item["update_id"] for item in batch if isinstance(item, dict)])
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)

    def take(self, *update_ids: int) -> list[asyncio.Task[None]]:
        return [
            asyncio.create_task(self.collector.take(raw_message(update_id, "hello")))
            for update_id in update_ids
        ]


@pytest.fixture
async def stored(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stored]:
    """One that knows which id is next: 2."""
    monkeypatch.setattr(collector, "GAP_SECONDS", 0.0)
    built = Stored()
    serving = asyncio.create_task(built.collector.serve())
    await asyncio.gather(*built.take(1))
    built.batches.clear()
    monkeypatch.setattr(collector, "GAP_SECONDS", FOR_EVER)
    yield built
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_what_overtook_another_waits_for_it(stored: Stored) -> None:
    late = stored.take(4, 3)
    await asyncio.sleep(0.01)
    assert stored.batches == []
    await asyncio.gather(*late, *stored.take(2))
    assert stored.batches == [[2, 3, 4]]


async def test_what_comes_while_a_batch_is_stored_is_the_next_one_in_order(stored: Stored) -> None:
    stored.gate.clear()
    first = stored.take(2)
    await eventually(lambda: stored.batches == [[2]], "it is being stored")
    rest = stored.take(5, 3, 4)
    await asyncio.sleep(0.01)
    stored.gate.set()
    await asyncio.gather(*first, *rest)
    assert stored.batches == [[2], [3, 4, 5]]


async def test_only_what_is_behind_a_gap_waits_for_it(stored: Stored) -> None:
    ahead, behind = stored.take(2), stored.take(4)
    await asyncio.gather(*ahead)
    assert stored.batches == [[2]]
    await asyncio.gather(*stored.take(3), *behind)
    assert stored.batches == [[2], [3, 4]]


async def test_a_gap_that_does_not_close_is_waited_for_a_moment_only(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "GAP_SECONDS", 0.02)
    await asyncio.gather(*stored.take(4))
    await asyncio.gather(*stored.take(5))
    monkeypatch.setattr(collector, "GAP_SECONDS", FOR_EVER)
    await asyncio.gather(*stored.take(3))  # too late, and stored at once
    assert stored.batches == [[4], [5], [3]]


async def test_numbers_that_begin_anew_are_taken_at_once(stored: Stored) -> None:
    await asyncio.gather(*stored.take(2))
    await asyncio.gather(*stored.take(1))
    await asyncio.gather(*stored.take(2))
    assert stored.batches == [[2], [1], [2]]


async def test_each_of_a_batch_that_was_not_stored_hears_of_it_and_it_is_taken_when_it_comes_again(
    stored: Stored,
) -> None:
    stored.gate.clear()
    stored.failures = [StorageError("the disk is full")] * 2
    first = stored.take(2)
    await eventually(lambda: stored.batches == [[2]], "it is being stored")
    rest = stored.take(3, 2)
    await asyncio.sleep(0.01)
    stored.gate.set()
    outcomes = await asyncio.gather(*first, *rest, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["the disk is full"] * 3
    await asyncio.gather(*stored.take(2))
    assert stored.batches == [[2], [2, 3], [2]]


async def test_whoever_gave_up_waiting_delays_nobody(stored: Stored) -> None:
    [waiting] = stored.take(3)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.gather(*stored.take(2))
    assert stored.batches == [[2]]
