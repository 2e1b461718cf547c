"""Chats as speakers: anonymous admins, channels and their posts act only where the settings name the chat."""

import dataclasses
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, new_id, pressed
from tgbot.access import Access
from tgbot.intake.commands.registry import NOT_OWNER
from tgbot.model import ChatId, Raw, Turn, UserId
from tgbot.playground.text import detect
from tgbot.store import allowed
from tgbot.turns.prompt import prompt_of
from tgbot.turns.reading import context_of

OWNER = UserId(7)
GROUP, CHANNEL = -1_000_000_000_005, -1_000_000_000_009
FRIENDS = {"id": GROUP, "type": "supergroup", "title": "Friends"}
NEWS = {"id": CHANNEL, "type": "channel", "title": "News", "username": "the_news"}
ANONYMOUS = {"id": 1_087_968_824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
AS_CHANNEL = {"id": 136_817_688, "is_bot": True, "first_name": "Channel", "username": "Channel_Bot"}
TELEGRAM = {"id": 777_000, "is_bot": False, "first_name": "Telegram"}
# How each of them writes in a group.
ADMIN = {"from": ANONYMOUS, "sender_chat": FRIENDS}
PERSON = {"from": AS_CHANNEL, "sender_chat": NEWS}
FORWARD = {"from": TELEGRAM, "sender_chat": NEWS, "is_automatic_forward": True}


@pytest.fixture
def bot(instance: Instance) -> Instance:
    """A bot with an owner, for which both chats may speak."""
    return let_speak(instance, GROUP, CHANNEL)


def let_speak(bot: Instance, *chats: int) -> Instance:
    access = Access((OWNER,), OWNER, tuple(map(ChatId, chats)))
    bot.rules = dataclasses.replace(bot.rules, access=access)
    return bot


def say(bot: Instance, text: str, **fields: Any) -> list[Turn]:  # noqa: ANN401 - any field of a message
    return bot.say(text, chat=GROUP, entities=detect(text, []), **fields).claimed


def post(bot: Instance, text: str, kind: str = "channel_post", **fields: Any) -> Raw:  # noqa: ANN401 - as above
    """Make a channel's post, which has no `from`."""
    message = raw_message(new_id(), text, CHANNEL, entities=detect(text, []), **fields)["message"]
    del message["from"]
    return {"update_id": new_id(), kind: message | {"chat": NEWS, "sender_chat": NEWS}}


@pytest.mark.parametrize("speaker", [ADMIN, PERSON, FORWARD])
def test_a_chat_that_the_settings_do_not_name_is_not_heard(
    instance: Instance, speaker: dict[str, Any]
) -> None:
    """Not even where everyone may talk, or where the group is allowed as such."""
    instance.rules = dataclasses.replace(instance.rules, access=Access(None))
    instance.do(allowed.allow, instance.owner.bot_id, GROUP, "group", None, OWNER)
    assert say(instance, "@the_bot hello", **speaker) == []
    assert instance.receive(post(instance, "@the_bot hello")).claimed == []
    assert instance.rows("SELECT 1 FROM pending") == []


@pytest.mark.parametrize(
    ("speaker", "who"), [(ADMIN, "Friends"), (PERSON, "News (@the_news)"), (FORWARD, "News (@the_news)")]
)
def test_a_chat_that_they_name_speaks_under_its_title(
    bot: Instance, speaker: dict[str, Any], who: str
) -> None:
    [turn] = say(bot, "@the_bot hello", **speaker)
    assert turn.user_id == speaker["sender_chat"]["id"]
    assert prompt_of(turn.text, context_of(turn.messages)) == f"[From {who}]\n\nhello"


def test_one_chat_that_may_speak_lets_no_other_speak(bot: Instance) -> None:
    let_speak(bot, GROUP)
    assert say(bot, "@the_bot hello", **PERSON) == []
    assert say(bot, "@the_bot hello", **ADMIN)


def test_a_post_is_answered_in_its_channel_when_it_is_for_the_bot(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, group_activation="mention")
    assert bot.receive(post(bot, "news of today")).claimed == []
    [turn] = bot.receive(post(bot, "@the_bot sum it up")).claimed
    assert (turn.text, turn.chat_id, turn.user_id) == ("sum it up", CHANNEL, CHANNEL)
    bot.finish(turn)
    assert bot.answers(CHANNEL) == ["re: sum it up"]


def test_an_edited_post_changes_what_waits(bot: Instance) -> None:
    [turn] = bot.receive(post(bot, "a")).claimed
    waiting = post(bot, "b")
    bot.receive(waiting)
    edited = post(bot, "better", "edited_channel_post", message_id=waiting["channel_post"]["message_id"])
    assert len(bot.receive(edited).changed) == 1
    following = bot.finish(turn)
    assert following
    assert following.text == "better"


def test_commands_of_a_chat_act_but_never_those_of_the_owner(bot: Instance) -> None:
    say(bot, "a", **ADMIN)
    say(bot, "/stop", **ADMIN)
    assert bot.states(GROUP) == {"a": "stopped"}
    for command in ("/allow 9", "/allow", "/deny 7", "/users"):
        say(bot, command, **ADMIN)
    assert bot.answers(GROUP)[1:] == [NOT_OWNER] * 4
    assert bot.rows("SELECT 1 FROM allowed") == []


def test_who_writes_for_a_chat_presses_as_themselves(bot: Instance) -> None:
    """Telegram names the person in a press: nobody gets the rights of the chat by pressing."""
    bot.do(allowed.allow, bot.owner.bot_id, 8, "user", None, OWNER)
    [turn] = say(bot, "a", **ADMIN)
    assert bot.press(f"stop:{turn.row_id}", chat=GROUP, user=9).turned_away, "a stranger"
    bot.press(f"stop:{turn.row_id}", chat=GROUP, user=8)
    assert bot.states(GROUP) == {"a": "claimed"}
    bot.press(f"stop:{turn.row_id}", chat=GROUP, user=OWNER)
    assert bot.states(GROUP) == {"a": "stopped"}


def test_a_press_that_claims_to_come_from_a_chat_is_one_of_nobody(bot: Instance) -> None:
    [turn] = say(bot, "a", **PERSON)
    press = pressed(new_id(), f"stop:{turn.row_id}", chat=GROUP)
    press["callback_query"]["from"] = AS_CHANNEL
    assert bot.receive(press).turned_away
    assert bot.states(GROUP) == {"a": "claimed"}


def test_what_waited_is_not_worked_on_when_the_chat_may_not_speak_any_more(bot: Instance) -> None:
    """Also where the group is allowed as such: its members are people."""
    bot.do(allowed.allow, bot.owner.bot_id, GROUP, "group", None, OWNER)
    [turn] = say(bot, "a", **ADMIN)
    say(bot, "b", **ADMIN)
    following = bot.finish(turn)
    assert following
    assert not following.allowed
    assert not Access(None).may_talk(following.user_id)


def test_each_speaker_has_a_session_of_its_own_where_each_user_has(bot: Instance) -> None:
    bot.rules = dataclasses.replace(bot.rules, group_sessions="user")
    [admin], [channel] = say(bot, "a", **ADMIN), say(bot, "b", **PERSON)
    assert admin.session_key.endswith(f":u{GROUP}")
    assert channel.session_key.endswith(f":u{CHANNEL}")
