"""Reports to systemd that the bot serves, again and again that it is alive, and that it stops."""

import asyncio
import time

from tgbot.model import InstanceId
from tgbot.store import instances
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.tally import Tally, tally
from tgbot.watch import health
from tgbot.watch.notify import Notifier, extend

LOOK_SECONDS = 0.05  # between two looks whether the poller has tried
LOOKS_MAX = 200  # ten seconds: a Telegram that does not answer must not make a start fail
REPORTS = 3  # in the time after which systemd would end the process
STATUS_SECONDS = 10.0  # between two reports where systemd does not watch
POLL_SECONDS_MAX = 180.0  # the longest try: a flood's 60 s, or a long poll and its batch


class Watchdog:
    """A service: it reports while the loop turns, the poller tries and the writer answers.

    That Telegram or the database refuses is an answer: a new process could do nothing about it.
    """

    def __init__(
        self, notifier: Notifier, db: Database, instance_id: InstanceId, counted: Tally = tally
    ) -> None:
        self._notifier = notifier
        self._db = db
        self._instance_id = instance_id
        self._tally = counted
        self._stopping = False

    async def serve(self) -> None:
        """Report until cancelled."""
        await self._tried()
        self._notifier.send("READY=1")
        pause_seconds = self._notifier.watchdog_seconds / REPORTS or STATUS_SECONDS
        while True:
            await self._report()
            await asyncio.sleep(pause_seconds)

    def stopping(self, seconds: float) -> None:
        """Report that the process ends, which may take so long; from now on nothing polls."""
        self._stopping = True
        self._notifier.send("STOPPING=1", extend(seconds), "STATUS=stopping")

    async def _tried(self) -> None:
        """Wait until Telegram was asked once: a token that it refuses ends the process before that."""
        for _ in range(LOOKS_MAX):
            if self._tally.poll_tried_at is not None:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _report(self) -> None:
        # A writer that hangs keeps this from going on, and the report from being sent.
        error, poller = await self._asked()
        if not self._polls():
            return
        why = health.why_not_ready(self._tally.polled_at, time.monotonic(), error)
        said = health.line(why, self._instance_id, poller)
        self._notifier.send("WATCHDOG=1", *(() if self._stopping else (f"STATUS={said}",)))

    async def _asked(self) -> tuple[str | None, InstanceId | None]:
        """Ask the writer who polls: its error, and the answer."""
        try:
            return None, await self._db.write(instances.poller)
        except StorageError as failure:
            return str(failure), None

    def _polls(self) -> bool:
        """Whether the poller has tried lately, or is not there to try."""
        tried_at = self._tally.poll_tried_at
        return self._stopping or tried_at is None or time.monotonic() - tried_at < POLL_SECONDS_MAX
