"""Draws the cards of the queue anew, a moment after something changed: not for what waits only briefly."""

import asyncio
import logging
from collections.abc import Callable

from tgbot.model import ChatId, SessionKey
from tgbot.store import card
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database

log = logging.getLogger(__name__)

PACE_SECONDS = 2.0  # from a change to the card that shows it, with all that changed meanwhile


class Cards:
    """Hints which sessions changed; `wake` is called with the chats in which a card is to be sent."""

    def __init__(self, db: Database, wake: Callable[[ChatId], None]) -> None:
        self._db = db
        self._wake = wake
        self._due: dict[SessionKey, float] = {}  # in the order of their times, because all wait equally long
        self._shown: set[SessionKey] = set()
        self._unknown = True  # in which sessions something waits
        self._news = asyncio.Event()

    def waits(self, session_key: SessionKey) -> None:
        """Hint that something waits in a session, or is on hold, or does not any more."""
        self._due.setdefault(session_key, asyncio.get_running_loop().time() + PACE_SECONDS)
        self._news.set()

    def moved_on(self, session_key: SessionKey) -> None:
        """Hint that a turn began or ended: that changes a card, if there is one."""
        if session_key in self._shown:
            self.waits(session_key)

    def moved(self) -> None:
        """Hint that a chat moved, so that its sessions have other keys."""
        self._unknown = True
        self._news.set()

    async def serve(self) -> None:
        """Draw each card when it is due; at the start those of all sessions in which something waits."""
        while True:
            self._news.clear()
            if self._unknown:
                await self._find()
            elif self._due:
                await asyncio.sleep(min(self._due.values()) - asyncio.get_running_loop().time())
                await self._draw(next(iter(self._due)))
            else:
                await self._news.wait()

    async def _find(self) -> None:
        self._unknown = False
        try:
            for session_key in await self._db.read(card.sessions):
                self.waits(session_key)
        except StorageError as error:
            log.warning("delivery.storage_error sessions=all reason=%s", error)
            self._unknown = True
            await asyncio.sleep(PACE_SECONDS)

    async def _draw(self, session_key: SessionKey) -> None:
        del self._due[session_key]
        try:
            chat_id = await self._db.write(card.refresh, session_key)
            shown = await self._db.read(card.is_shown, session_key)
        except StorageError as error:
            log.warning("delivery.storage_error session=%s reason=%s", session_key, error)
            self.waits(session_key)
            return
        (self._shown.add if shown else self._shown.discard)(session_key)
        if chat_id is not None:
            self._wake(chat_id)
