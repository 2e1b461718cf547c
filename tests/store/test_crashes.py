"""Only a crash counts against a row, and one that crashed too often is offered to its sender."""

import json

import pytest

from tests.store.instance import Instance, StartInstance
from tgbot.intake.commands.registry import NOTHING
from tgbot.model import Turn
from tgbot.render import Text
from tgbot.store import outbox, recovery
from tgbot.store.outbox import GIVEN_UP

CHATS = range(1, 9)


def deploy(instance: Instance) -> None:
    """Ask a process to stop, then let it die: its guards stay."""
    instance.do(recovery.note_stopping, instance.owner.instance_id)


def restarted(start_instance: StartInstance) -> tuple[Instance, list[Turn]]:
    instance = start_instance()
    instance.recover()
    return instance, instance.claim_waiting()


def test_four_deploys_run_all_chats_at_once_after_each(start_instance: StartInstance) -> None:
    instance = start_instance()
    for chat in CHATS:
        instance.start("long", chat=chat)
    for attempt in (2, 3, 4, 5):
        deploy(instance)
        instance, turns = restarted(start_instance)
        assert [turn.attempt for turn in turns] == [attempt] * 8
    assert instance.rows("SELECT max(crashes) FROM pending") == [(0,)]


def test_a_crash_after_deploys_is_the_first_one(start_instance: StartInstance) -> None:
    instance = start_instance()
    instance.start("a")
    for _ in range(3):
        deploy(instance)
        instance, _turns = restarted(start_instance)
    instance, [turn] = restarted(start_instance)
    assert turn.text == "a"
    assert instance.rows("SELECT crashes FROM pending") == [(1,)]


def test_one_crash_makes_no_chat_wait_for_another(start_instance: StartInstance) -> None:
    instance = start_instance()
    for chat in CHATS:
        instance.start("a", chat=chat)
    _, turns = restarted(start_instance)
    assert len(turns) == 8


def test_suspects_run_one_at_a_time_and_hold_back_nobody_else(start_instance: StartInstance) -> None:
    """Whoever was running at two crashes may be what kills the process."""
    instance = start_instance()
    for chat in CHATS:
        instance.start("a", chat=chat)
    restarted(start_instance)
    instance, [suspect] = restarted(start_instance)
    innocents = [instance.say("new", chat=chat).claimed for chat in (101, 102, 103)]
    assert [len(claimed) for claimed in innocents] == [1, 1, 1]
    instance.finish(suspect)
    assert len(instance.claim_waiting()) == 1, "the next suspect"


def test_an_innocent_that_runs_beside_a_crash_of_a_suspect_is_not_given_up(
    start_instance: StartInstance,
) -> None:
    instance = start_instance()
    instance.start("poison")
    restarted(start_instance)
    instance, [poison] = restarted(start_instance)
    assert poison.text == "poison"
    instance.start("innocent", chat=8)
    instance, [again] = restarted(start_instance)
    assert (again.text, instance.states()) == ("innocent", {"poison": "dead"})


def given_up(start_instance: StartInstance, *behind: str) -> Instance:
    start_instance(crashes_max=1).start("poison", *behind)
    instance = start_instance(crashes_max=1)
    assert instance.recover() == ["dead"]
    return instance


def buttons(instance: Instance) -> dict[str, str]:
    """Map the label of each button of the answer to its data."""
    [(markup,)] = instance.rows("SELECT buttons FROM outbox WHERE buttons IS NOT NULL")
    return {b["text"]: b["callback_data"] for row in json.loads(markup)["inline_keyboard"] for b in row}


def test_what_was_given_up_is_offered_to_its_sender(start_instance: StartInstance) -> None:
    instance = given_up(start_instance)
    assert instance.answers() == [GIVEN_UP.text]
    assert list(buttons(instance)) == ["Try again", "Forget"]


