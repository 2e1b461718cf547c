"""Calls from other threads into one event loop."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Calls:
    """Runs in its loop what any thread puts in, in order. Many that come together wake the loop once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], object]] = deque()
        self._woken = False

    def put(self, call: Callable[[], object]) -> None:
        """Run this in the loop, soon; never, if the loop is closed by then."""
        # First in, then the look at the flag: whoever lowers it in between takes this call along.
        self._waiting.append(call)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        self._woken = False
        for _ in range(len(self._waiting)):
            try:
                self._waiting.popleft()()
            except Exception:
                log.exception("calls.failed")
        if self._waiting and not self._woken:
            self._woken = True
            self._loop.call_soon(self._run)
