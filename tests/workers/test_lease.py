"""A lease that is over stays over, however its process hears of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tgbot.lease import Lease
from tgbot.model import BotId
from tgbot.store import modes, recovery, workers
from tgbot.store.engine.errors import LeaseLostError
from tgbot.store.engine.place import place_of
from tgbot.store.engine.writer import Database


@pytest.fixture
async def shared_db(url: str) -> AsyncIterator[Database]:
    place = place_of(url)
    place.upgrade()
    async with place.database() as db:
        yield db


async def over(db: Database) -> Lease:
    """Give a lease that the database has ended, which its process does not know."""
    instance_id = await db.write(recovery.begin_instance, 1)
    lease = Lease(db, instance_id)
    await db.write(workers.end, instance_id)
    return lease


async def test_nothing_is_written_from_the_first_write_on(shared_db: Database) -> None:
    await over(shared_db)
    with pytest.raises(LeaseLostError):
        await shared_db.write(modes.set_default, BotId(5), "queue")


async def test_one_that_ends_while_it_is_renewed_is_not_renewed(shared_db: Database) -> None:
    lease = await over(shared_db)
    shared_db.fence_by("true")  # as the transaction saw it
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(lease.serve(), 60)
