"""Chat senders: none misses a wake, and none works for nothing."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text

from tests.held import Held
from tests.house import BOT, arrival, raw_message
from tests.store.engine.test_writer import busy_writer
from tests.turns.test_answer import turn
from tests.waiting import eventually, eventually_async
from tests.whole_bot.process import TOKEN, Person
from tgbot.access import Access
from tgbot.delivery.commits import Commits
from tgbot.delivery.delivery import Delivery
from tgbot.delivery.preview import SENTENCE_SECONDS, Previews
from tgbot.delivery.sender import ChatSender
from tgbot.delivery.tools import Tools
from tgbot.intake.batch import Rules, receive
from tgbot.model import ChatId, File, InstanceId, MessageId, Owner, RowId, Turn
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World
from tgbot.render import Text
from tgbot.store import chats, outbox, recovery, turns
from tgbot.store.engine.writer import Database
from tgbot.store.settling import SecondLook
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import MessageGoneError, UnreachableError
from tgbot.telegram.rate_limit import NOTICES_PER_MINUTE, Priority, RateLimiter
from tgbot.turns.answer import LiveAnswers, Reaction
from tgbot.turns.keeping import kept

CHAT = ChatId(7)
OWNER = Owner(BOT, InstanceId(1), max_turns=1, crashes_max=3)
GROUP, SUPERGROUP = ChatId(-5), ChatId(-1_000_000_000_005)


@pytest.fixture
async def delivery(db: Database, wire: PlaygroundServer) -> AsyncIterator[Delivery]:
    """Deliver without `serve`: no scan repairs what a wake should have done."""
    async with BotApi(TOKEN, wire.url) as api:
        made = Delivery(db, api, OWNER, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60)
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


def previews_of(db: Database, api: BotApi, limiter: RateLimiter, answers: LiveAnswers, mode: str) -> Previews:
    tools = Tools(db, api, limiter, answers, OWNER, mode, cuts=True, receipts=True, wake=lambda _: None)
    return Previews(CHAT, tools, Commits(db, OWNER, CHAT))


async def test_first_words_wait_for_more_from_when_they_were_said(
    db: Database, wire: PlaygroundServer
) -> None:
    """A "typing", say, that was under way at that moment makes nobody wait longer for them."""
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    received = await db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(1, "hi"))])
    answers = LiveAnswers(lambda _: None)
    async with BotApi(TOKEN, wire.url) as api:
        previews = previews_of(db, api, RateLimiter(0, 0, 0), answers, "edit")
        live = answers.open(received.claimed[0])
        live.take(" \n")
        assert live.said_at is None
        live.take("A sentence. And")
        assert live.said_at is not None
        live.said_at -= SENTENCE_SECONDS
        live.take(" more")
        await previews.step()
        part = await previews.commits.next()
    assert part is not None
    assert part.text == "A sentence. And more"


async def test_a_second_look_goes_on_where_it_failed(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try has a sender of its own; where many requests fail, a look that began anew would never end."""
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    await db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(900, "hi"))])
    asked = []

    async def call(_method: str, *, message_id: int, **_: object) -> None:
        asked.append(message_id)
        raise UnreachableError("cut") if len(asked) % 2 == 0 else MessageGoneError("not found")

    async with BotApi(TOKEN, wire.url) as api:
        monkeypatch.setattr(api, "call", call)
        working = db, api, RateLimiter(0, 0, 0), LiveAnswers(lambda _: None), owner, "edit"
        tools = Tools(*working, cuts=True, receipts=True, wake=lambda _: None)
        for _ in range(6):
            sender = ChatSender(CHAT, tools)
            sender.look_again(SecondLook(1, RowId(1), CHAT, MessageId(899), "OK"))
            assert await sender.run() is None
    assert asked == [897, 898, 898, 899, 899, 901, 901, 902, 902, 903, 903]
    assert tools.looked == {}


async def test_previews_sleep_through_a_penalty(db: Database, wire: PlaygroundServer) -> None:
    """Otherwise they would format, ten times a second, an answer that cannot be shown."""
    limiter, answers = RateLimiter(0, 1, 0), LiveAnswers(lambda _: None)
    async with BotApi(TOKEN, wire.url) as api:
        previews = previews_of(db, api, limiter, answers, "edit")
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
        previews = previews_of(db, api, RateLimiter(0, 0, 0), answers, "draft")
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
        previews = previews_of(db, api, RateLimiter(0, 0, 0), answers, "draft")
        live = answers.open(turn())
        live.take("Look:")
        await previews.step()
        live.take(File("a", b"a"))
        await previews.step()
        live.take("Nice?")
        await previews.step()
    drafts = [call["params"]["text"] for call in wire.world.journal]
    assert drafts == ["Look:", "Look:\n\nNice?"]