def test_try_again_runs_it_once_more_with_an_answer_of_its_own(start_instance: StartInstance) -> None:
    instance = given_up(start_instance, "behind")
    [turn] = instance.press(buttons(instance)["Try again"]).claimed
    assert (turn.text, turn.attempt) == ("poison", 2)
    assert instance.states() == {"poison": "claimed", "behind": "queued"}
    following = instance.finish(turn)
    assert following
    assert sorted(text for text in instance.answers()) == ["Trying it again.", "re: poison"]
    assert instance.rows("SELECT count(*) FROM outbox WHERE buttons IS NOT NULL") == [(0,)]


def test_what_crashes_again_is_offered_again_and_no_button_acts_twice(start_instance: StartInstance) -> None:
    instance = given_up(start_instance)
    data = buttons(instance)["Try again"]
    assert len(instance.press(data).claimed) == 1
    assert instance.press(data).claimed == []
    instance = start_instance(crashes_max=1)
    assert instance.recover() == ["dead"]
    assert instance.answers() == ["Trying it again.", GIVEN_UP.text]
    assert len(instance.press(data).claimed) == 1


def test_forget_drops_it(start_instance: StartInstance) -> None:
    instance = given_up(start_instance)
    pressed = buttons(instance)
    assert instance.press(pressed["Forget"]).claimed == []
    assert instance.states() == {"poison": "dropped"}
    assert instance.answers() == ["Forgotten."]
    assert instance.press(pressed["Try again"]).claimed == []


@pytest.mark.parametrize("name", ["retry", "forget"])
def test_the_buttons_of_another_chat_or_of_what_is_not_dead_do_nothing(
    start_instance: StartInstance, name: str
) -> None:
    instance = given_up(start_instance)
    turn = instance.start("fine", chat=8)
    [(dead,)] = instance.rows("SELECT id FROM pending WHERE state = 'dead'")
    for data in (f"{name}:{dead}", f"{name}:{turn.row_id}", f"{name}:999"):
        pressed = instance.press(data, chat=8)
        assert (pressed.claimed, [toast for _, toast in pressed.controls]) == ([], [NOTHING.toast])
    assert (instance.states(), instance.states(8)) == ({"poison": "dead"}, {"fine": "claimed"})


@pytest.mark.parametrize("name", ["resume", "drop", "stop"])
def test_another_commands_button_takes_no_offer_away(start_instance: StartInstance, name: str) -> None:
    """Its data is forged: the message has other buttons."""
    instance = given_up(start_instance)
    [(dead,)] = instance.rows("SELECT id FROM pending WHERE state = 'dead'")
    instance.press(f"{name}:{dead}")
    assert instance.answers() == [GIVEN_UP.text]
    assert list(buttons(instance)) == ["Try again", "Forget"]


def test_a_deploy_gives_nothing_up_however_few_crashes_are_allowed(start_instance: StartInstance) -> None:
    instance = given_up(start_instance)
    assert len(instance.press(buttons(instance)["Try again"]).claimed) == 1
    deploy(instance)
    assert start_instance(crashes_max=1).recover() == ["queued"]


def test_the_answer_of_a_second_try_keeps_its_order_when_it_falls_back(start_instance: StartInstance) -> None:
    instance = given_up(start_instance)
    [turn] = instance.press(buttons(instance)["Try again"]).claimed
    instance.finish(turn)
    instance.sent(instance.the_next())
    refused = instance.the_next()
    assert (refused.text, refused.number) == ("re: poison", 0)
    instance.do(outbox.fall_back, refused, [Text(words) for words in ("one", "two", "three")])
    assert instance.send_all() == ["one", "two", "three"]


def test_a_second_try_is_the_last_one(start_instance: StartInstance) -> None:
    """However many crashes are allowed: it has used them up before."""
    start_instance().start("poison")
    for _ in range(2):
        restarted(start_instance)
    instance = start_instance()
    assert instance.recover() == ["dead"]
    assert len(instance.press(buttons(instance)["Try again"]).claimed) == 1
    assert start_instance().recover() == ["dead"]
