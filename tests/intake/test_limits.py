"""Limits for each user: messages a minute and turns a day, said once, and kept over restarts."""

import dataclasses
import time

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance
from tgbot.intake.limits import Limits

NOON = 43_200.0 + 20_000 * 86_400


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the clock stand at noon, until a test sets its only entry."""
    now = [NOON]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def limit(instance: Instance, minute: int | None = None, day: int | None = None) -> Instance:
    instance.rules = dataclasses.replace(instance.rules, limits=Limits(minute, day))
    return instance


def notices(instance: Instance, chat: int = 7) -> list[str]:
    return [said for said in instance.answers(chat) if "I take no more" in said]


def test_without_limits_nothing_is_counted(instance: Instance) -> None:
    instance.say(*"abcdef")
    assert instance.rows("SELECT 1 FROM allowance") == []


def test_more_messages_in_a_minute_than_allowed_are_not_taken_which_is_said_once(
    instance: Instance, clock: list[float]
) -> None:
    limit(instance, minute=2)
    instance.say("a", "b", "c")
    received = instance.say("d")
    assert (received.waiting, received.replied) == ([], set())
    assert instance.states() == {"a": "claimed", "b": "queued", "c": "dropped", "d": "dropped"}
    [said] = notices(instance)
    assert said.startswith("I take no more than 2 messages from you in a minute,")
    clock[0] += 60
    instance.say("e", "f", "g")
    assert instance.states()["e"] == "queued"
    assert len(notices(instance)) == 2, "once in each minute"


def test_more_turns_in_a_day_than_allowed_are_not_run_until_the_next_day(
    instance: Instance, clock: list[float]
) -> None:
    limit(instance, day=1)
    instance.say("a", "b")
    clock[0] += 3600
    instance.say("c")
    assert instance.states() == {"a": "claimed", "b": "dropped", "c": "dropped"}
    [said] = notices(instance)
    assert said.startswith("I take no more than 1 message from you in a day,")
    clock[0] = NOON + 43_200
    instance.say("d")
    assert instance.states()["d"] == "queued"


def test_a_restart_does_not_forget_what_was_taken(start_instance: StartInstance) -> None:
    limit(start_instance(), day=1).say("a", "b")
    again = limit(start_instance(), day=1)
    assert again.say("c").replied == set(), "nor is it said once more"
    assert again.states()["c"] == "dropped"


def test_each_user_has_limits_of_their_own_in_all_chats_together(instance: Instance) -> None:
    limit(instance, day=2)
    ann = {"from": {"id": 7, "is_bot": False, "first_name": "Ann"}}
    instance.say("a", chat=7)
    instance.say("b", "c", chat=-5, **ann)
    instance.say("mine", chat=8)
    assert instance.states(-5) == {"b": "claimed", "c": "dropped"}
    assert instance.states(8) == {"mine": "claimed"}


def test_what_comes_again_counts_once(instance: Instance) -> None:
    limit(instance, day=2)
    again = raw_message(5, "a")
    for _ in range(3):
        instance.receive(again)
    instance.say("b")
    assert instance.states() == {"a": "claimed", "b": "queued"}


def test_an_album_is_one_and_commands_are_none(instance: Instance) -> None:
    limit(instance, minute=2, day=2)
    instance.say("/status", "/stop", "/help")
    instance.say("1", "2", "3", media_group_id="a")
    instance.say("b")
    assert instance.states() == {"1": "queued", "2": "joined", "3": "joined", "b": "queued"}
    instance.say("4", "5", media_group_id="b")
    assert [instance.states()[said] for said in "45"] == ["dropped", "dropped"]
    assert len(notices(instance)) == 1


def test_a_full_queue_takes_nothing_of_a_limit(start_instance: StartInstance) -> None:
    instance = limit(start_instance(queue_max=1), day=3)
    instance.say("a", "b", "no room")
    [(number,)] = instance.rows("SELECT number FROM allowance")
    assert number == 2
