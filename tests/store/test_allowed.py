"""Who may talk, as the database says it: people with their roles, and groups as such."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.house import House, raw_message
from tests.store.instance import Instance, StartInstance, key
from tgbot.access import Access
from tgbot.model import BotId, ChatId, Ownership, RowId, UserId
from tgbot.store import allowed, joins, modes, turns
from tgbot.store.allowed import Role
from tgbot.store.engine.connection import Connection
from tgbot.store.turns import Ending
from tgbot.turns.runner import NOT_ALLOWED

OWNER = UserId(7)
GROUP, SUPERGROUP = -5, -1000000000005


@pytest.fixture
def instance(start_instance: StartInstance) -> Instance:
    """An instance whose settings know only the owner."""
    return start_instance(allowed_users=frozenset([OWNER]))


def admit(instance: Instance, chat_id: int, role: Role = "user") -> bool:
    return instance.do(allowed.allow, instance.owner.bot_id, chat_id, role, None, OWNER)


def from_user(user_id: int) -> dict[str, Any]:
    return {"from": {"id": user_id, "is_bot": False, "first_name": "Ben"}}


def test_whom_the_database_allows_may_talk_and_nobody_else(instance: Instance) -> None:
    admit(instance, 8)
    assert instance.start("hello", chat=8).text == "hello"
    assert instance.say("hello", chat=9).claimed == []


def test_in_a_group_that_is_allowed_its_members_may_talk_there_and_only_there(instance: Instance) -> None:
    admit(instance, GROUP, "group")
    [turn] = instance.say("in here", chat=GROUP, **from_user(8)).claimed
    assert turn.allowed
    assert instance.say("alone", chat=8).claimed == []
    assert instance.say("elsewhere", chat=-6, **from_user(8)).claimed == []


def test_a_group_stays_allowed_when_it_becomes_a_supergroup(instance: Instance) -> None:
    admit(instance, GROUP, "group")
    instance.say("", chat=GROUP, migrate_to_chat_id=SUPERGROUP)
    assert len(instance.say("hello", chat=SUPERGROUP, **from_user(8)).claimed) == 1
    assert instance.say("hello", chat=GROUP, **from_user(8)).claimed == []


def test_two_groups_that_become_one_are_allowed_once(instance: Instance) -> None:
    admit(instance, GROUP, "group")
    admit(instance, SUPERGROUP, "group")
    instance.say("", chat=GROUP, migrate_to_chat_id=SUPERGROUP)
    assert len(instance.say("hello", chat=SUPERGROUP, **from_user(8)).claimed) == 1


def test_what_one_bot_allows_another_one_on_the_same_database_does_not(
    instance: Instance, start_instance: StartInstance
) -> None:
    admit(instance, 8)
    other = start_instance(bot_id=BotId(5), allowed_users=frozenset())
    assert other.say("hello", chat=8).claimed == []


def test_a_claim_says_whether_its_sender_still_may_talk(instance: Instance) -> None:
    admit(instance, 8)
    first = instance.start("first", "second", "third", chat=8)
    assert first.allowed
    second = instance.finish(first)
    assert second
    assert second.allowed
    assert instance.do(allowed.deny, instance.owner.bot_id, 8)
    third = instance.finish(second)
    assert third
    assert not third.allowed


async def test_what_waited_is_not_worked_on_when_its_sender_may_not_talk_any_more(house: House) -> None:
    bot_id, access = house.dispatcher.owner.bot_id, Access([OWNER])
    house.rules = dataclasses.replace(house.rules, access=access)
    house.runner._access = access
    await house.db.write(allowed.allow, bot_id, 8, "user", None, OWNER)
    await house.say("first", "second", chat=8)
    await house.db.write(allowed.deny, bot_id, 8)
    house.agent.let("first")
    await house.idle()
    assert await house.states(8) == ["done", "dropped"]
    assert await house.answers(8) == ["re: first", NOT_ALLOWED.text]


def test_an_owner_stays_and_whoever_is_allowed_twice_keeps_their_role(instance: Instance) -> None:
    assert admit(instance, 8, "owner")
    assert not admit(instance, 8, "user")
    assert not instance.do(allowed.deny, instance.owner.bot_id, 8)
    assert instance.do(allowed.role_of, instance.owner.bot_id, 8) == "owner"
    assert instance.do(allowed.owner_of, instance.owner.bot_id) == 8


def test_a_batch_asks_the_database_once_and_not_at_all_for_those_of_the_settings(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    among = allowed.among

    def counted(conn: Connection, bot_id: BotId, chat_ids: Iterable[int]) -> set[int]:
        asked.append(bot_id)
        return among(conn, bot_id, chat_ids)

    monkeypatch.setattr(allowed, "among", counted)
    instance.say("a", "b", "c", chat=OWNER)
    assert asked == []
    for user in (8, 9):
        admit(instance, user)
    instance.receive(*(raw_message(user, "hello", user) for user in (8, 9, 10)))
    assert len(asked) == 1


# who joins a turn


@pytest.fixture
def group(start_instance: StartInstance) -> Instance:
    """A group in which two friends wait behind the owner's turn."""
    bot = start_instance(allowed_users=frozenset([OWNER]))
    for friend in (8, 9):
        admit(bot, friend)
    bot.say("a", chat=GROUP, **from_user(OWNER))
    bot.say("b", chat=GROUP, **from_user(9))
    bot.say("c", chat=GROUP, **from_user(8))
    bot.say("d", chat=GROUP, **from_user(9))
    return bot


