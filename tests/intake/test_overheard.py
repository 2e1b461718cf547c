"""What people in a group say to each other is context for the next turn: bounded, once, kept over a kill."""

import dataclasses
from typing import Any

import pytest

from tests.house import BOT, House, raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tgbot.delivery.delivery import Delivery
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.commands import ModelRules
from tgbot.model import Address, ChatId, MessageId, Turn, Update, UserId, session_key
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.text import detect
from tgbot.store import overheard
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.overheard import LINE_MAX_CHARACTERS, line_of
from tgbot.turns.prompt import prompt_of
from tgbot.turns.reading import context_of

GROUP, SUPERGROUP = -5, -1_000_000_000_005
TOPIC: dict[str, Any] = {"is_topic_message": True, "message_thread_id": 3}
PEOPLE = {name: {"id": number, "is_bot": False, "first_name": name} for number, name in enumerate("AB", 1)}


def overhears(bot: Instance, most: int = 3) -> Instance:
    bot.rules = dataclasses.replace(bot.rules, group_activation="mention", context_messages=most)
    return bot


@pytest.fixture
def bot(instance: Instance) -> Instance:
    return overhears(instance)


def say(bot: Instance, *said: str, who: str = "A", chat: int = GROUP, **fields: Any) -> list[Turn]:  # noqa: ANN401
    """Say it in the group, each as a batch of its own; returns the turns that it began."""
    more = {"from": PEOPLE[who], **fields}
    batches = [bot.say(words, chat=chat, entities=detect(words, []), **more) for words in said]
    return [turn for batch in batches for turn in batch.claimed]


def given(turn: Turn) -> tuple[str, ...]:
    return context_of(turn.messages).overheard


def test_a_turn_is_given_the_last_things_that_were_said_to_others(bot: Instance) -> None:
    say(bot, "one", "two", "three")
    assert bot.rows("SELECT 1 FROM pending") == []
    say(bot, "four", who="B")
    [turn] = say(bot, "@the_bot who is right?")
    assert given(turn) == ("A: two", "A: three", "B: four")
    assert prompt_of(turn.text, context_of(turn.messages)) == (
        "[Said in the group before, to others:]\n> A: two\n> A: three\n> B: four\n[From A]\n\nwho is right?"
    )


def test_what_was_given_once_is_not_given_to_the_next_turn(bot: Instance) -> None:
    say(bot, "one")
    [turn] = say(bot, "@the_bot a")
    say(bot, "two", "@the_bot b")
    following = bot.finish(turn)
    assert following
    assert (given(turn), given(following)) == (("A: one",), ("A: two",))


def test_in_one_batch_each_message_has_what_was_said_before_it(bot: Instance) -> None:
    said = ("one", "@the_bot a", "two", "@the_bot b")
    sender = {"from": PEOPLE["A"]}
    raws = [raw_message(new_id(), words, GROUP, entities=detect(words, []), **sender) for words in said]
    [turn] = bot.receive(*raws).claimed
    following = bot.finish(turn)
    assert following
    assert (given(turn), given(following)) == (("A: one",), ("A: two",))


def test_a_kill_loses_nothing_of_it_and_each_attempt_has_the_same(start_instance: StartInstance) -> None:
    say(overhears(start_instance()), "one")
    [turn] = say(overhears(start_instance()), "@the_bot a")
    later = overhears(start_instance())
    later.recover()
    [again] = later.claim_waiting()
    assert (again.attempt, given(again)) == (2, given(turn)) == (2, ("A: one",))


def test_an_update_that_comes_again_is_kept_once_and_takes_nothing(bot: Instance) -> None:
    chatter = raw_message(new_id(), "one", GROUP)
    question = raw_message(new_id(), "/imagine a", GROUP)
    bot.receive(chatter)
    bot.receive(chatter)
    [turn] = bot.receive(question).claimed
    assert len(given(turn)) == 1
    say(bot, "two")
    bot.receive(question)
    say(bot, "@the_bot b")
    following = bot.finish(turn)
    assert following
    assert given(following) == ("A: two",)


