"""The lanes of chats: none sleeps over what it was woken for, and none works for nothing."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import pytest

from tests.house import BOT, arrival, raw_message
from tests.waiting import eventually
from tests.whole_bot.process import TOKEN, Person
from tgbot.access import Access
from tgbot.botapi import BotApi
from tgbot.db import Connection, Database
from tgbot.delivery import Delivery
from tgbot.model import ChatId, Owner
from tgbot.pace import Pace
from tgbot.playground.server import PlaygroundServer
from tgbot.reception import Rules, receive
from tgbot.store import turns

CHAT = ChatId(7)


@pytest.fixture
async def delivery(db: Database, wire: PlaygroundServer) -> AsyncIterator[Delivery]:
    """No scan comes to the rescue of what a wake should have done."""
    async with BotApi(TOKEN, wire.url) as api:
        made = Delivery(db, api, BOT, pace=Pace(0, 0, 0), send_within_seconds=60)
        yield made
        await made.flush(0)


async def test_a_wake_in_the_moment_that_a_lane_ends_is_not_lost(
    delivery: Delivery, db: Database, wire: PlaygroundServer
) -> None:
    """The lane's last look and the write that it can not see any more are of one commit."""
    ann = Person(wire)
    ann.says("/help")
    owner = Owner(BOT, await db.write(turns.begin_instance, os.getpid()), max_turns=1)
    db.write(_hold_up)
    delivery.wake(CHAT)
    await asyncio.sleep(0)  # the lane hands in its look, which finds nothing
    await db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(1, "/help"))])
    delivery.wake(CHAT)
    await eventually(lambda: any("agent" in said for said in ann.sees), "the reply")


def _hold_up(_: Connection) -> None:
    time.sleep(0.2)  # what is handed in meanwhile shares the next commit
