"""Chat senders: none misses a wake, and none works for nothing."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.held import Held
from tests.house import BOT, arrival, raw_message
from tests.store.engine.test_writer import busy_writer
from tests.turns.test_answer import turn
from tests.waiting import eventually, eventually_async
from tests.whole_bot.process import TOKEN, Person
from tgbot.access import Access
from tgbot.delivery.delivery import Delivery
from tgbot.delivery.preview import Previews
from tgbot.intake.batch import Rules, receive
from tgbot.model import ChatId, File, MessageId, Owner
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World
from tgbot.store import recovery, turns
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import Priority, RateLimiter
from tgbot.turns.answer import LiveAnswers, Reaction

CHAT = ChatId(7)


@pytest.fixture
async def delivery(db: Database, wire: PlaygroundServer) -> AsyncIterator[Delivery]:
    """Deliver without `serve`: no scan repairs what a wake should have done."""
    async with BotApi(TOKEN, wire.url) as api:
        made = Delivery(db, api, BOT, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60)
        yield made
        await made.flush(0)


async def test_a_wake_in_the_moment_that_a_sender_ends_is_not_lost(
    delivery: Delivery, db: Database, wire: PlaygroundServer
) -> None:
    """The sender's last look and the write that it just misses share one commit."""
    ann = Person(wire)
    ann.says("/help")
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    with busy_writer(db):
        delivery.wake(CHAT)
        await asyncio.sleep(0)  # the sender hands in its last look, which finds nothing
        received = db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(1, "/help"))])
    await received
    delivery.wake(CHAT)
    await eventually(lambda: any("agent" in said for said in ann.sees), "the reply")


async def test_previews_sleep_through_a_penalty(db: Database, wire: PlaygroundServer) -> None:
    """Otherwise they would format, ten times a second, an answer that cannot be shown."""
    limiter, answers = RateLimiter(0, 1, 0), LiveAnswers(lambda _: None)
    async with BotApi(TOKEN, wire.url) as api:
        previews = Previews(CHAT, db, api, limiter, answers, "edit", db.write)
        answers.open(turn()).take("Once upon a time")
        limiter.pause(CHAT, 600)
        wait_seconds = await previews.step()
    assert wait_seconds is not None
    assert wait_seconds > 500
    assert list(wire.world.journal) == []


