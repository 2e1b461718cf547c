"""What `tgbot status` and the admin page list is what the tables hold."""

import pytest

from tests.store.instance import Instance, StartInstance
from tgbot.store import sending
from tgbot.store.overview import Entry, overview


@pytest.fixture
def busy(start_instance: StartInstance) -> Instance:
    """A chat with a dead row, one whose turn was stopped and holds a row, one whose answer is parked."""
    instance = start_instance()
    instance.start("poison")
    instance = start_instance(crashes_max=1)
    instance.recover()
    instance.start("a", "b", chat=8)
    instance.say("/stop", "c", chat=8)
    instance.finish(instance.start("x", chat=9), "y" * 100)
    instance.do(sending.park, instance.the_next(9), "blocked")
    return instance


def listed(instance: Instance, chat_id: int | None = None) -> dict[str, list[Entry]]:
    found = instance.do(overview, chat_id=chat_id)
    assert all(section.total == len(section.entries) for section in found.values())
    return {kind: section.entries for kind, section in found.items()}


def test_each_row_is_listed_where_it_belongs_with_its_chat_and_words(busy: Instance) -> None:
    found = listed(busy)
    assert {kind: [(one.chat_id, one.text) for one in entries] for kind, entries in found.items()} == {
        "running": [(8, "a")],
        "queued": [(8, "c")],
        "asking": [],
        "held": [(8, "b")],
        "dead": [(7, "poison")],
        "unsent": [(7, found["unsent"][0].text), (8, found["unsent"][1].text)],
        "parked": [(9, "y" * 59 + "…")],
    }
    assert (found["running"][0].state, found["running"][0].session_key) == ("stopped", "42:8")
    assert [one.why for one in found["parked"] + found["dead"]] == ["blocked", "interrupted too often"]
    assert {one.name for one in found["dead"]} == {"Ann"}


def test_of_one_chat_only_what_is_of_it_or_of_the_person(busy: Instance) -> None:
    busy.say("in the group", chat=-100, **{"from": {"id": 7, "is_bot": False, "first_name": ""}})
    busy.say("second", chat=-100, **{"from": {"id": 8, "is_bot": False, "first_name": "Bob"}})
    found = listed(busy, 7)
    assert [(one.chat_id, one.user_id) for entries in found.values() for one in entries] == [
        (-100, 7),
        (7, 7),
        (7, 7),
    ]
    assert {one.chat_id for entries in listed(busy, -100).values() for one in entries} == {-100}


def test_lists_are_bounded_and_totals_are_exact(instance: Instance) -> None:
    bad = [{"update_id": n, "message": {"text": "x", "from": {}}} for n in range(9)]
    instance.receive(*bad)
    dead = instance.do(overview, 4)["dead"]
    assert (dead.total, len(dead.entries)) == (9, 4)
    assert {one.why for one in dead.entries} == {"cannot be read"}
