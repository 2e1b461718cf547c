"""What people type around a command: words behind it, its slash forgotten, a deep link; nothing is lost."""

import json
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.life import Life, StartLife
from tgbot.intake.batch import Received
from tgbot.model import UserId

GROUP = -100
COMMANDS = ("stop", "status", "resume", "drop", "help")


def _raw(life: Life, said: str) -> dict[str, Any]:
    """Find the message with this text, as the agent gets it."""
    sql = "SELECT raw FROM pending WHERE kind = 'message' AND json_extract(raw, '$.message.text') = :said"
    [(raw,)] = life.rows(sql, said=said)
    message: dict[str, Any] = json.loads(raw)["message"]
    return message


# Words behind a command


def test_words_behind_a_stop_are_a_message_that_comes_behind_it_and_is_not_held(life: Life) -> None:
    turn = life.start("a", "b")
    life.say("/stop the music please")
    assert life.states() == {"a": "stopped", "b": "held", "the music please": "queued"}
    following = life.release(turn)
    assert following
    assert following.text == "the music please"
    life.finish(following)
    assert life.answers()[0] == "⏹ Stopped."
    assert life.answers()[1].startswith("Stopped. On hold")
    assert life.answers()[2] == "re: the music please"


@pytest.mark.parametrize("name", COMMANDS)
def test_words_behind_any_command_are_answered_beside_its_reply(life: Life, name: str) -> None:
    [turn] = life.say(f"/{name} and a question").claimed
    assert turn.text == "and a question"
    life.finish(turn)
    reply, answer = life.answers()
    assert (bool(reply), answer) == (True, "re: and a question")


def test_words_behind_a_command_that_is_meant_for_this_bot_are_a_message(life: Life) -> None:
    life.start("a", chat=GROUP)
    life.say("/stop@the_bot the music", chat=GROUP)
    assert life.states(GROUP) == {"a": "stopped", "the music": "queued"}


def test_words_behind_a_command_for_another_bot_are_nothing(life: Life) -> None:
    life.start("a", chat=GROUP)
    assert life.say("/stop@another_bot the music", "/stop@another_bot", chat=GROUP) == Received()
    assert life.states(GROUP) == {"a": "claimed"}


def test_words_behind_a_stop_run_at_once_when_it_stopped_what_came_in_the_same_batch(life: Life) -> None:
    [turn] = life.say("a", "b", "/stop the music", "c").claimed
    assert turn.text == "the music"
    assert life.states() == {"a": "stopped", "b": "held", "the music": "claimed", "c": "queued"}


def test_words_behind_a_stop_fit_into_the_queue_that_it_emptied(live: StartLife) -> None:
    life = live(queue_max=1)
    life.start("a", "b")
    life.say("/stop the music")
    assert life.states() == {"a": "stopped", "b": "held", "the music": "queued"}


def test_words_behind_a_command_are_refused_aloud_by_a_full_queue(live: StartLife) -> None:
    life = live(queue_max=1)
    life.start("a", "b")
    life.say("/status of things")
    assert life.states() == {"a": "claimed", "b": "queued", "of things": "dropped"}
    assert "I did not take this one" in life.answers()[-1]


def test_a_command_with_words_that_comes_again_acts_once_and_asks_once(life: Life) -> None:
    command = raw_message(90, "/stop the music")
    turn = life.start("a")
    life.receive(command)
    following = life.release(turn)
    life.say("b")
    assert life.receive(command) == Received()
    assert life.states() == {"a": "stopped", "the music": "claimed", "b": "queued"}
    assert following
    assert len(life.rows("SELECT 1 FROM pending WHERE kind = 'control'")) == 1


def test_the_words_keep_their_formatting_and_what_they_reply_to(life: Life) -> None:
    entities = [
        {"type": "bot_command", "offset": 0, "length": 5},
        {"type": "bold", "offset": 6, "length": 5},
        {"type": "italic", "offset": 0, "length": 11},
    ]
    life.say("/stop 🎵 now", entities=entities, reply_to_message={"message_id": 3})
    message = _raw(life, "🎵 now")
    assert message["entities"] == [
        {"type": "bold", "offset": 0, "length": 5},
        {"type": "italic", "offset": 0, "length": 5},
    ]
    assert message["reply_to_message"] == {"message_id": 3}