async def test_previews_that_had_to_slow_down_find_their_pace_again(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgbot.delivery.preview.PRIVATE_SECONDS", 0.01)
    answers = LiveAnswers(lambda _: None)
    wire.world.post_message(CHAT, 7, "look")
    wire.world.add_faults([{"method": "sendMessageDraft", "kind": "cut_before", "times": 3}])
    async with BotApi(TOKEN, wire.url) as api:
        previews = Previews(CHAT, db, api, RateLimiter(0, 0, 0), answers, "draft", db.write)
        live = answers.open(turn())

        async def slowed_to(seconds: float) -> bool:
            live.take("word ")
            await previews.step()
            return previews._shown[live.turn.row_id].every_seconds == seconds

        await eventually_async(lambda: slowed_to(0.08), "three lost previews")
        await eventually_async(lambda: slowed_to(0.01), "the usual pace")


async def test_what_changes_nothing_on_screen_is_no_preview(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram would say "not modified", and count it: in a group it would be one of 20 a minute."""
    monkeypatch.setattr("tgbot.delivery.preview.PRIVATE_SECONDS", 0)
    answers = LiveAnswers(lambda _: None)
    wire.world.post_message(CHAT, 7, "look")
    async with BotApi(TOKEN, wire.url) as api:
        previews = Previews(CHAT, db, api, RateLimiter(0, 0, 0), answers, "draft", db.write)
        live = answers.open(turn())
        live.take("Look:")
        await previews.step()
        live.take(File("a", b"a"))
        await previews.step()
        live.take("Nice?")
        await previews.step()
    drafts = [call["params"]["text"] for call in wire.world.journal]
    assert drafts == ["Look:", "Look:\n\nNice?"]


async def test_a_draft_leaves_room_for_the_two_requests_that_replace_it(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words are gone when the placeholder comes: the final text must not have to wait after that."""
    monkeypatch.setattr("tgbot.delivery.preview.PRIVATE_SECONDS", 0)
    limiter, answers = RateLimiter(0, 1 / 600, 0), LiveAnswers(lambda _: None)
    wire.world.post_message(CHAT, 7, "look")
    async with BotApi(TOKEN, wire.url) as api:
        previews = Previews(CHAT, db, api, limiter, answers, "draft", db.write)
        live = answers.open(turn())
        for word in ("Once ", "upon ", "a time"):
            live.take(word)
            await previews.step()
    assert [call["params"]["text"] for call in wire.world.journal] == ["Once"]
    async with asyncio.timeout(30):
        for _ in range(2):
            await limiter.acquire(CHAT, Priority.ANSWER)


async def test_new_words_go_before_the_reaction_that_a_turn_works(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reaction would take a preview's place: in a group the answer would stand still for 3 seconds."""
    monkeypatch.setattr("tgbot.delivery.preview.PRIVATE_SECONDS", 600)
    first, second = (wire.world.post_message(CHAT, 7, text)["message_id"] for text in ("one", "two"))
    async with BotApi(TOKEN, wire.url) as api:
        made = Delivery(
            db, api, BOT, rate_limiter=RateLimiter(0, 0, 0), stream="draft", send_within_seconds=60
        )
        live = made.answers.open(turn())
        live.take("Once ")
        made.answers.changed(live)
        await eventually(lambda: len(wire.world.journal) == 1, "a draft")
        live.take("upon ")
        made.react(live.turn.address, Reaction.WORKING)
        made.react(live.turn.address._replace(message_id=MessageId(second)), Reaction.RECEIVED)
        await eventually(lambda: len(wire.world.journal) > 1, "the other reaction")
        assert [call["params"]["message_id"] for call in list(wire.world.journal)[1:]] == [second]
        made.answers.close(live)
        made.wake(CHAT)
        await eventually(lambda: len(wire.world.journal) > 2, "this one")
        assert list(wire.world.journal)[2]["params"]["message_id"] == first
        await made.flush(0)


async def test_what_came_during_a_preview_goes_before_a_reaction(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reaction between a draft's end and the final text would leave the screen empty for longer."""
    ann = Person(wire)
    ann.says("/help")
    draft = Held(monkeypatch, "sendMessageDraft")
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    async with BotApi(TOKEN, wire.url) as api:
        made = Delivery(
            db, api, BOT, rate_limiter=RateLimiter(0, 0, 0), stream="draft", send_within_seconds=60
        )
        live = made.answers.open(turn())
        live.take("Once")
        made.answers.changed(live)
        await draft.comes()
        made.answers.close(live)
        await db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(1, "/help"))])
        made.wake(CHAT)
        made.react(live.turn.address, Reaction.DONE)
        draft.let_go()
        await eventually(
            lambda: any("setMessageReaction" in call["method"] for call in wire.world.journal), "the reaction"
        )
        await made.flush(0)
    methods = [call["method"] for call in wire.world.journal]
    assert methods.index("sendMessage") < methods.index("setMessageReaction")


@pytest.mark.parametrize("ending_early", [0, 1])
async def test_a_flush_with_all_places_taken_leaves_no_sender_and_the_service_ends(
    db: Database, monkeypatch: pytest.MonkeyPatch, ending_early: int
) -> None:
    """A sender that ends starts a scan for more chats: also during the flush, and as the service ends."""
    monkeypatch.setattr("tgbot.delivery.delivery.SENDERS_MAX", 4)
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    helps = [arrival(raw_message(chat, "/help", chat)) for chat in range(1, 9)]
    await db.write(receive, owner, Rules(Access(None), 9), helps)
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes every request and answers none
        async with BotApi(TOKEN, f"http://127.0.0.1:{deaf.getsockname()[1]}") as api:
            delivery = Delivery(db, api, BOT, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60)
            serving = asyncio.create_task(delivery.serve())
            await eventually(
                lambda: bool(len(delivery._senders) == 4 and delivery._rescan._waiters), "it rests"
            )
            for _, task in [*delivery._senders.values()][:ending_early]:
                asyncio.get_running_loop().call_later(0.01, task.cancel)
            await delivery.flush(0.5)
            serving.cancel()
            try:
                await eventually(serving.done, "the service ends")
                assert delivery._senders == {}
            finally:
                serving.cancel()
                await delivery.flush(0)


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """Reserve a port on which nobody listens: only the test's later server can, no other program."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", 0))
        yield made


async def test_what_could_not_leave_while_the_network_was_gone_was_no_try(
    db: Database, caplog: pytest.LogCaptureFixture, taken: socket.socket
) -> None:
    """A voice message that no server has seen is neither given up nor marked as possibly a duplicate."""
    caplog.set_level(logging.INFO)
    port = taken.getsockname()[1]
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    received = await db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(1, "speak"))])
    hello = File("hello.ogg", b"OggS", "voice", "Hello")
    await db.write(turns.end, owner, received.claimed[0], turns.Ending("done", [hello]))
    async with BotApi(TOKEN, f"http://127.0.0.1:{port}") as api:
        delivery = Delivery(db, api, BOT, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60)
        delivery.wake(CHAT)
        await eventually(lambda: caplog.text.count("delivery.retry") > 2, "it is tried again and again")
        world = World()
        world.post_message(CHAT, 7, "speak")
        async with PlaygroundServer(port, world=world):
            await eventually(lambda: "voice" in world.messages(CHAT)[-1], "the voice message")
            await delivery.flush(1)
    assert world.messages(CHAT)[-1]["caption"] == "Hello"
