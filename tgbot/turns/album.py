"""Waits, in an album's turn, until all of the album is there."""

import asyncio
import logging

from tgbot.model import AlbumTurn
from tgbot.store import albums
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database

log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0  # without a further part; Telegram delivers an album within less, as a rule
RETRY_SECONDS = 1.0  # after the database refused


async def gather(db: Database, claimed: AlbumTurn, interrupt: asyncio.Future[bool]) -> AlbumTurn:
    """Close the album when it is quiet, and give the turn with all its messages.

    The interrupt ends the wait at once: the album stays open, and the turn as it is. Raises LostGuardError.
    """
    while not interrupt.done():
        try:
            closed = await db.write(albums.close, claimed, QUIET_SECONDS)
        except StorageError as error:
            log.warning("album.storage_error turn=%s reason=%s", claimed.token, error)
            closed = RETRY_SECONDS
        if isinstance(closed, AlbumTurn):
            return closed
        await asyncio.wait((interrupt,), timeout=closed)
    return claimed
