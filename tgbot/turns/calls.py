"""Passes calls from other threads to one event loop."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Calls:
    """Runs calls from any thread in its loop, in order. Many that come together wake the loop once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], object]] = deque()
        self._woken = False

    def put(self, call: Callable[[], object]) -> None:
        """Run a call in the loop soon, or never if the loop is closed by then."""
        # Append first, then read the flag: if `_run` clears it in between, it also runs this call.
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
