"""Only a crash counts against a row, and one that crashed too often is offered to its sender."""

import json

import pytest

from tests.store.life import Life, StartLife
from tgbot.model import Turn
from tgbot.store import recovery
from tgbot.store.outbox import GIVEN_UP

CHATS = range(1, 9)


def deploy(life: Life) -> None:
    """Ask a process to stop, and then end it without mercy: its guards stay."""
    life.do(recovery.note_stopping, life.owner.instance_id)


def restarted(live: StartLife) -> tuple[Life, list[Turn]]:
    life = live()
    life.recover()
    return life, life.claim_waiting()


def test_four_deploys_run_all_chats_at_once_after_each(live: StartLife) -> None:
    life = live()
    for chat in CHATS:
        life.start("long", chat=chat)
    for attempt in (2, 3, 4, 5):
        deploy(life)
        life, turns = restarted(live)
        assert [turn.attempt for turn in turns] == [attempt] * 8
    assert life.rows("SELECT max(crashes) FROM pending") == [(0,)]


def test_a_crash_after_deploys_is_the_first_one(live: StartLife) -> None:
    life = live()
    life.start("a")
    for _ in range(3):
        deploy(life)
        life, _turns = restarted(live)
    life, [turn] = restarted(live)
    assert turn.text == "a"
    assert life.rows("SELECT crashes FROM pending") == [(1,)]


def test_one_crash_makes_no_chat_wait_for_another(live: StartLife) -> None:
    life = live()
    for chat in CHATS:
        life.start("a", chat=chat)
    _, turns = restarted(live)
    assert len(turns) == 8


def test_suspects_run_one_at_a_time_and_hold_back_nobody_else(live: StartLife) -> None:
    """Whoever was running at two crashes may be what kills the process."""
    life = live()
    for chat in CHATS:
        life.start("a", chat=chat)
    restarted(live)
    life, [suspect] = restarted(live)
    innocents = [life.say("new", chat=chat).claimed for chat in (101, 102, 103)]
    assert [len(claimed) for claimed in innocents] == [1, 1, 1]
    life.finish(suspect)
    assert len(life.claim_waiting()) == 1, "the next suspect"


def test_an_innocent_that_runs_beside_a_crash_of_a_suspect_is_not_given_up(live: StartLife) -> None:
    life = live()
    life.start("poison")
    restarted(live)
    life, [poison] = restarted(live)
    assert poison.text == "poison"
    life.start("innocent", chat=8)
    life, [again] = restarted(live)
    assert (again.text, life.states()) == ("innocent", {"poison": "dead"})


def given_up(live: StartLife, *behind: str) -> Life:
    live(crashes_max=1).start("poison", *behind)
    life = live(crashes_max=1)
    assert life.recover() == ["dead"]
    return life


def buttons(life: Life) -> dict[str, str]:
    """Give the data of each button of the answer, by its label."""
    [(markup,)] = life.rows("SELECT buttons FROM outbox WHERE buttons IS NOT NULL")
    return {b["text"]: b["callback_data"] for row in json.loads(markup)["inline_keyboard"] for b in row}


def test_what_was_given_up_is_offered_to_its_sender(live: StartLife) -> None:
    life = given_up(live)
    assert life.answers() == [GIVEN_UP.text]
    assert list(buttons(life)) == ["Try again", "Forget"]


def test_try_again_runs_it_once_more_with_an_answer_of_its_own(live: StartLife) -> None:
    life = given_up(live, "behind")
    [turn] = life.press(buttons(life)["Try again"]).claimed
    assert (turn.text, turn.attempt) == ("poison", 2)
    assert life.states() == {"poison": "claimed", "behind": "queued"}
    following = life.finish(turn)
    assert following
    assert sorted(text for text in life.answers()) == ["Trying it again.", "re: poison"]
    assert life.rows("SELECT count(*) FROM outbox WHERE buttons IS NOT NULL") == [(0,)]


def test_what_crashes_again_is_offered_again_and_no_button_acts_twice(live: StartLife) -> None:
    life = given_up(live)
    data = buttons(life)["Try again"]
    assert len(life.press(data).claimed) == 1
    assert life.press(data).claimed == []
    life = live(crashes_max=1)
    assert life.recover() == ["dead"]
    assert life.answers() == ["Trying it again.", GIVEN_UP.text]
    assert len(life.press(data).claimed) == 1


def test_forget_drops_it(live: StartLife) -> None:
    life = given_up(live)
    pressed = buttons(life)
    assert life.press(pressed["Forget"]).claimed == []
    assert life.states() == {"poison": "dropped"}
    assert life.answers() == ["Forgotten."]
    assert life.press(pressed["Try again"]).claimed == []


@pytest.mark.parametrize("name", ["retry", "forget"])
def test_the_buttons_of_another_chat_or_of_what_is_not_dead_do_nothing(live: StartLife, name: str) -> None:
    life = given_up(live)
    turn = life.start("fine", chat=8)
    [(dead,)] = life.rows("SELECT id FROM pending WHERE state = 'dead'")
    for data in (f"{name}:{dead}", f"{name}:{turn.row_id}", f"{name}:999"):
        assert life.press(data, chat=8).claimed == []
    assert (life.states(), life.states(8)) == ({"poison": "dead"}, {"fine": "claimed"})


@pytest.mark.parametrize("name", ["resume", "drop", "stop"])
def test_another_commands_button_takes_no_offer_away(live: StartLife, name: str) -> None:
    """Its data is forged: the message has other buttons."""
    life = given_up(live)
    [(dead,)] = life.rows("SELECT id FROM pending WHERE state = 'dead'")
    life.press(f"{name}:{dead}")
    assert life.answers() == [GIVEN_UP.text]
    assert list(buttons(life)) == ["Try again", "Forget"]