def test_the_command_is_kept_as_it_was_sent(life: Life) -> None:
    life.say("/stop the music")
    [(raw,)] = life.rows("SELECT raw FROM pending WHERE kind = 'control'")
    assert json.loads(raw)["message"]["text"] == "/stop the music"


def test_a_strangers_words_behind_a_command_are_as_little_heard_as_the_command(live: StartLife) -> None:
    life = live(allowed_users=frozenset([UserId(7)]))
    life.say("/stop the music", chat=8)
    assert life.rows("SELECT 1 FROM pending WHERE state != 'dropped'") == []
    assert len(life.answers(8)) == 1


def test_an_unknown_command_is_a_message_word_for_word(life: Life) -> None:
    [turn] = life.say("/imagine a cat").claimed
    assert turn.text == "/imagine a cat"


# Nearly /stop


@pytest.mark.parametrize("said", ["/stop.", " /stop", "/STOP", "/stop!", "/stop…", "\n/Stop@The_Bot!! "])
def test_a_stop_that_is_nearly_one_stops(life: Life, said: str) -> None:
    life.start("a")
    life.say(said)
    assert life.states() == {"a": "stopped"}


@pytest.mark.parametrize("said", ["stop", "Stop", "STOP!", "stop.", " stop \n", "stop!!!"])
def test_the_word_stop_alone_stops_what_runs_in_a_private_chat(life: Life, said: str) -> None:
    turn = life.start("a", "b")
    life.say(said)
    assert life.states() == {"a": "stopped", "b": "held"}
    life.release(turn)
    assert life.answers()[-1].startswith("Stopped.")


@pytest.mark.parametrize(
    "said", ["stop it", "please stop", "stopp", "don't stop", "stop?", "“stop”", "/ stop"]
)
def test_the_word_stop_among_others_is_a_message(life: Life, said: str) -> None:
    life.start("a")
    life.say(said)
    assert life.states() == {"a": "claimed", said: "queued"}


def test_the_word_stop_is_a_message_when_nothing_runs(life: Life) -> None:
    [turn] = life.say("stop").claimed
    assert turn.text == "stop"


def test_the_word_stop_is_a_message_in_a_group(life: Life) -> None:
    life.start("a", chat=GROUP)
    life.say("stop", chat=GROUP)
    assert life.states(GROUP) == {"a": "claimed", "stop": "queued"}


@pytest.mark.parametrize("said", ["status", "resume", "drop", "help", "start"])
def test_other_words_alone_are_messages(life: Life, said: str) -> None:
    life.start("a")
    life.say(said)
    assert life.states() == {"a": "claimed", said: "queued"}


def test_the_word_stop_holds_what_waits_while_a_stopped_turn_winds_down(life: Life) -> None:
    life.start("a")
    life.say("/stop", "b", "stop")
    assert life.states() == {"a": "stopped", "b": "held"}


def test_the_word_stop_stops_what_stands_before_it_in_its_batch(life: Life) -> None:
    [turn] = life.say("a", "stop", "b").claimed
    assert turn.text == "b"
    assert life.states() == {"a": "stopped", "b": "claimed"}


def test_the_word_stop_that_comes_again_does_what_it_did_the_first_time(life: Life) -> None:
    as_message, as_command = raw_message(90, "stop"), raw_message(91, "stop")
    life.receive(as_message)
    assert life.receive(as_message) == Received(), "it is what runs by now"
    [turn] = life.rows("SELECT id FROM turn")
    life.receive(as_command)
    assert life.states() == {"stop": "stopped"}
    assert life.receive(as_command) == Received()
    assert turn


def test_the_word_stop_ends_what_another_life_has_left_running(live: StartLife) -> None:
    live().start("a")
    new = live()
    new.say("stop")
    assert new.recover() == ["stopped"]


# /start


@pytest.mark.parametrize("said", ["/start", "/start@the_bot", "/START", "/help"])
def test_a_start_without_payload_is_answered_with_help(life: Life, said: str) -> None:
    assert life.say(said).claimed == []
    assert "/stop - " in life.answers()[0]


@pytest.mark.parametrize(
    "said", ["/start spring_sale-24", "/start@the_bot spring_sale-24", "/start two words"]
)
def test_a_start_with_payload_reaches_the_agent_as_it_is(life: Life, said: str) -> None:
    [turn] = life.say(said).claimed
    assert turn.text == said
    assert life.answers() == []
