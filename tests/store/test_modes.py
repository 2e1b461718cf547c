"""Modes: what becomes of a message that comes while a turn runs, and that no mode loses one."""

import pytest

from tests.store.instance import Instance, StartInstance, key
from tgbot.model import Mode, RowId, Turn
from tgbot.store import joins, modes
from tgbot.store.outbox import STOPPED


def following(turn: Turn | None) -> Turn:
    assert turn
    return turn


def choose(instance: Instance, mode: Mode) -> None:
    instance.say(f"/mode {mode}")


def texts(turn: Turn) -> list[str]:
    return [message["text"] for message in turn.messages]


def test_the_mode_of_a_session_is_its_own_else_that_of_the_bot_else_queue(instance: Instance) -> None:
    assert instance.do(modes.of, key()) == "queue"
    instance.do(modes.set_default, instance.owner.bot_id, "collect")
    assert instance.do(modes.of, key()) == "collect"
    choose(instance, "interrupt")
    assert (instance.do(modes.of, key()), instance.do(modes.of, key(8))) == ("interrupt", "collect")


def test_what_waits_is_one_turn_in_a_session_that_collects(instance: Instance) -> None:
    choose(instance, "collect")
    turn = instance.start("a")
    instance.say("b", "c")
    assert texts(turn) == ["a"]
    together = following(instance.finish(turn))
    assert together.text == "[1 of 2]\nb\n\n[2 of 2]\nc"
    assert instance.states()["c"] == "joined"
    assert instance.finish(together) is None


def test_an_attempt_after_a_crash_has_collected_exactly_the_same(start_instance: StartInstance) -> None:
    instance = start_instance()
    choose(instance, "collect")
    assert texts(instance.start("a", "b")) == ["a", "b"]
    instance.say("c")
    later = start_instance()
    later.recover()
    [again] = later.claim_waiting()
    assert texts(again) == ["a", "b"]
    assert following(later.finish(again)).text == "c"


def test_a_command_is_not_collected_and_nor_is_what_is_behind_it(instance: Instance) -> None:
    choose(instance, "collect")
    turn = instance.start("a")
    instance.say("b", "/new", "c")
    b = following(instance.finish(turn))
    assert texts(b) == ["b"]
    new = following(instance.finish(b))
    assert texts(new) == ["/new"]
    assert texts(following(instance.finish(new))) == ["c"]


def test_a_message_stops_the_running_turn_of_a_session_that_interrupts(instance: Instance) -> None:
    choose(instance, "interrupt")
    turn = instance.start("a")
    received = instance.say("b")
    assert received.timed, "the dispatcher looks for what was stopped"
    assert instance.states() == {"a": "stopped", "b": "queued"}
    assert following(instance.end(turn, "done", "half")).text == "b"
    assert any(said.startswith("half") and STOPPED.text in said for said in instance.answers())


def test_of_a_batch_only_the_last_message_runs_in_a_session_that_interrupts(instance: Instance) -> None:
    choose(instance, "interrupt")
    [turn] = instance.say("a", "b").claimed
    assert turn.text == "b"


def test_a_message_gives_up_a_question_in_a_session_that_interrupts(instance: Instance) -> None:
    choose(instance, "interrupt")
    turn = instance.start("a")
    instance.end(turn, "asking")
    assert instance.say("b").timed
    assert [turn.text for turn in instance.claim_waiting()] == ["b"]


@pytest.mark.parametrize("words", ["", "sideways"])
def test_the_command_names_the_modes(instance: Instance, words: str) -> None:
    instance.say(f"/mode {words}")
    assert all(mode in instance.answers()[-1] for mode in ("queue", "collect", "interrupt", "steer"))


def test_a_button_chooses_a_mode(instance: Instance) -> None:
    instance.say("/mode")
    [(row_id,)] = instance.rows("SELECT max(id) FROM pending")
    instance.press(f"mode:{row_id}:1")
    assert instance.do(modes.of, key()) == "collect"
    instance.press(f"mode:{row_id}:9")
    assert instance.do(modes.of, key()) == "collect"


def test_what_is_sent_behind_an_album_is_not_collected_before_it(instance: Instance) -> None:
    choose(instance, "collect")
    turn = instance.start("a")
    instance.say("b")
    instance.say("photo", media_group_id="g")
    instance.say("c")
    instance.due()
    assert texts(following(instance.finish(turn))) == ["b"]
    assert instance.states()["c"] == "queued"


def test_what_is_sent_behind_an_album_joins_no_turn_before_it(instance: Instance) -> None:
    choose(instance, "steer")
    turn = instance.start("a")
    instance.say("photo", media_group_id="g")
    instance.say("c")
    instance.due()
    assert instance.do(joins.incoming, turn, RowId(0)) == []
    assert texts(following(instance.finish(turn))) == ["photo"]
