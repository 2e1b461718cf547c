"""A lease that is over stays over, however its process hears of it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.house import BOT, arrival, raw_message
from tests.whole_bot.process import TOKEN
from tgbot.access import Access
from tgbot.delivery.commits import Commits
from tgbot.delivery.sender import ChatSender
from tgbot.delivery.tools import Tools
from tgbot.intake.batch import Rules, receive
from tgbot.lease import Lease
from tgbot.model import BotId, ChatId, MessageId, Owner, Turn
from tgbot.playground.server import PlaygroundServer
from tgbot.render import Text
from tgbot.store import claims, modes, recovery, sending, turns, workers
from tgbot.store.engine.errors import LeaseLostError
from tgbot.store.engine.place import place_of
from tgbot.store.engine.revisions import REVISION
from tgbot.store.engine.writer import Database
from tgbot.store.settling import SecondLook
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import NotSentError
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.answer import LiveAnswers

CHAT = workers.Chat(BOT, ChatId(7))


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
    assert await shared_db.write(claims.next_due, mine) is None  # the other one does nothing

    await shared_db.write(workers.take_to_send, others.instance_id, workers.Chat(BotId(5), ChatId(7)))
    due_at = await shared_db.write(claims.next_due, mine)
    assert due_at is not None
    assert 0 < due_at - time.time() <= workers.LEASE_SECONDS
    assert await shared_db.write(claims.next_due, others) is None  # its own it renews

    await shared_db.write(workers.end, others.instance_id)
    due_at = await shared_db.write(claims.next_due, mine)
    assert due_at is not None
    assert due_at <= time.time()  # also if it ended after the look, and before this
    await shared_db.write(recovery.guards, mine.instance_id)
    assert await shared_db.write(claims.next_due, mine) is None


async def test_a_process_that_was_paused_for_longer_than_its_lease_asks_telegram_for_nothing(
    shared_db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(shared_db, await shared_db.write(recovery.begin_instance, 1))
    async with BotApi(TOKEN, wire.url) as api:
        api.is_over = lease.is_over
        assert await api.call("getMe")
        later = time.monotonic() + workers.LEASE_SECONDS
        monkeypatch.setattr("tgbot.lease._clocks", lambda: (later, time.time()))
        with pytest.raises(NotSentError):
            await api.call("getMe")
    assert len(wire.world.journal.after(0, "")) == 1


async def test_a_chat_that_is_with_one_worker_is_with_no_other_until_that_leaves_it(
    shared_db: Database,
) -> None:
    mine, others = [Owner(BOT, await shared_db.write(recovery.begin_instance, pid), 9, 1) for pid in (1, 2)]

    async def says(owner: Owner, update_id: int) -> list[Turn]:
        said = [arrival(raw_message(update_id, "hi", CHAT.chat_id))]
        return (await shared_db.write(receive, owner, Rules(Access(None), 9), said)).claimed

    [turn] = await says(mine, 1)
    await shared_db.write(turns.end, mine, turn, turns.Ending("done", [Text("re: hi")]))  # which is unsent
    assert await says(others, 2) == []
    assert await shared_db.write(claims.claim_waiting, others) == []
    assert await shared_db.write(sending.next_part, *CHAT, others.instance_id) is None
    assert not await shared_db.write(workers.leave_chat, mine.instance_id, CHAT)

    [turn] = await shared_db.write(claims.claim_waiting, mine)
    await shared_db.write(turns.end, mine, turn, turns.Ending("dropped"))
    part = await shared_db.write(sending.next_part, *CHAT, mine.instance_id)
    assert part is not None
    await shared_db.write(sending.sent, part, MessageId(9))
    assert await shared_db.write(sending.next_or_leave, *CHAT, mine.instance_id) is None
    assert len(await says(others, 3)) == 1


async def test_a_chat_is_kept_from_others_while_it_is_looked_at_again(
    shared_db: Database, wire: PlaygroundServer
) -> None:
    """Else an answer that another worker shows meanwhile would be taken for a stray, and deleted."""
    mine, others = [Owner(BOT, await shared_db.write(recovery.begin_instance, pid), 9, 1) for pid in (1, 2)]
    looking, sends = (Commits(shared_db, owner, CHAT.chat_id) for owner in (mine, others))

    assert await looking.keep()
    looking.hint()
    assert await looking.next() is None
    assert not await sends.keep()

    looking.may_leave()
    looking.hint()
    assert await looking.next() is None
    said = [arrival(raw_message(900, "hi", CHAT.chat_id))]
    [turn] = (await shared_db.write(receive, others, Rules(Access(None), 9), said)).claimed
    assert not await looking.keep()

    async with BotApi(TOKEN, wire.url) as api:
        tools = Tools(
            *(shared_db, api, RateLimiter(0, 0, 0), LiveAnswers(lambda _: None), mine, "off"),
            cuts=False,
            receipts=False,
            wake=lambda _: None,
        )
        sender = ChatSender(CHAT.chat_id, tools)
        sender._commits._keeps = True  # it rested, and meanwhile a scan has left the chat
        sender.look_again(SecondLook(1, turn.row_id, CHAT.chat_id, MessageId(897), "re: hi"))
        assert await asyncio.wait_for(sender.run(), 20) is None, "whoever has the chat looks"
    assert list(wire.world.journal) == []
