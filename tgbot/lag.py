"""Measures how late the bot's own event loop is, and warns where something holds it up."""

import asyncio
import logging
import math
import time

from tgbot.tally import Tally, tally

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks
LATE_SECONDS = 0.5  # from here on people notice
QUIET_SECONDS = 60.0  # the least between two warnings


class Lag:
    """A service: one timer a second, whether or not anybody watches."""

    def __init__(self, counted: Tally = tally) -> None:
        self._tally = counted
        self._warned_at = -math.inf

    async def serve(self) -> None:
        """Measure until cancelled."""
        while True:
            due_at = time.monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self._note(time.monotonic(), due_at)

    def _note(self, now: float, due_at: float) -> None:
        late_seconds = max(0.0, now - due_at)
        self._tally.loop_lag_seconds = late_seconds
        self._tally.loop_lags.add(late_seconds)
        if late_seconds > LATE_SECONDS and now - self._warned_at >= QUIET_SECONDS:
            self._warned_at = now
            log.warning("loop.late seconds=%.1f: something held up the whole bot", late_seconds)
