"""What people type around a command: words behind it, its slash forgotten, a deep link; nothing is lost."""

import dataclasses
import json
from typing import Any

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance
from tgbot.intake.batch import Received
from tgbot.intake.commands import ModelRules
from tgbot.model import UserId

GROUP = -100
COMMANDS = ("stop", "status", "resume", "drop", "help")


def _raw(instance: Instance, said: str) -> dict[str, Any]:
    """Find the message with this text, as the agent gets it."""
    sql = "SELECT raw FROM pending WHERE kind = 'message' AND json_extract(raw, '$.message.text') = :said"
    [(raw,)] = instance.rows(sql, said=said)
    message: dict[str, Any] = json.loads(raw)["message"]
    return message


# Words behind a command


def test_words_behind_a_stop_are_a_message_that_comes_behind_it_and_is_not_held(instance: Instance) -> None:
    turn = instance.start("a", "b")
    instance.say("/stop the music please")
    assert instance.states() == {"a": "stopped", "b": "held", "the music please": "queued"}
    following = instance.release(turn)
    assert following
    assert following.text == "the music please"
    instance.finish(following)
    assert instance.answers()[0].startswith("Stopped. On hold")
    assert instance.answers()[1] == "re: the music please"


@pytest.mark.parametrize("name", COMMANDS)
def test_words_behind_any_command_are_answered_beside_its_reply(instance: Instance, name: str) -> None:
    [turn] = instance.say(f"/{name} and a question").claimed
    assert turn.text == "and a question"
    instance.finish(turn)
    reply, answer = instance.answers()
    assert (bool(reply), answer) == (True, "re: and a question")


def test_words_behind_a_command_that_is_meant_for_this_bot_are_a_message(instance: Instance) -> None:
    instance.start("a", chat=GROUP)
    instance.say("/stop@the_bot the music", chat=GROUP)
    assert instance.states(GROUP) == {"a": "stopped", "the music": "queued"}


def test_words_behind_a_command_for_another_bot_are_nothing(instance: Instance) -> None:
    instance.start("a", chat=GROUP)
    assert instance.say("/stop@another_bot the music", "/stop@another_bot", chat=GROUP) == Received()
    assert instance.states(GROUP) == {"a": "claimed"}


def test_words_behind_a_stop_run_at_once_when_it_stopped_what_came_in_the_same_batch(
    instance: Instance,
) -> None:
    [turn] = instance.say("a", "b", "/stop the music", "c").claimed
    assert turn.text == "the music"
    assert instance.states() == {"a": "stopped", "b": "held", "the music": "claimed", "c": "queued"}


