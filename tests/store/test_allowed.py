"""Who may talk, as the database says it: people with their roles, and groups as such."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest

from tests.house import House, raw_message
from tests.store.instance import Instance, StartInstance
from tgbot.access import Access
from tgbot.model import BotId, UserId
from tgbot.store import allowed
from tgbot.store.allowed import Role
from tgbot.store.engine.connection import Connection
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
