"""The loop's lag is measured, and said in the log."""

import asyncio
import functools
import time

import pytest

from tests.waiting import eventually
from tgbot import lag
from tgbot.tally import Tally


async def test_a_loop_that_is_held_up_is_measured_and_warned_of_with_the_number_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lag, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(lag, "LATE_SECONDS", 0.1)
    counted = Tally()
    serving = asyncio.create_task(lag.Lag(counted).serve())
    try:
        for times in (1, 2):
            await eventually(lambda: sum(counted.loop_lags.counts) > 0, "it looks")
            time.sleep(0.25)  # noqa: ASYNC251 - this is what it has to notice
            await eventually(functools.partial(held_up, counted, times), "it is noticed")
    finally:
        serving.cancel()
    assert counted.loop_lags.total >= 0.4
    [line] = [record.getMessage() for record in caplog.records if "loop.late" in record.getMessage()]
    assert line.startswith("loop.late seconds=0.")


def held_up(counted: Tally, times: int) -> bool:
    """Whether it was as late so often as the test made it."""
    bounds = counted.loop_lags.bounds
    return sum(counted.loop_lags.counts[bounds.index(0.25) :]) >= times
