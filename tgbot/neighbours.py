"""Passes on what other workers hint at: that a row may be claimed, or a chat has something unsent."""

import asyncio

from tgbot.delivery.delivery import Delivery
from tgbot.model import ChatId, InstanceId
from tgbot.store.engine.writer import Database
from tgbot.turns.dispatcher import Dispatcher

EVERYONE = InstanceId(0)


class Neighbours:
    """Hears hints as `kind:instance` or `kind:instance:chat`. Each may be lost: all is also found without."""

    def __init__(self, db: Database, dispatcher: Dispatcher, delivery: Delivery) -> None:
        self._db = db
        self._dispatcher = dispatcher
        self._delivery = delivery

    async def serve(self) -> None:
        """Hear them until cancelled."""
        async for hint in self._db.hints():
            kind, instance_id, *chat_id = hint.split(":")
            if int(instance_id) not in {EVERYONE, self._dispatcher.owner.instance_id}:
                continue
            if kind == "turns":
                self._dispatcher.wake()
            elif chat_id:
                self._delivery.wake(ChatId(int(chat_id[0])))
            await asyncio.sleep(0)  # many at once become one look