async def test_a_full_part_of_a_turn_that_was_stopped_is_left_to_its_ending(
    db: Database, wire: PlaygroundServer
) -> None:
    """Its agent may take seconds to obey; until then the part would be formatted and stored all the time."""
    answers = LiveAnswers(lambda _: None)
    async with BotApi(TOKEN, wire.url) as api:
        previews = previews_of(db, api, RateLimiter(0, 0, 0), answers, "edit")
        answers.open(turn()).take("word " * 2000)  # no guard is held for it any more
        assert await previews.step() != 0.0
        await previews.step()  # types
        assert (await previews.step() or 0.0) > 1


async def test_a_draft_leaves_room_for_the_message_that_replaces_it(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgbot.delivery.preview.PRIVATE_SECONDS", 0)
    limiter, answers = RateLimiter(0, 1 / 600, 0), LiveAnswers(lambda _: None)
    wire.world.post_message(CHAT, 7, "look")
    async with BotApi(TOKEN, wire.url) as api:
        previews = previews_of(db, api, limiter, answers, "draft")
        live = answers.open(turn())
        for word in ("Once ", "upon ", "a time"):
            live.take(word)
            await previews.step()
    assert [call["params"]["text"] for call in wire.world.journal] == ["Once", "Once upon"]
    async with asyncio.timeout(30):
        await limiter.acquire(CHAT, Priority.ANSWER)


async def test_new_words_go_before_the_reaction_that_a_turn_works(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reaction would take a preview's place: in a group the answer would stand still for 3 seconds."""
    monkeypatch.setattr("tgbot.delivery.preview.PRIVATE_SECONDS", 600)
    first, second = (wire.world.post_message(CHAT, 7, text)["message_id"] for text in ("one", "two"))
    async with BotApi(TOKEN, wire.url) as api:
        made = Delivery(
            db, api, OWNER, rate_limiter=RateLimiter(0, 0, 0), stream="draft", send_within_seconds=60
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
            db, api, OWNER, rate_limiter=RateLimiter(0, 0, 0), stream="draft", send_within_seconds=60
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
            delivery = Delivery(db, api, OWNER, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60)
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
    ending = await kept(db, turns.Ending("done", [hello]), received.claimed[0].row_id)
    await db.write(turns.end, owner, received.claimed[0], ending)
    async with BotApi(TOKEN, f"http://127.0.0.1:{port}") as api:
        delivery = Delivery(db, api, OWNER, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60)
        delivery.wake(CHAT)
        await eventually(lambda: caplog.text.count("delivery.retry") > 2, "it is tried again and again")
        world = World()
        world.post_message(CHAT, 7, "speak")
        async with PlaygroundServer(port, world=world):
            await eventually(lambda: "voice" in world.messages(CHAT)[-1], "the voice message")
            await delivery.flush(1)
    assert world.messages(CHAT)[-1]["caption"] == "Hello"


async def test_the_answer_of_a_turn_whose_chat_has_moved_has_one_sender(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.world.make_chat(SUPERGROUP, "Friends")
    held = Held(monkeypatch, "sendMessage")
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    received = await db.write(
        receive,
        owner,
        Rules(Access(None), 9, group_activation="always"),
        [arrival(raw_message(1, "hi", GROUP))],
    )
    [turn] = received.claimed
    async with BotApi(TOKEN, wire.url) as api:
        delivery = Delivery(db, api, OWNER, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60)
        await db.write(chats.move, BOT, GROUP, SUPERGROUP)
        ended = await db.write(turns.end, owner, turn, turns.Ending("done", [Text("re: hi")]))
        delivery.turn_ended(turn.address, turn.row_id, ended.state, ended.part)
        await held.comes()
        delivery.wake(SUPERGROUP)  # as a scan does
        await asyncio.sleep(0.2)
        held.let_go()
        await delivery.flush(5)
    assert [message["text"] for message in wire.world.messages(SUPERGROUP)] == ["re: hi"]


async def test_an_answer_does_not_wait_for_a_second_look(
    delivery: Delivery, db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a group it may ask for 100 ids, at 20 a minute."""
    ann, owner, _ = await _has_to_look(db, wire, monkeypatch)
    asked = Held(monkeypatch, "editMessageReplyMarkup")
    serving = asyncio.create_task(delivery.serve())
    await asked.comes()
    ann.says("/help")
    await db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(51, "/help"))])
    delivery.wake(CHAT)
    asked.let_go()
    await eventually(lambda: len(ann.sees) == 1, "the reply")
    await eventually_async(lambda: _has_looked(db), "the look goes on")
    methods = [call["method"] for call in wire.world.journal if call["method"] != "setMessageReaction"]
    assert methods[:3] == ["editMessageReplyMarkup", "sendMessage", "editMessageReplyMarkup"]
    assert methods.count("editMessageReplyMarkup") < 60, "it goes on where it was"
    serving.cancel()


async def test_an_answer_that_says_the_same_as_an_earlier_one_is_no_stray_of_it(
    delivery: Delivery, db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent in the middle of a second look, with an id that has still to be asked for."""
    ann, owner, turn = await _has_to_look(db, wire, monkeypatch)
    asked = Held(monkeypatch, "editMessageReplyMarkup")
    serving = asyncio.create_task(delivery.serve())
    await asked.comes()
    ended = await db.write(turns.end, owner, turn, turns.Ending("done", [Text("words")]))
    delivery.turn_ended(turn.address, turn.row_id, ended.state, ended.part)
    asked.let_go()
    await eventually_async(lambda: _has_looked(db), "the look goes on to its end")
    await eventually_async(lambda: _is_all_sent(db), "nothing has to be deleted any more")
    serving.cancel()
    assert ann.sees == ["words"]


async def _has_to_look(
    db: Database, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> tuple[Person, Owner, Turn]:
    """Let a second look at some fifty ids be due, while the turn of the newest message runs."""
    monkeypatch.setattr("tgbot.delivery.delivery.POLL_SECONDS", 0.1)
    ann = Person(wire)
    ann.says(*["look"] * 50)
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    received = await db.write(receive, owner, Rules(Access(None), 9), [arrival(raw_message(50, "look"))])
    await db.write(lambda conn: conn.execute(text(LOOK)).close())
    [turn] = received.claimed
    return ann, owner, turn


LOOK = "INSERT INTO second_look SELECT 1, bot_id, id, chat_id, 1, 'words', 0 FROM pending"


async def _is_all_sent(db: Database) -> bool:
    return not await db.read(
        lambda conn: conn.execute(text("SELECT 1 FROM outbox WHERE state != 'sent'")).all()
    )


async def _has_looked(db: Database) -> bool:
    return not await db.read(lambda conn: conn.execute(text("SELECT 1 FROM second_look")).all())


async def test_an_answer_does_not_wait_behind_a_notice_that_has_to_wait(
    db: Database, wire: PlaygroundServer
) -> None:
    wire.world.make_chat(CHAT, "Ann")
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=1, crashes_max=3)
    said = [arrival(raw_message(number, "hi")) for number in (1, 2)]
    received = await db.write(receive, owner, Rules(Access(None), 9), said)
    limiter = RateLimiter(0, 0, 0)
    while limiter.try_notice(ChatId(99)) == 0:
        pass
    async with BotApi(TOKEN, wire.url) as api:
        delivery = Delivery(db, api, OWNER, rate_limiter=limiter, send_within_seconds=60)
        await db.write(outbox.notice, RowId(2), Text("Too much."))
        delivery.wake(CHAT)
        await eventually(lambda: bool(delivery._resting), "the notice waits for its time")
        [turn] = received.claimed
        ended = await db.write(turns.end, owner, turn, turns.Ending("done", [Text("re: hi")]))
        delivery.turn_ended(turn.address, turn.row_id, ended.state, ended.part)
        await eventually(lambda: bool(wire.world.messages(CHAT)), "the answer")
        await delivery.flush(1)
    assert [message["text"] for message in wire.world.messages(CHAT)] == ["re: hi"]


async def test_an_answer_does_not_wait_behind_the_notices_of_other_chats(
    db: Database, wire: PlaygroundServer
) -> None:
    crowd = range(1, NOTICES_PER_MINUTE + 3)
    for chat_id in crowd:
        wire.world.make_chat(chat_id, "Ann")
    owner = Owner(BOT, await db.write(recovery.begin_instance, os.getpid()), max_turns=99, crashes_max=3)
    said = [arrival(raw_message(chat_id, "hi", chat_id)) for chat_id in crowd]
    received = await db.write(receive, owner, Rules(Access(None), 9), said)
    limiter = RateLimiter(20, 0, 0)
    while limiter.try_acquire(ChatId(99)):
        pass
    async with BotApi(TOKEN, wire.url) as api:
        delivery = Delivery(db, api, owner, rate_limiter=limiter, send_within_seconds=60)
        for number in crowd:  # all of them find that notices may be sent, and nothing else may just now
            await db.write(outbox.notice, RowId(number), Text("Too much."))
            delivery.wake(ChatId(number))
        turn = received.claimed[-1]
        await asyncio.sleep(0.3)
        ended = await db.write(turns.end, owner, turn, turns.Ending("done", [Text("re: hi")]))
        delivery.turn_ended(turn.address, turn.row_id, ended.state, ended.part)
        await eventually(
            lambda: any(m["text"] == "re: hi" for m in wire.world.messages(turn.chat_id)), "the answer"
        )
        shown = sum(bool(wire.world.messages(chat_id)) for chat_id in crowd)
        await delivery.flush(1)
    assert shown <= NOTICES_PER_MINUTE + 1
