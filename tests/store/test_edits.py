"""Edits: what waits changes, what ran is offered to run again, and commands are never replayed."""

import dataclasses
import itertools
import json
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance, said_in
from tgbot.intake.batch import Received
from tgbot.intake.limits import Limits
from tgbot.model import Raw, Turn, UserId

_ids = itertools.count(500_000)


def edit(instance: Instance, was: str, now: str, **more: Any) -> Received:  # noqa: ANN401 - any field
    """Edit the text of a message, as Telegram reports it."""
    return instance.receive(edited(instance, was, now, **more))


def edited(instance: Instance, was: str, now: str, **more: Any) -> Raw:  # noqa: ANN401 - any field
    sql = "SELECT raw, message_id FROM pending ORDER BY id DESC"
    message_id = next(found for raw, found in instance.rows(sql) if (said_in(raw) or "").endswith(was))
    raw = raw_message(next(_ids), now, **more)
    return {"update_id": raw["update_id"], "edited_message": {**raw["message"], "message_id": message_id}}


def button(instance: Instance) -> tuple[str, str]:
    """Find the label and the data of the newest button."""
    [(keyboard,)] = instance.rows(
        "SELECT buttons FROM outbox WHERE buttons IS NOT NULL ORDER BY id DESC LIMIT 1"
    )
    [[one]] = json.loads(keyboard)["inline_keyboard"]
    return one["text"], one["callback_data"]


def press(instance: Instance) -> Received:
    return instance.press(button(instance)[1])


def following(turn: Turn | None) -> Turn:
    assert turn
    return turn


def test_an_edit_of_a_waiting_message_changes_what_runs(instance: Instance) -> None:
    turn = instance.start("a", "b")
    received = edit(instance, "b", "better")
    assert [address.message_id for address in received.changed] == [
        instance.rows("SELECT max(message_id) FROM pending")[0][0]
    ]
    assert following(instance.finish(turn)).text == "better"


def test_an_edit_of_a_held_message_changes_what_runs_when_it_is_resumed(instance: Instance) -> None:
    turn = instance.start("a", "b")
    instance.say("/stop")
    edit(instance, "b", "better")
    instance.finish(turn)
    [resumed] = instance.say("/resume").claimed
    assert resumed.text == "better"


def test_an_edit_of_the_running_message_is_offered_and_starts_again_at_once(instance: Instance) -> None:
    turn = instance.start("a", "waits")
    edit(instance, "a", "better")
    assert button(instance)[0] == "Start again with the edit"
    assert press(instance).controls
    assert instance.states() == {"a": "stopped", "waits": "queued", "better": "queued"}
    again = following(instance.finish(turn))
    assert again.text == "better"
    assert following(instance.finish(again)).text == "waits"
    assert "Running it with the edit." in instance.answers()


