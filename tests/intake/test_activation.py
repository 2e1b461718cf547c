"""What runs a turn in a group: mentions, replies and commands, or everything; and who changes that."""

import dataclasses
from typing import Any

import pytest

from tests.house import BOT, raw_message
from tests.store.instance import Instance, new_id
from tgbot.model import Activation, UserId
from tgbot.playground.text import detect

GROUP = -1_000_000_000_005
BOT_USER = {"id": BOT, "is_bot": True, "first_name": "Bot", "username": "the_bot"}
TOPIC = {"is_topic_message": True, "message_thread_id": 3}


@pytest.fixture
def bot(instance: Instance) -> Instance:
    activate(instance, "mention")
    return instance


def activate(bot: Instance, activation: Activation) -> None:
    bot.rules = dataclasses.replace(bot.rules, group_activation=activation)


def say(bot: Instance, said: str, **fields: Any) -> list[str]:  # noqa: ANN401 - any field of a message
    """Say it in the group; returns what the turns that it began are given."""
    fields = {"chat": GROUP, "entities": detect(said, []), **fields}
    return [turn.text for turn in bot.say(said, **fields).claimed]


def rows(bot: Instance) -> int:
    [(number,)] = bot.rows("SELECT count(*) FROM pending")
    return int(number)


def test_in_a_group_a_mention_a_reply_and_nothing_else_runs_a_turn(bot: Instance) -> None:
    assert say(bot, "hello everybody") == []
    assert rows(bot) == 0, "what people say to each other is not kept"
    assert say(bot, "@the_bot hello") == ["hello"]
    reply = {"reply_to_message": {"message_id": 5, "from": BOT_USER}}
    assert say(bot, "and you?", chat=GROUP - 1, **reply) == ["and you?"]
    assert say(bot, "/imagine a cat", chat=GROUP - 2) == ["/imagine a cat"]


def test_in_a_group_a_command_acts_and_one_for_another_bot_does_not(bot: Instance) -> None:
    say(bot, "@the_bot a")
    say(bot, "/stop@another")
    assert bot.states(GROUP) == {"a": "claimed"}
    say(bot, "/stop")
    assert bot.states(GROUP) == {"a": "stopped"}


def test_the_setting_can_let_the_bot_answer_everything(bot: Instance) -> None:
    activate(bot, "always")
    assert say(bot, "hello everybody") == ["hello everybody"]


def test_activation_changes_it_for_its_own_session_alone(bot: Instance) -> None:
    say(bot, "/activation always", **TOPIC)
    assert say(bot, "hello") == []
    assert say(bot, "hello", **TOPIC) == ["hello"]
    say(bot, "/activation@the_bot Mention", **TOPIC)
    assert say(bot, "hello again", **TOPIC) == []
    assert bot.answers(GROUP) == [
        "From now on: I answer every message here.",
        "From now on: I answer here when I am mentioned, replied to, or given a command.",
    ]


def test_activation_alone_or_with_another_word_says_how_it_is(bot: Instance) -> None:
    say(bot, "/activation")
    say(bot, "/activation sometimes")
    activate(bot, "always")
    say(bot, "/activation")
    mention = "I answer here when I am mentioned, replied to, or given a command. Change it with"
    always = "I answer every message here. Change it with /activation mention."
    assert bot.answers(GROUP) == [f"{mention} /activation always."] * 2 + [always]


def test_activation_explains_that_privacy_mode_is_in_its_way(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, privacy_mode=True)
    say(bot, "/activation always")
    say(bot, "/activation mention")
    always, mention = bot.answers(GROUP)
    assert "@BotFather (/setprivacy, Disable)" in always
    assert "Privacy" not in mention


def test_in_a_private_chat_there_is_nothing_to_change(bot: Instance) -> None:
    assert say(bot, "hello", chat=7) == ["hello"]
    say(bot, "/activation mention", chat=7)
    assert bot.answers() == ["In a private chat I answer every message."]
    assert bot.rows("SELECT * FROM session_value WHERE name = 'activation'") == []


def test_what_a_group_chose_is_kept_over_restarts_and_by_its_supergroup(bot: Instance) -> None:
    say(bot, "/activation always", chat=-5)
    say(bot, "", chat=-5, migrate_to_chat_id=GROUP)
    assert say(bot, "hello") == ["hello"]


def test_a_stranger_who_mentions_the_bot_in_a_group_gets_nothing(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, access=type(bot.rules.access)(frozenset({UserId(1)})))
    assert say(bot, "@the_bot hello") == []
    assert (rows(bot), bot.answers(GROUP)) == (0, [])


# albums


def part(caption: str) -> dict[str, Any]:
    marks = {"caption": caption, "caption_entities": detect(caption, [])} if caption else {}
    return {"media_group_id": "g", "photo": [], **marks}


def album(bot: Instance, *captions: str) -> None:
    """Send the parts of an album as one batch."""
    raws = [raw_message(new_id(), "", GROUP, **part(caption)) for caption in captions]
    for raw in raws:
        del raw["message"]["text"]
    bot.receive(*raws)


def of_turns(bot: Instance) -> list[list[str]]:
    return [[message.get("caption", "") for message in turn.messages] for turn in bot.due()]


@pytest.mark.parametrize("captions", [("@the_bot look", "", ""), ("", "", "@the_bot look")])
def test_a_mention_in_one_caption_counts_for_the_whole_album(
    bot: Instance, captions: tuple[str, ...]
) -> None:
    album(bot, *captions)
    assert of_turns(bot) == [[caption.removeprefix("@the_bot ") for caption in captions]]


def test_parts_that_come_later_join_an_album_that_is_for_the_bot(bot: Instance) -> None:
    album(bot, "@the_bot look")
    album(bot, "")
    assert of_turns(bot) == [["look", ""]]


def test_an_album_that_is_for_nobody_is_not_kept(bot: Instance) -> None:
    album(bot, "look", "")
    assert (of_turns(bot), rows(bot)) == ([], 0)


def test_of_an_album_in_two_batches_the_turn_has_what_comes_from_its_mention_on(bot: Instance) -> None:
    album(bot, "")
    album(bot, "@the_bot look")
    assert of_turns(bot) == [["look"]]