def running(bot: Instance) -> Ownership:
    [(token, row)] = bot.rows("SELECT g.turn_id, t.pending_id FROM guard g JOIN turn t ON t.id = g.turn_id")
    return Ownership(token, row, key(GROUP))


def test_who_may_not_talk_any_more_joins_no_turn_that_runs(group: Instance) -> None:
    group.do(modes.choose, key(GROUP), "steer")
    group.do(allowed.deny, group.owner.bot_id, 8)
    joined = group.do(joins.incoming, running(group), RowId(0))
    assert [json.loads(row.raw)["message"]["text"] for row in joined] == ["b"]
    assert group.states(GROUP) == {"a": "claimed", "b": "joined", "c": "queued", "d": "queued"}


def test_who_may_not_talk_any_more_is_not_collected(group: Instance) -> None:
    group.do(modes.choose, key(GROUP), "collect")
    group.do(allowed.deny, group.owner.bot_id, 8)
    together = group.do(turns.end, group.owner, running(group), Ending("done")).following
    assert together
    assert [message["text"] for message in together.messages] == ["b"]
    alone = group.finish(together)
    assert alone
    assert ([message["text"] for message in alone.messages], alone.allowed) == (["c"], False)
    assert group.states(GROUP)["d"] == "queued", "nor is it dropped with what is"


def test_who_was_let_talk_by_settings_that_are_gone_joins_no_turn(start_instance: StartInstance) -> None:
    bot = start_instance(allowed_users=frozenset([UserId(8)]))
    admit(bot, 9)
    bot.say("a", chat=GROUP, **from_user(9))
    bot.say("b", chat=GROUP, **from_user(8))
    bot.do(modes.choose, key(GROUP), "steer")
    later = start_instance(allowed_users=frozenset())
    assert later.do(joins.incoming, running(later), RowId(0)) == []


def test_those_of_the_settings_of_the_table_and_of_a_group_join(start_instance: StartInstance) -> None:
    bot_id, ids = BotId(42), [UserId(8), UserId(9), UserId(-5)]

    def who(bot: Instance) -> set[int]:
        return set(bot.do(allowed.may_talk, bot_id, ChatId(GROUP), ids))

    assert who(start_instance()) == {8, 9}, "everyone, but no chat that speaks"
    bot = start_instance(allowed_users=frozenset([UserId(8)]))
    assert who(bot) == {8}
    bot.do(allowed.note_settings, bot_id, [UserId(8)], [ChatId(-5)])
    assert who(bot) == {8, -5}
    admit(bot, GROUP, "group")
    assert who(bot) == {8, 9, -5}