def test_an_edit_of_an_answered_message_is_offered_and_replaces_nothing(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    edit(instance, "a", "better")
    assert button(instance)[0] == "Run again"
    [again] = press(instance).claimed
    instance.finish(again)
    assert {"re: a", "re: better"} <= set(instance.answers())


def test_the_button_of_an_edit_is_for_the_newest_edit_and_works_once(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    edit(instance, "a", "better")
    edit(instance, "better", "best")
    old = button(instance)[1]
    [again] = instance.press(old).claimed
    assert again.text == "best"
    instance.finish(again)
    assert instance.press(old).claimed == []
    assert len(instance.rows("SELECT 1 FROM pending WHERE kind = 'message'")) == 2


def test_an_edit_that_was_offered_while_it_ran_runs_again_when_it_has_ended(instance: Instance) -> None:
    turn = instance.start("a")
    edit(instance, "a", "better")
    instance.finish(turn)
    [again] = press(instance).claimed
    assert again.text == "better"
    assert instance.states()["a"] == "done"


@pytest.mark.parametrize("now", ["/stop", "/resume@the_bot", "/drop"])
def test_a_message_that_an_edit_makes_a_command_is_not_obeyed(instance: Instance, now: str) -> None:
    turn = instance.start("a", "b")
    edit(instance, "b", now)
    assert instance.states() == {"a": "claimed", "b": "queued"}
    assert following(instance.finish(turn)).text == "b"


def test_an_edited_command_is_never_replayed(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    instance.say("/resume")
    edit(instance, "/stop", "/stop now")
    edit(instance, "/stop", "hello")
    assert instance.states() == {"a": "stopped", "b": "queued"}


def test_words_behind_a_command_are_edited_with_it(instance: Instance) -> None:
    turn = instance.start("a")
    instance.say("/stop and then this")
    edit(instance, "and then this", "/stop and then that")
    assert following(instance.finish(turn)).text == "and then that"


def test_the_caption_of_an_album_that_waits_can_be_edited(instance: Instance) -> None:
    album: dict[str, Any] = {"media_group_id": "m", "photo": []}
    instance.say("first", "second", **album)
    edit(instance, "second", "better", **album)
    [turn] = instance.due()
    assert [message["text"] for message in turn.messages] == ["first", "better"]


def test_an_edit_that_changes_no_text_is_nothing(instance: Instance) -> None:
    """A link preview, or a place that is shared live."""
    instance.finish(instance.start("a"))
    assert edit(instance, "a", "a", edit_date=2).replied == set()


def test_an_edit_of_a_message_that_is_unknown_or_erased_is_nothing(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    message_id = instance.rows("SELECT message_id FROM pending")[0][0]
    instance.rows("UPDATE pending SET raw = '{}' RETURNING id")
    for message in (message_id, 999_999_999):
        raw = raw_message(next(_ids), "new")
        edited = {**raw["message"], "message_id": message}
        assert instance.receive({"update_id": raw["update_id"], "edited_message": edited}).replied == set()


def test_a_strangers_edit_changes_nothing(start_instance: StartInstance) -> None:
    turn = start_instance(allowed_users=frozenset([UserId(7)])).start("a", "b")
    later = start_instance(allowed_users=frozenset())
    edit(later, "b", "better")
    assert later.states() == {"a": "claimed", "b": "queued"}
    assert turn.text == "a"


def test_an_edit_that_comes_again_is_applied_once(instance: Instance) -> None:
    instance.finish(instance.start("a"))
    message_id = instance.rows("SELECT message_id FROM pending")[0][0]
    raw = raw_message(next(_ids), "better")
    update = {"update_id": raw["update_id"], "edited_message": {**raw["message"], "message_id": message_id}}
    instance.receive(update)
    instance.receive(update)
    assert len(instance.rows("SELECT 1 FROM outbox WHERE buttons IS NOT NULL")) == 1


def test_an_edit_keeps_what_the_message_was_given_of_what_others_said(instance: Instance) -> None:
    turn = instance.start("a", "b")
    was, given = json.dumps("b"), '"b", "overheard": ["Bob: hey"]'
    instance.rows("UPDATE pending SET raw = replace(raw, :was, :given) RETURNING id", was=was, given=given)
    edit(instance, "b", "better")
    message = following(instance.finish(turn)).message
    assert (message["text"], message["overheard"]) == ("better", ["Bob: hey"])


# what was never worked on


def test_an_edit_of_a_message_that_a_full_queue_refused_is_offered(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    turn = instance.start("a", "b", "no room")
    edit(instance, "no room", "again, please")
    assert "I did not work on this message." in instance.answers()
    assert button(instance)[0] == "Run it"
    edit(instance, "again, please", "please")
    [(_, toast)] = press(instance).controls
    assert toast == "The queue is full (1). Press it again when there is room."
    following(instance.finish(turn))
    press(instance)
    assert instance.states() == {
        "a": "done",
        "b": "claimed",
        "no room": "dropped",
        "please": "queued",
    }


def test_an_edit_of_a_message_that_was_dropped_is_offered_once(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    instance.say("/drop")
    edit(instance, "b", "better")
    edit(instance, "better", "best")
    assert instance.answers().count("I did not work on this message.") == 1
    press(instance)
    assert instance.states()["best"] == "queued"


def test_an_edit_that_is_run_counts_for_who_runs_it(instance: Instance) -> None:
    instance.rules = dataclasses.replace(instance.rules, limits=Limits(day_turns_max=2))
    instance.finish(instance.start("a"))
    edit(instance, "a", "better")
    [again] = press(instance).claimed
    instance.finish(again)
    edit(instance, "better", "best")
    for _ in range(2):
        received = press(instance)
        assert received.claimed == []
        [(_, toast)] = received.controls
        assert toast == "I take no more than 2 messages from you in a day. Press it again tomorrow (UTC)."
    assert instance.states()["best"] == "dropped"


def test_a_button_of_an_edit_runs_nothing_that_was_never_offered(instance: Instance) -> None:
    instance.start("a", "b")
    instance.say("/stop")
    instance.say("/drop")
    [(row,)] = instance.rows("SELECT id FROM pending WHERE state = 'dropped'")
    assert instance.press(f"again:{row}:{row}").claimed == []
    assert instance.states()["b"] == "dropped"


def test_an_older_edit_that_is_delivered_again_changes_nothing(instance: Instance) -> None:
    turn = instance.start("a", "b", "c")
    older = [edited(instance, "b", "b, first edit"), edited(instance, "c", "c, first edit")]
    instance.receive(*older, edited(instance, "b", "b, second edit"), edited(instance, "c", "c, second edit"))
    following(instance.finish(turn))
    assert instance.receive(*older).replied == set(), "nothing is offered"
    assert instance.states() == {"a": "done", "b, second edit": "claimed", "c, second edit": "queued"}
