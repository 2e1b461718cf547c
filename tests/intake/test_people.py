"""The owner says who may talk; and who may press whose buttons."""

from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, new_id
from tests.store.test_questions import ask, buttons
from tgbot.intake.commands.people import LISTED_MAX
from tgbot.intake.commands.registry import NOT_OWNER, NOT_YOURS
from tgbot.model import Raw, Turn, UserId
from tgbot.store import allowed

OWNER, FRIEND, OTHER = UserId(7), UserId(8), UserId(9)
GROUP = -5


@pytest.fixture
def bot(start_instance: StartInstance) -> Instance:
    """A bot whose settings name the owner."""
    return start_instance(allowed_users=frozenset([OWNER]))


def sender(user_id: int) -> dict[str, Any]:
    return {"from": {"id": user_id, "is_bot": False, "first_name": "Ann"}}


def said(user_id: int, text: str, chat: int = GROUP) -> Raw:
    raw = raw_message(new_id(), text, chat, **sender(user_id))
    raw["message"]["chat"]["title"] = "Weekend trip"
    return raw


def say(bot: Instance, user_id: int, *texts: str, chat: int = GROUP) -> list[Turn]:
    return bot.receive(*(said(user_id, text, chat) for text in texts)).claimed


def toast(bot: Instance, user_id: int, data: str) -> str | None:
    [(_, shown)] = bot.press(data, chat=GROUP, user=user_id).controls
    return shown


# /allow, /deny, /users


def test_the_owner_lets_a_person_in_by_their_id_and_takes_it_back(bot: Instance) -> None:
    say(bot, OWNER, "/allow 8", chat=OWNER)
    assert say(bot, FRIEND, "hello", chat=FRIEND)
    say(bot, OWNER, "/deny 8", chat=OWNER)
    assert say(bot, FRIEND, "again", chat=FRIEND) == []
    assert bot.answers(OWNER) == ["8 may talk to me now.", "8 may not talk to me."]


def test_who_was_allowed_in_a_batch_is_heard_in_the_rest_of_it_and_who_was_denied_is_not(
    bot: Instance,
) -> None:
    words = [("early", FRIEND), ("/allow 8", OWNER), ("heard", FRIEND), ("/deny 8", OWNER), ("late", FRIEND)]
    bot.receive(*(said(user_id, text, user_id) for text, user_id in words))
    assert bot.states(FRIEND).pop("heard") == "claimed"
    assert "late" not in bot.states(FRIEND)


def test_who_asked_before_and_is_allowed_by_a_command_hears_so(bot: Instance) -> None:
    say(bot, FRIEND, "/pair", chat=FRIEND)
    say(bot, OWNER, "/allow 8", chat=OWNER)
    assert bot.answers(OWNER)[-1] == "Ann (8) may talk to me now."
    assert bot.answers(FRIEND)[-1] == "You may talk to me now."


def test_the_owner_allows_a_group_as_such_and_takes_it_back(bot: Instance) -> None:
    assert say(bot, FRIEND, "hello") == []
    say(bot, OWNER, "/allow")
    assert bot.answers(GROUP) == ["Everyone in this group may talk to me here now."]
    [turn] = say(bot, FRIEND, "hello")
    bot.finish(turn)
    say(bot, OWNER, "/deny")
    assert say(bot, FRIEND, "again") == []


def test_nobody_but_the_owner_allows_or_denies_or_lists_anybody(bot: Instance) -> None:
    bot.do(allowed.allow, bot.owner.bot_id, FRIEND, "user", None, OWNER)
    say(bot, FRIEND, "/allow", "/allow 9", "/deny 7", "/users", chat=FRIEND)
    assert bot.answers(FRIEND) == [NOT_OWNER] * 4
    assert say(bot, FRIEND, "/help", chat=FRIEND) == []
    assert "/allow" not in bot.answers(FRIEND)[-1]
    say(bot, OWNER, "/help", chat=OWNER)
    assert "/allow - " in bot.answers(OWNER)[-1]


@pytest.mark.parametrize("text", ["/allow", "/deny", "/allow Ann", "/deny 08", "/allow 8 9"])
def test_a_command_that_names_nobody_says_how_to(bot: Instance, text: str) -> None:
    say(bot, OWNER, text, chat=OWNER)
    assert bot.answers(OWNER)[-1].startswith("Whom?")


@pytest.mark.parametrize("text", ["/allow 7", "/deny 7"])
def test_whom_the_settings_name_only_they_can_take_out(bot: Instance, text: str) -> None:
    say(bot, OWNER, text, chat=OWNER)
    assert bot.answers(OWNER)[-1].startswith("TGBOT_ALLOWED_USERS lets 7 talk to me.")


def test_an_owner_cannot_be_denied(bot: Instance) -> None:
    bot.do(allowed.allow, bot.owner.bot_id, FRIEND, "owner", None, FRIEND)
    say(bot, FRIEND, "/deny 8", chat=FRIEND)
    assert bot.answers(FRIEND) == ["8 owns this bot, and stays its owner."]
    assert say(bot, FRIEND, "hello", chat=FRIEND)


