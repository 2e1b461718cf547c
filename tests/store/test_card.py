"""The card: it says what waits and is on hold, and its buttons act on the rows they were drawn for."""

import json
from typing import Any

import pytest

from tests.store.instance import Instance, StartInstance, key
from tgbot.model import Turn
from tgbot.store import card, interrupted, queue

STOP = "SELECT text, buttons, state FROM outbox WHERE kind = 'reply' AND text LIKE 'Stopped%'"


def refresh(instance: Instance, **how: Any) -> int | None:  # noqa: ANN401 - a page, or a place
    return instance.do(card.refresh, key(), **how)


def shown(instance: Instance) -> str:
    """Give the text of the card, "" if there is none."""
    rows = instance.rows("SELECT text FROM outbox WHERE kind = 'card'")
    return str(rows[0][0]) if rows else ""


def labels(instance: Instance) -> dict[str, str]:
    """Map the labels of the card's buttons to their data."""
    [(buttons,)] = instance.rows("SELECT buttons FROM outbox WHERE kind = 'card'")
    keyboard = json.loads(buttons)["inline_keyboard"]
    return {one["text"]: one["callback_data"] for row in keyboard for one in row}


def press(instance: Instance, label: str) -> list[str | None]:
    """Press a button of the card; returns the toast."""
    return [toast for _, toast in instance.press(labels(instance)[label]).controls]


def following(turn: Turn | None) -> Turn:
    assert turn
    return turn


def test_there_is_none_while_nothing_waits(instance: Instance) -> None:
    instance.start("a")
    assert refresh(instance) is None
    assert shown(instance) == ""


def test_it_lists_what_waits_in_the_order_in_which_it_runs(instance: Instance) -> None:
    instance.start("a", "b", "c")
    assert refresh(instance) == 7
    assert shown(instance) == "2 waiting:\n1. “b”\n2. “c”"
    assert refresh(instance) is None, "nothing has changed"


def test_it_is_silent_and_comes_after_everything_else(instance: Instance) -> None:
    turn = instance.start("a", "b")
    refresh(instance)
    instance.finish(turn)
    assert instance.rows("SELECT silent FROM outbox WHERE kind = 'card'") == [(1,)]
    assert instance.the_next().text == "re: a"


def test_it_changes_in_its_place_and_disappears_with_the_last_row(instance: Instance) -> None:
    turn = instance.start("a", "b")
    refresh(instance)
    message_id = instance.sent(instance.the_next())
    instance.say("c")
    refresh(instance)
    assert (instance.the_next().message_id, shown(instance)) == (message_id, "2 waiting:\n1. “b”\n2. “c”")
    instance.finish(following(instance.finish(turn)))
    instance.send_all()
    refresh(instance)
    assert [(instance.the_next().kind, instance.the_next().message_id)] == [("surplus", message_id)]
    instance.send_all()
    assert shown(instance) == ""


def test_one_that_was_never_sent_just_goes(instance: Instance) -> None:
    turn = instance.start("a", "b")
    refresh(instance)
    instance.finish(turn)
    refresh(instance)
    assert instance.rows("SELECT kind FROM outbox WHERE kind IN ('card', 'surplus')") == []


def test_queue_brings_it_to_the_bottom(instance: Instance) -> None:
    instance.start("a", "b")
    refresh(instance)
    old = instance.sent(instance.the_next())
    instance.say("/queue")
    texts = instance.send_all()
    assert texts == ["…", "1 waiting:\n1. “b”"]
    [(new,)] = instance.rows("SELECT message_id FROM outbox WHERE kind = 'card'")
    assert new > old


def test_queue_says_that_nothing_waits(instance: Instance) -> None:
    instance.say("/queue")
    assert instance.answers() == ["Nothing waits here, and nothing is on hold."]


def test_drop_drops_exactly_its_row(instance: Instance) -> None:
    instance.start("a", "b", "c")
    refresh(instance)
    assert press(instance, "1 drop") == ["Dropped."]
    assert instance.states() == {"a": "claimed", "b": "dropped", "c": "queued"}
    assert shown(instance) == "1 waiting:\n1. “c”"


def test_next_puts_a_row_first_also_before_one_that_was_put_first(instance: Instance) -> None:
    turn = instance.start("a", "b", "c", "d")
    refresh(instance)
    press(instance, "2 next")
    press(instance, "3 next")
    assert shown(instance) == "3 waiting:\n1. “d”\n2. “c”\n3. “b”"
    order = []
    while turn := instance.finish(turn):  # type: ignore[assignment] # None ends it
        order.append(turn.text)
    assert order == ["d", "c", "b"]