def test_topics_and_private_chats_are_not_mixed(bot: Instance) -> None:
    say(bot, "general")
    say(bot, "in the topic", **TOPIC)
    [turn] = say(bot, "@the_bot a", **TOPIC)
    assert given(turn) == ("A: in the topic",)
    [private] = say(bot, "hello", chat=1)
    assert given(private) == ()


def test_a_command_that_acts_at_once_leaves_it_for_the_next_turn(bot: Instance) -> None:
    say(bot, "one", "/status")
    [turn] = say(bot, "@the_bot a")
    assert given(turn) == ("A: one",)


def test_those_with_sessions_of_their_own_in_a_group_hear_each_other(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, group_sessions="user")
    say(bot, "one", who="B")
    [turn] = say(bot, "@the_bot a")
    assert given(turn) == ("B: one",)


def test_an_album_is_given_it_with_its_first_part(bot: Instance) -> None:
    say(bot, "one")
    for caption in ("@the_bot look", ""):
        raw = raw_message(new_id(), "", GROUP, media_group_id="g", photo=[], caption=caption)
        raw["message"]["caption_entities"] = detect(caption, [])
        raw["message"]["from"] = PEOPLE["A"]
        del raw["message"]["text"]
        bot.receive(raw)
    [turn] = bot.due()
    assert (len(turn.messages), given(turn)) == (2, ("A: one",))


def test_without_the_setting_and_of_strangers_nothing_is_kept(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, context_messages=0)
    say(bot, "one")
    overhears(bot)
    bot.rules = dataclasses.replace(bot.rules, access=type(bot.rules.access)(frozenset({UserId(1)})))
    say(bot, "two", who="B")
    assert bot.rows("SELECT line FROM overheard") == []


def test_it_moves_with_its_group(bot: Instance) -> None:
    say(bot, "one")
    say(bot, "", migrate_to_chat_id=SUPERGROUP)
    [turn] = say(bot, "@the_bot a", chat=SUPERGROUP)
    assert given(turn) == ("A: one",)


def test_forget_erases_it(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, model=ModelRules(("a:1",)))
    say(bot, "the xylophone", "/forget")
    bot.send_all(GROUP)
    [(row,)] = bot.rows("SELECT max(pending_id) FROM outbox WHERE buttons LIKE '%erase:%'")
    bot.press(f"erase:{row}", chat=GROUP, user=1)
    assert bot.rows("SELECT line FROM overheard") == []


def test_a_line_has_what_came_with_the_words_and_is_cut() -> None:
    message = raw_message(1, "x" * 1000, GROUP, **{"from": PEOPLE["A"]})["message"]
    assert line_of(message).startswith("A: xxx")
    assert len(line_of(message)) < LINE_MAX_CHARACTERS + 50
    photo = {"photo": [{"file_id": "a", "width": 9, "height": 6}], "from": PEOPLE["A"]}
    raw = raw_message(1, "", GROUP, caption="two\nlines", **photo)["message"]
    assert line_of(raw) == "A: [Photo, 9x6] two lines"


async def test_what_was_said_before_the_bot_was_removed_is_forgotten(
    house: House, wire: PlaygroundServer
) -> None:
    left = {"chat": {"id": GROUP}, "new_chat_member": {"status": "left"}}
    muted = {"chat": {"id": GROUP}, "new_chat_member": {"status": "restricted"}}
    address = Address(session_key(BOT, ChatId(GROUP)), ChatId(GROUP), UserId(1), MessageId(1))
    await house.db.write(overheard.keep, Update(BOT, 1, "{}"), address, "A: one", 3)
    async with BotApi(f"{BOT}:playground", wire.url) as api:
        delivery = Delivery(
            house.db, api, house.dispatcher.owner, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=60
        )
        acceptor = Acceptor(house.db, house.rules, house.dispatcher, delivery, lambda _: None)
        await acceptor.accept([{"update_id": 2, "my_chat_member": muted}])
        assert await house.rows("SELECT line FROM overheard") == [("A: one",)]
        await acceptor.accept([{"update_id": 3, "my_chat_member": left}])
    assert await house.rows("SELECT line FROM overheard") == []