def test_words_behind_a_stop_fit_into_the_queue_that_it_emptied(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    instance.start("a", "b")
    instance.say("/stop the music")
    assert instance.states() == {"a": "stopped", "b": "held", "the music": "queued"}


def test_words_behind_a_command_are_refused_aloud_by_a_full_queue(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    instance.start("a", "b")
    instance.say("/status of things")
    assert instance.states() == {"a": "claimed", "b": "queued", "of things": "dropped"}
    assert "I did not take this" in instance.answers()[-1]


def test_a_command_with_words_that_comes_again_acts_once_and_asks_once(instance: Instance) -> None:
    command = raw_message(90, "/stop the music")
    turn = instance.start("a")
    instance.receive(command)
    following = instance.release(turn)
    instance.say("b")
    assert instance.receive(command) == Received()
    assert instance.states() == {"a": "stopped", "the music": "claimed", "b": "queued"}
    assert following
    assert len(instance.rows("SELECT 1 FROM pending WHERE kind = 'control'")) == 1


def test_the_words_keep_their_formatting_and_what_they_reply_to(instance: Instance) -> None:
    entities = [
        {"type": "bot_command", "offset": 0, "length": 5},
        {"type": "bold", "offset": 6, "length": 5},
        {"type": "italic", "offset": 0, "length": 11},
    ]
    instance.say("/stop 🎵 now", entities=entities, reply_to_message={"message_id": 3})
    message = _raw(instance, "🎵 now")
    assert message["entities"] == [
        {"type": "bold", "offset": 0, "length": 5},
        {"type": "italic", "offset": 0, "length": 5},
    ]
    assert message["reply_to_message"] == {"message_id": 3}


def test_the_command_is_kept_as_it_was_sent(instance: Instance) -> None:
    instance.say("/stop the music")
    [(raw,)] = instance.rows("SELECT raw FROM pending WHERE kind = 'control'")
    assert json.loads(raw)["message"]["text"] == "/stop the music"


def test_a_strangers_words_behind_a_command_are_as_little_heard_as_the_command(
    start_instance: StartInstance,
) -> None:
    instance = start_instance(allowed_users=frozenset([UserId(7)]))
    instance.say("/stop the music", chat=8)
    assert instance.rows("SELECT 1 FROM pending WHERE state != 'dropped'") == []
    assert len(instance.answers(8)) == 1


def test_an_unknown_command_is_a_message_word_for_word(instance: Instance) -> None:
    [turn] = instance.say("/imagine a cat").claimed
    assert turn.text == "/imagine a cat"


# Nearly /stop


@pytest.mark.parametrize("said", ["/stop.", " /stop", "/STOP", "/stop!", "/stop…", "\n/Stop@The_Bot!! "])
def test_a_stop_that_is_nearly_one_stops(instance: Instance, said: str) -> None:
    instance.start("a")
    instance.say(said)
    assert instance.states() == {"a": "stopped"}


@pytest.mark.parametrize("said", ["stop", "Stop", "STOP!", "stop.", " stop \n", "stop!!!"])
def test_the_word_stop_alone_stops_what_runs_in_a_private_chat(instance: Instance, said: str) -> None:
    turn = instance.start("a", "b")
    instance.say(said)
    assert instance.states() == {"a": "stopped", "b": "held"}
    instance.release(turn)
    assert instance.answers()[-1].startswith("Stopped.")


@pytest.mark.parametrize(
    "said", ["stop it", "please stop", "stopp", "don't stop", "stop?", "“stop”", "/ stop"]
)
def test_the_word_stop_among_others_is_a_message(instance: Instance, said: str) -> None:
    instance.start("a")
    instance.say(said)
    assert instance.states() == {"a": "claimed", said: "queued"}


def test_the_word_stop_is_a_message_when_nothing_runs(instance: Instance) -> None:
    [turn] = instance.say("stop").claimed
    assert turn.text == "stop"


def test_the_word_stop_is_a_message_in_a_group(instance: Instance) -> None:
    instance.start("a", chat=GROUP)
    instance.say("stop", chat=GROUP)
    assert instance.states(GROUP) == {"a": "claimed", "stop": "queued"}


@pytest.mark.parametrize("said", ["status", "resume", "drop", "help", "start"])
def test_other_words_alone_are_messages(instance: Instance, said: str) -> None:
    instance.start("a")
    instance.say(said)
    assert instance.states() == {"a": "claimed", said: "queued"}


def test_the_word_stop_holds_what_waits_while_a_stopped_turn_winds_down(instance: Instance) -> None:
    instance.start("a")
    instance.say("/stop", "b", "stop")
    assert instance.states() == {"a": "stopped", "b": "held"}


def test_the_word_stop_stops_what_stands_before_it_in_its_batch(instance: Instance) -> None:
    [turn] = instance.say("a", "stop", "b").claimed
    assert turn.text == "b"
    assert instance.states() == {"a": "stopped", "b": "claimed"}


def test_the_word_stop_that_comes_again_does_what_it_did_the_first_time(instance: Instance) -> None:
    as_message, as_command = raw_message(90, "stop"), raw_message(91, "stop")
    instance.receive(as_message)
    assert instance.receive(as_message) == Received(), "it is what runs by now"
    [turn] = instance.rows("SELECT id FROM turn")
    instance.receive(as_command)
    assert instance.states() == {"stop": "stopped"}
    assert instance.receive(as_command) == Received()
    assert turn


def test_the_word_stop_ends_what_an_earlier_process_left_running(start_instance: StartInstance) -> None:
    start_instance().start("a")
    new = start_instance()
    new.say("stop")
    assert new.recover() == ["stopped"]


# /start


@pytest.mark.parametrize("said", ["/start", "/start@the_bot", "/START", "/help"])
def test_a_start_without_payload_is_answered_with_help(instance: Instance, said: str) -> None:
    assert instance.say(said).claimed == []
    assert "/stop - " in instance.answers()[0]


@pytest.mark.parametrize(
    "said", ["/start spring_sale-24", "/start@the_bot spring_sale-24", "/start two words"]
)
def test_a_start_with_payload_reaches_the_agent_as_it_is(instance: Instance, said: str) -> None:
    [turn] = instance.say(said).claimed
    assert turn.text == said
    assert instance.answers() == []


# Commands that wait their turn, and those that read the words behind them


@pytest.fixture
def with_model(instance: Instance) -> Instance:
    instance.rules = dataclasses.replace(instance.rules, model=ModelRules(("a:1", "b:2")))
    return instance


@pytest.mark.parametrize("name", ["new", "retry", "undo", "compact"])
def test_a_command_about_the_memory_waits_its_turn_like_a_message(with_model: Instance, name: str) -> None:
    with_model.start("a", f"/{name}", "b")
    assert with_model.states() == {"a": "claimed", f"/{name}": "queued", "b": "queued"}


def test_words_behind_a_command_that_waits_its_turn_are_the_message_behind_it(with_model: Instance) -> None:
    turn = with_model.start("/new hello")
    assert turn.text == "/new hello"
    following = with_model.finish(turn)
    assert following
    assert following.text == "hello"


def test_a_command_that_waits_its_turn_comes_again_without_effect(with_model: Instance) -> None:
    command = raw_message(90, "/new hello")
    with_model.receive(command)
    assert with_model.receive(command) == Received()
    assert with_model.states() == {"/new hello": "claimed", "hello": "queued"}


def test_a_full_queue_refuses_a_command_with_the_words_behind_it(start_instance: StartInstance) -> None:
    instance = start_instance(queue_max=1)
    instance.rules = dataclasses.replace(instance.rules, model=ModelRules(("a:1",)))
    instance.start("a", "b")
    instance.say("/new hello")
    assert instance.states() == {"a": "claimed", "b": "queued", "/new hello": "dropped"}
    assert "I did not take this" in instance.answers()[-1]


@pytest.mark.parametrize("said", ["/new", "/model a:1", "/prompt Be brief.", "/forget"])
def test_without_a_model_its_commands_are_messages_word_for_word(instance: Instance, said: str) -> None:
    [turn] = instance.say(said).claimed
    assert turn.text == said


def test_help_lists_the_commands_of_a_model_only_where_one_answers(with_model: Instance) -> None:
    with_model.say("/help")
    lines = [line.split(" - ")[0] for line in with_model.answers()[0].split("\n") if line.startswith("/")]
    common = ["/stop", "/resume", "/drop", "/mode", "/queue", "/status", "/activation"]
    of_model = ["/new", "/retry", "/undo", "/compact", "/model", "/prompt", "/usage", "/forget"]
    assert lines == [*common, *of_model, "/help"]
    with_model.rules = dataclasses.replace(with_model.rules, model=None)
    with_model.say("/help")
    assert "/new" not in with_model.answers()[1]
