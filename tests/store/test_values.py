"""Values of a session: only the turn that holds it reads and writes them, and they follow its chat."""

from collections.abc import Callable

import pytest

from tests.store.instance import Instance, StartInstance, key
from tests.store.test_chats import NEW, OLD, upgraded
from tgbot.model import Turn
from tgbot.store import values
from tgbot.store.fence import LostGuardError


def note(instance: Instance, turn: Turn, name: str, words: str) -> None:
    instance.do(values.put, turn, "note", name, words)


def notes(instance: Instance, turn: Turn) -> dict[str, str]:
    return instance.do(values.all_of, turn, "note")


def test_a_later_turn_of_the_session_reads_what_an_earlier_one_wrote(instance: Instance) -> None:
    first = instance.start("a", "b")
    note(instance, first, "pin", "1")
    note(instance, first, "name", "Ann")
    note(instance, first, "pin", "2")
    second = instance.finish(first)
    assert second
    assert notes(instance, second) == {"name": "Ann", "pin": "2"}
    assert instance.do(values.get, second, "note", "pin") == "2"
    assert instance.do(values.get, second, "note", "shoe size") is None


def test_what_is_removed_is_gone_and_only_that(instance: Instance) -> None:
    turn = instance.start("a")
    note(instance, turn, "pin", "1")
    note(instance, turn, "name", "Ann")
    assert instance.do(values.remove, turn, "note", "pin")
    assert not instance.do(values.remove, turn, "note", "pin")
    assert notes(instance, turn) == {"name": "Ann"}


def test_neither_sessions_nor_kinds_see_each_other(instance: Instance) -> None:
    here, there = instance.start("a"), instance.start("b", chat=8)
    note(instance, here, "pin", "mine")
    instance.do(values.put, here, "setting", "pin", "a setting")
    assert notes(instance, there) == {}
    assert instance.do(values.get, there, "note", "pin") is None
    assert not instance.do(values.remove, there, "note", "pin")
    assert notes(instance, here) == {"pin": "mine"}


Use = Callable[[Instance, Turn], object]


@pytest.mark.parametrize(
    "use",
    [
        lambda instance, turn: note(instance, turn, "pin", "stale"),
        lambda instance, turn: instance.do(values.remove, turn, "note", "pin"),
        lambda instance, turn: instance.do(values.get, turn, "note", "pin"),
        notes,
    ],
    ids=["put", "remove", "get", "all of"],
)
def test_a_turn_that_lost_its_guard_can_do_nothing(start_instance: StartInstance, use: Use) -> None:
    old = start_instance()
    stale = old.start("a")
    note(old, stale, "pin", "1")
    new = start_instance()
    new.recover()
    [turn] = new.claim_waiting()
    with pytest.raises(LostGuardError):
        use(old, stale)
    assert notes(new, turn) == {"pin": "1"}


def test_the_values_of_a_group_and_its_topics_follow_it_into_the_supergroup(instance: Instance) -> None:
    group = instance.start("a", chat=OLD)
    [topic] = instance.say("b", chat=OLD, message_thread_id=3, is_topic_message=True).claimed
    other = instance.start("c", chat=-51)
    for turn, words in (group, "group"), (topic, "topic"), (other, "other"):
        note(instance, turn, "pin", words)
    instance.receive(upgraded(1))
    note(instance, group, "later", "the running turn goes on")
    found = instance.rows(
        "SELECT session_key, name, value FROM session_value WHERE kind != 'setting' ORDER BY 1, 2"
    )
    assert found == [
        (f"42:{NEW}", "later", "the running turn goes on"),
        (f"42:{NEW}", "pin", "group"),
        (f"42:{NEW}:3", "pin", "topic"),
        ("42:-51", "pin", "other"),
    ]


def test_where_the_supergroup_has_a_value_already_it_is_the_newer_one(instance: Instance) -> None:
    group = instance.start("a", chat=OLD)
    note(instance, group, "pin", "old")
    note(instance, group, "name", "Ann")
    note(instance, instance.start("b", chat=NEW), "pin", "new")
    instance.receive(upgraded(1))
    assert notes(instance, group) == {"name": "Ann", "pin": "new"}


def test_a_control_keeps_values_for_the_session_that_it_names(instance: Instance) -> None:
    instance.do(values.put_in, key(7), "setting", "model", "a")
    instance.do(values.put_in, key(8), "setting", "model", "b")
    assert instance.do(values.get, instance.start("hi"), "setting", "model") == "a"
    assert instance.do(values.remove_in, key(7), "setting", "model")
    assert instance.do(values.get_in, key(7), "setting", "model") is None
    assert instance.do(values.get_in, key(8), "setting", "model") == "b"
