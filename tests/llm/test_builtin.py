"""The tools that are always there: notes stay in their session, and a time zone too."""

import re
import sys
import zoneinfo
from collections.abc import Iterator

import pytest

from tests.llm.calling import Call, Place, run
from tests.store.instance import Instance, StartInstance
from tgbot.agents.llm.prompt import instructions
from tgbot.agents.llm.tools import builtin
from tgbot.agents.llm.tools.loading import load
from tgbot.turns.agent import File


async def results(place: Place, *calls: tuple[str, dict[str, str]]) -> list[str]:
    return (await run(load({}, []), place.deps, *(Call(*one) for one in calls))).results


async def test_a_note_is_there_in_the_next_turn_until_it_is_forgotten(instance: Instance) -> None:
    first = instance.start("a", "b")
    noted = await results(
        Place(instance, first),
        ("recall", {}),
        ("remember", {"name": "shoe size", "text": "40"}),
        ("remember", {"name": "shoe size ", "text": "41"}),
        ("remember", {"name": "cat", "text": "Tom"}),
    )
    assert noted == ["There are no notes.", "Noted.", "Noted.", "Noted."]
    second = instance.finish(first)
    assert second
    later = await results(
        Place(instance, second),
        ("recall", {}),
        ("forget", {"name": "cat"}),
        ("forget", {"name": "cat"}),
        ("recall", {}),
    )
    assert later == [
        "cat: Tom\nshoe size: 41",
        "Forgotten.",
        "There is no note 'cat'.",
        "shoe size: 41",
    ]


async def test_notes_and_time_zones_of_one_chat_are_never_seen_in_another(instance: Instance) -> None:
    ann, ben = Place(instance, instance.start("a", chat=7)), Place(instance, instance.start("b", chat=8))
    await results(
        ann, ("remember", {"name": "secret", "text": "7"}), ("set_time_zone", {"time_zone": "Asia/Tokyo"})
    )
    seen = await results(ben, ("recall", {}), ("forget", {"name": "secret"}), ("current_time", {}))
    assert seen[:2] == ["There are no notes.", "There is no note 'secret'."]
    assert "UTC+0000" in seen[2]
    assert (await results(ann, ("recall", {})))[0] == "secret: 7"


async def test_the_time_is_that_of_the_zone_that_was_set(place: Place) -> None:
    said = await results(
        place,
        ("current_time", {}),
        ("set_time_zone", {"time_zone": "Asia/Tokyo"}),
        ("current_time", {}),
    )
    assert re.fullmatch(r"\w+day, \d{4}-\d\d-\d\d \d\d:\d\d \(UTC, UTC\+0000\)", said[0])
    assert said[1] == "The time zone is Asia/Tokyo."
    assert said[2].endswith("(Asia/Tokyo, UTC+0900)")


@pytest.mark.parametrize("name", ["Tokyo", "Europe", "../../etc/passwd", "/etc/passwd", "", "a\x00b"])
async def test_what_is_no_time_zone_is_said_to_be_none(place: Place, name: str) -> None:
    [said] = await results(place, ("set_time_zone", {"time_zone": name}))
    assert "is no time zone: use a name of the IANA database" in said


async def test_notes_have_limits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "NOTES_MAX", 1)
    said = await results(
        place,
        ("remember", {"name": "a", "text": "x" * builtin.NOTE_MAX}),
        ("remember", {"name": "b", "text": "x"}),
        ("remember", {"name": "a", "text": "replaced"}),
        ("remember", {"name": "a", "text": "x" * (builtin.NOTE_MAX + 1)}),
        ("remember", {"name": " ", "text": "x"}),
        ("recall", {}),
    )
    assert [line.partition(":")[0] for line in said] == [
        "Noted.",
        "Not kept",
        "Noted.",
        "Not kept",
        "Not kept",
        "a",
    ]
    assert said[-1] == "a: replaced"


async def test_a_file_is_sent_and_the_model_is_informed(place: Place) -> None:
    said = await results(
        place,
        ("send_file", {"name": "list.txt", "content": "äh 😀"}),
        ("send_file", {"name": "list.txt", "content": ""}),
    )
    assert said == ["It is sent with your answer.", "Not sent: the file is empty."]
    assert place.said == [File("list.txt", "äh 😀".encode())]


async def test_a_turn_that_lost_its_session_keeps_nothing(start_instance: StartInstance) -> None:
    old = start_instance()
    stale = Place(old, old.start("a"))
    new = start_instance()
    new.recover()
    [turn] = new.claim_waiting()
    with pytest.raises(Exception, match="does not hold"):
        await results(stale, ("remember", {"name": "a", "text": "b"}))
    assert await results(Place(new, turn), ("recall", {})) == ["There are no notes."]


@pytest.fixture
def no_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take the database of time zones away, as on a slim system."""
    imported = [name for name in sys.modules if name.startswith("tzdata.")]
    for name in ("tzdata", *imported):
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath([])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("no_zones")
async def test_without_a_database_of_time_zones_everything_is_in_utc(place: Place) -> None:
    assert instructions(place.agent_turn, None, None, "Asia/Tokyo").endswith(" the time zone UTC.")
    [said] = await results(place, ("current_time", {}))
    assert said.endswith("(UTC, UTC+0000)")