def test_users_lists_people_and_groups_with_what_they_may(bot: Instance) -> None:
    say(bot, FRIEND, "/pair", chat=FRIEND)
    say(bot, OWNER, "/allow 8", "/users", chat=OWNER)
    say(bot, OWNER, "/allow", "/users")
    assert bot.answers(GROUP)[-1].split("\n") == [
        "These may talk to me:",
        "- 7, the owner (TGBOT_ALLOWED_USERS)",
        "- Ann (8)",
        "- Weekend trip (-5), everyone in this group",
        "/allow and /deny change it.",
    ]


def test_a_long_list_of_users_is_cut_and_says_so(bot: Instance) -> None:
    for user_id in range(100, 102 + LISTED_MAX):
        bot.do(allowed.allow, bot.owner.bot_id, user_id, "user", "x" * 64, OWNER)
    say(bot, OWNER, "/users", chat=OWNER)
    assert "and 2 more" in bot.answers(OWNER)[-1]
    assert len(bot.answers(OWNER)[-1]) < 4096


def test_where_everyone_may_talk_nobody_needs_to_be_allowed(instance: Instance) -> None:
    instance.do(allowed.allow, instance.owner.bot_id, OWNER, "owner", None, OWNER)
    instance.say("/allow 9", "/users", chat=OWNER)
    assert instance.answers()[0].startswith("TGBOT_ALLOWED_USERS lets everyone talk to me.")
    assert "- everyone (TGBOT_ALLOWED_USERS)" in instance.answers()[1]


# Whose buttons


@pytest.fixture
def friends(bot: Instance) -> Instance:
    """Two people besides the owner may talk, also in the group, which is not allowed as such."""
    for user_id in (FRIEND, OTHER):
        bot.do(allowed.allow, bot.owner.bot_id, user_id, "user", None, OWNER)
    return bot


@pytest.mark.parametrize("presser", [FRIEND, OWNER])
def test_who_asked_and_the_owner_may_press_a_turns_buttons(friends: Instance, presser: UserId) -> None:
    [turn] = say(friends, FRIEND, "a", "b")
    toast(friends, presser, f"stop:{turn.row_id}")
    assert friends.states(GROUP) == {"a": "stopped", "b": "held"}


@pytest.mark.parametrize("name", ["stop", "retry", "forget", "show"])
def test_others_may_not_press_a_turns_buttons(friends: Instance, name: str) -> None:
    [turn] = say(friends, FRIEND, "a", "b")
    assert toast(friends, OTHER, f"{name}:{turn.row_id}") == NOT_YOURS
    assert friends.states(GROUP) == {"a": "claimed", "b": "queued"}


def test_what_somebodys_stop_holds_others_cannot_drop(friends: Instance) -> None:
    say(friends, FRIEND, "a", "b", "/stop")
    [(stop,)] = friends.rows("SELECT DISTINCT held_by FROM pending WHERE held_by IS NOT NULL")
    assert toast(friends, OTHER, f"drop:{stop}") == NOT_YOURS
    assert friends.states(GROUP) == {"a": "stopped", "b": "held"}
    toast(friends, FRIEND, f"drop:{stop}")
    assert friends.states(GROUP) == {"a": "stopped", "b": "dropped"}


def test_in_a_group_that_is_allowed_its_members_may_press_a_turns_buttons(bot: Instance) -> None:
    say(bot, OWNER, "/allow")
    [turn] = say(bot, FRIEND, "a")
    toast(bot, OTHER, f"stop:{turn.row_id}")
    assert bot.states(GROUP) == {"a": "stopped"}


def test_also_there_only_who_was_asked_and_the_owner_may_approve(bot: Instance) -> None:
    say(bot, OWNER, "/allow")
    for presser, may in ((OTHER, False), (OWNER, True), (FRIEND, True)):
        [turn] = say(bot, FRIEND, "pay")
        ask(bot, turn, "pay")
        [question] = buttons(bot)
        received = bot.press(f"{question}:0", chat=GROUP, user=presser)
        assert bool(received.claimed) is may
        say(bot, OWNER, "/stop")
        if received.claimed:
            bot.release(received.claimed[0])
    [(by,), (also,)] = bot.rows("SELECT answered_by FROM question WHERE answered_by IS NOT NULL ORDER BY id")
    assert (by, also) == (OWNER, FRIEND)


def test_who_may_not_talk_any_more_may_not_press_either(friends: Instance) -> None:
    [turn] = say(friends, FRIEND, "a")
    say(friends, OWNER, "/deny 8", chat=OWNER)
    received = friends.press(f"stop:{turn.row_id}", chat=GROUP, user=FRIEND)
    assert len(received.turned_away) == 1
    assert friends.states(GROUP) == {"a": "claimed"}
