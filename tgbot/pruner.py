"""Prunes in the background, slowly: whatever the bot does goes first."""

import asyncio
import logging
import time

from tgbot.model import RowId
from tgbot.store import audit, pruning, workers
from tgbot.store.engine.errors import DatabaseDamagedError, StorageError
from tgbot.store.engine.writer import Database
from tgbot.store.inbox import REDELIVERED_SECONDS

log = logging.getLogger(__name__)

PASS_SECONDS = 3600.0  # from the end of a pass through all old rows to the next one
PAUSE_SECONDS = 0.1  # between two writes of a pass
DAY_SECONDS = 86_400.0


class Pruner:
    """Deletes what ended more than `keep_days` ago; 0 keeps all. A change counts from the next pass.

    An update that Telegram could send again stays known, however few the days are.
    """

    def __init__(self, db: Database, keep_days: int) -> None:
        self._db = db
        self.keep_days = keep_days

    async def serve(self) -> None:
        """Prune now and again and again, until cancelled. A database that refuses is tried later."""
        while True:
            try:
                if self.keep_days:
                    await self._prune(time.time() - self._keep_seconds)
            except (StorageError, DatabaseDamagedError) as error:
                log.warning("prune.failed reason=%s", error)
            except Exception:
                log.exception("prune.failed")  # nobody needs the room so soon that the bot had to end
            await asyncio.sleep(PASS_SECONDS)

    @property
    def _keep_seconds(self) -> float:
        return max(self.keep_days * DAY_SECONDS, REDELIVERED_SECONDS)

    async def _prune(self, before: float) -> None:
        """Go through all old rows once. Raises StorageError."""
        deleted, last = await self._db.write(audit.prune, before), RowId(0)
        while (old := await self._db.read(pruning.find, before, last)).last is not None:
            last = old.last
            if old.row_ids:
                deleted += await self._db.write(pruning.prune, before, old.row_ids)
                await asyncio.sleep(PAUSE_SECONDS)
        deleted += await self._db.write(workers.prune, before)
        if deleted:
            await self._db.empty_log()
            log.info("prune.done rows=%s", deleted)
