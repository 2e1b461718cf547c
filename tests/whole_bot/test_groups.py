"""A group as the real process lives in it: who is answered, what the agent reads, around a kill."""

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tgbot.playground.server import PlaygroundServer

GROUP = -1_000_000_000_005
NAME = f"@playground{TOKEN.partition(':')[0]}_bot"


@pytest.fixture
def bot(bot: BotProcess, wire: PlaygroundServer) -> BotProcess:
    wire.world.make_chat(7, "Ann")
    wire.world.make_chat(8, "Bob")
    bot.setting(agent="tests.whole_bot.agents:reader", group_activation="mention", group_context_messages=3)
    return bot


@pytest.fixture
def people(wire: PlaygroundServer) -> tuple[Person, Person]:
    return Person(wire, 7, GROUP), Person(wire, 8, GROUP)


async def all_is_confirmed(wire: PlaygroundServer) -> None:
    await eventually(lambda: not wire.world.bot(TOKEN).updates, "all updates are confirmed")


async def test_people_talk_to_each_other_and_the_bot_answers_whom_it_is_asked_by(
    bot: BotProcess, people: tuple[Person, Person], wire: PlaygroundServer
) -> None:
    ann, bob = people
    await bot.start()
    ann.says("good morning")
    bob.says(f"{NAME} what is the time?")
    await ann.sees_among('[Said in the group before, to others: "Ann: good morning"]')
    [answer] = ann.screen[-1:]
    assert "[From Bob]" in answer["text"]
    assert "what is the time?" in answer["text"]
    assert NAME not in answer["text"]
    wire.world.post_message(GROUP, 7, "and tomorrow?", reply_to_message_id=answer["message_id"])
    await ann.sees_among("and tomorrow?")
    bob.says("thank you")
    await all_is_confirmed(wire)
    assert bot.log.count("turn.claimed") == 2


async def test_what_was_said_before_a_kill_is_read_after_it(
    bot: BotProcess, people: tuple[Person, Person], wire: PlaygroundServer
) -> None:
    ann, bob = people
    await bot.start()
    for words in ("one", "two", "three", "four"):
        ann.says(words)
    await bot.logs("intake.ignored kind=message.not_addressed")
    await all_is_confirmed(wire)
    await bot.kill()
    bob.says(f"what did she say, {NAME}?")
    await bot.start()
    await ann.sees_among("Ann: two\nAnn: three\nAnn: four")
    await ann.sees_among("what did she say?")
    assert not [said for said in ann.sees if "Ann: one" in said]


async def test_a_channel_that_may_speak_is_answered_under_its_posts_and_in_its_group(
    bot: BotProcess, people: tuple[Person, Person], wire: PlaygroundServer
) -> None:
    ann, _ = people
    channel = -1_000_000_000_009
    news = {"id": channel, "type": "channel", "title": "News"}
    wire.world.make_chat(channel, "News")
    wire.world.make_chat(GROUP, "Friends")
    bot.setting(speakers=channel, agent="tests.whole_bot.agents:reader")
    await bot.start()
    post = {"message_id": 1, "date": 1, "chat": news, "sender_chat": news, "text": f"/ask {NAME}"}
    wire.world.inject_update({"channel_post": post})
    await Person(wire, 7, channel).sees_among("[From News]")
    forwarded = {
        "from": {"id": 777000, "is_bot": False, "first_name": "Telegram"},
        "is_automatic_forward": True,
    }
    group = {"id": GROUP, "type": "supergroup", "title": "Friends"}
    wire.world.inject_update({"message": {**post, **forwarded, "message_id": 9, "chat": group}})
    await ann.sees_among("[From News]")
