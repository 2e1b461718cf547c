"""A lease that is over stays over, however its process hears of it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tgbot.lease import Lease
from tgbot.model import BotId, ChatId, Owner
from tgbot.store import modes, recovery, turns, workers
from tgbot.store.engine.errors import LeaseLostError
from tgbot.store.engine.place import place_of
from tgbot.store.engine.revisions import REVISION
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


async def test_a_renewal_counts_the_others_as_long_as_they_live(shared_db: Database) -> None:
    mine, others = [await shared_db.write(recovery.begin_instance, pid) for pid in (1, 2)]
    for live in (2, 1):
        renewed = await shared_db.write(workers.renew, mine)
        assert renewed == workers.Renewed(live, REVISION)
        await shared_db.write(workers.end, others)


async def test_who_could_take_over_looks_when_the_lease_of_another_one_at_work_is_over(
    shared_db: Database,
) -> None:
    mine, others = [
        Owner(BotId(5), await shared_db.write(recovery.begin_instance, pid), 1, 1) for pid in (1, 2)
    ]
    assert await shared_db.write(turns.next_due, mine) is None  # the other one does nothing

    await shared_db.write(workers.take_to_send, others.instance_id, workers.Chat(BotId(5), ChatId(7)))
    due_at = await shared_db.write(turns.next_due, mine)
    assert due_at is not None
    assert 0 < due_at - time.time() <= workers.LEASE_SECONDS
    assert await shared_db.write(turns.next_due, others) is None  # its own it renews

    await shared_db.write(workers.end, others.instance_id)
    due_at = await shared_db.write(turns.next_due, mine)
    assert due_at is not None
    assert due_at <= time.time()  # also if it ended after the look, and before this
    await shared_db.write(recovery.guards, mine.instance_id)
    assert await shared_db.write(turns.next_due, mine) is None
