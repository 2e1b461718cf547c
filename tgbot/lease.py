"""Keeps the lease by which this process may work on a database that others work on, too."""

import asyncio
import logging
import time
from collections.abc import Callable

from tgbot.model import InstanceId
from tgbot.store import workers
from tgbot.store.engine.errors import LeaseLostError, StorageError
from tgbot.store.engine.revisions import REVISION
from tgbot.store.engine.writer import Database
from tgbot.store.workers import Renewed

log = logging.getLogger(__name__)

# Before its end, as this process's clock has it: turns are wound up by then, and others may begin them anew.
MARGIN_SECONDS = 8.0
OVER = "the lease on the database could not be renewed in time: others go on with what this process did"


class Lease:
    """Renews the lease of an instance. Where only one process may own the database it is for ever.

    `heard` gets what each renewal learned of the others; `revision` is the database's, at the last one.
    """

    heard: Callable[[Renewed], None]

    def __init__(self, db: Database, instance_id: InstanceId) -> None:
        self.heard = lambda _: None
        self.revision = REVISION
        self._db = db
        self._instance_id = instance_id
        self._renewed_at = _clocks()
        db.fence_by(workers.condition(instance_id))  # from the first write on

    async def serve(self) -> None:
        """Renew it again and again. Raises LeaseLostError before others may take over."""
        if not self._db.shared:
            return
        while True:
            await self._renew()
            await asyncio.sleep(min(workers.RENEW_SECONDS, max(0.0, self._left_seconds)))

    async def _renew(self) -> None:
        asked_at = _clocks()
        try:
            async with asyncio.timeout(max(0.0, self._left_seconds)):
                renewed = await self._db.write(workers.renew, self._instance_id)
        except LeaseLostError:
            raise
        except StorageError as error:
            log.warning("lease.not_renewed left_seconds=%.0f reason=%s", self._left_seconds, error)
            await asyncio.sleep(1.0)
        except TimeoutError:
            raise LeaseLostError(OVER) from None
        else:
            self._renewed_at = asked_at
            if renewed is None:  # it ended between the look of this transaction at it and here
                raise LeaseLostError(OVER)
            self.revision = renewed.revision
            self.heard(renewed)
        if self._left_seconds <= 0:
            raise LeaseLostError(OVER)

    def is_over(self) -> bool:
        """Say whether others may have taken over by now, as while this process was paused."""
        return self._db.shared and self._left_seconds + MARGIN_SECONDS <= 0

    async def has(self, role: str) -> bool:
        """Become, or stay, the one that does something for all workers. Raises StorageError."""
        return not self._db.shared or await self._db.write(workers.take_role, self._instance_id, role)

    async def end(self) -> None:
        """Let others go on at once. Raises StorageError."""
        if self._db.shared:
            await self._db.write(workers.end, self._instance_id)

    @property
    def _left_seconds(self) -> float:
        """Until when the work of this process has to be wound up."""
        passed = max(now - then for now, then in zip(_clocks(), self._renewed_at, strict=True))
        return workers.LEASE_SECONDS - MARGIN_SECONDS - passed


def _clocks() -> tuple[float, float]:
    # One stands still while a virtual machine is frozen, the other one can be set.
    return time.monotonic(), time.time()