def test_what_was_interrupted_runs_before_what_was_put_first(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("a", "b", "c")
    refresh(instance)
    press(instance, "2 next")
    later = start_instance()
    later.recover()
    [turn] = later.claim_waiting()
    assert turn.text == "a"
    assert following(later.finish(turn)).text == "c"


def test_now_stops_the_running_turn_first(instance: Instance) -> None:
    turn = instance.start("a", "b", "c")
    refresh(instance)
    assert press(instance, "2 now") == ["Running it now."]
    assert instance.states() == {"a": "stopped", "b": "queued", "c": "queued"}
    assert following(instance.finish(turn)).text == "c"


def test_what_is_on_hold_is_listed_and_run_by_one_button_or_by_its_own(instance: Instance) -> None:
    turn = instance.start("a", "b", "c")
    instance.say("/stop")
    instance.finish(turn)
    refresh(instance)
    assert shown(instance) == "2 on hold:\n1. “b”\n2. “c”"
    press(instance, "2 next")
    assert instance.states() == {"a": "stopped", "b": "held", "c": "claimed"}
    press(instance, "Run what is on hold")
    assert instance.states()["b"] == "queued"


def test_what_waits_and_what_is_on_hold_are_told_apart(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    instance.say("c", "d")
    refresh(instance)
    assert shown(instance) == "2 waiting, 1 on hold:\n1. “c”\n2. “d”\n3. “b” (on hold)"


def test_drop_all_drops_what_waits_and_what_is_held(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    instance.say("c")
    refresh(instance)
    assert press(instance, "Drop all") == ["Dropped 2."]
    assert instance.states() == {"a": "stopped", "b": "dropped", "c": "dropped"}
    assert shown(instance) == ""


@pytest.mark.parametrize("name", ["drop", "next", "now"])
def test_a_button_whose_row_is_gone_says_so_and_does_nothing(instance: Instance, name: str) -> None:
    turn = instance.start("a", "b", "c")
    refresh(instance)
    old = labels(instance)[f"1 {name}"]
    b = following(instance.finish(turn))
    [(_, toast)] = instance.press(old).controls
    assert toast == "This one does not wait any more."
    assert instance.states() == {"a": "done", "b": "claimed", "c": "queued"}
    assert following(instance.finish(b)).text == "c"


def test_a_button_acts_on_its_row_after_a_restart(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("a", "b", "c")
    refresh(instance)
    old = labels(instance)["2 drop"]
    later = start_instance()
    later.press(old)
    assert later.states() == {"a": "claimed", "b": "queued", "c": "dropped"}


def test_more_than_ten_are_pages(instance: Instance) -> None:
    instance.start("a", *(f"m{number}" for number in range(1, 13)))
    refresh(instance)
    assert shown(instance).splitlines()[-1] == "10. “m10”"
    press(instance, "2")
    assert shown(instance) == "12 waiting:\n11. “m11”\n12. “m12”"


@pytest.mark.parametrize(
    "answer", ["/resume", "/drop", "Drop all", "Run what is on hold", "1 next", "1 drop"]
)
def test_the_buttons_of_a_stop_go_when_it_is_decided_elsewhere_and_its_text_stays(
    instance: Instance, answer: str
) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    instance.send_all()
    refresh(instance)
    if answer.startswith("/"):
        instance.say(answer)
    else:
        press(instance, answer)
    [(text, buttons, state)] = instance.rows(STOP)
    assert text.startswith("Stopped. On hold")
    assert (buttons, state) == (None, "ready")


def test_the_buttons_of_a_stop_stay_while_some_of_it_is_on_hold(instance: Instance) -> None:
    instance.start("a", "b", "c")
    instance.say("/stop")
    instance.send_all()
    refresh(instance)
    press(instance, "1 drop")
    [(_, buttons, state)] = instance.rows(STOP)
    assert buttons
    assert state == "sent"


def test_a_stale_button_of_a_stop_leaves_its_text(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop", "/resume")
    [(stop_id,)] = instance.rows("SELECT min(id) FROM pending WHERE kind = 'control'")
    [(_, toast)] = instance.press(f"drop:{stop_id}").controls
    assert toast == "Nothing is on hold."
    assert instance.rows(STOP)[0][0].startswith("Stopped. On hold")


@pytest.mark.parametrize("how", ["shutdown", "refused"])
def test_a_card_that_nothing_waits_for_before_it_was_sent_is_never_shown(
    instance: Instance, how: str
) -> None:
    """A shutdown, or a chat in which the bot may not write just now, comes in between."""
    turn = instance.start("one", "two")
    refresh(instance)
    begun = instance.the_next()
    instance.do(queue.drop_all, key())
    refresh(instance)
    if how == "shutdown":
        instance.do(interrupted.not_begun, [], instance.owner.instance_id)
    else:
        instance.do(interrupted.take_back, begun)
    assert instance.next_part() is None
    assert instance.rows("SELECT count(*) FROM outbox WHERE kind IN ('card', 'surplus')") == [(0,)]
    instance.finish(turn)
