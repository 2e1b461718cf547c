"""Which raw update is a message, a pressed button, unreadable, or nothing: a table."""

import json
from typing import Any

import pytest

from tests.house import BOT, raw_message
from tests.store.instance import pressed
from tgbot.model import Arrival, CommandWords, Control, Message, Unreadable
from tgbot.telegram.updates import parse


def _message(**fields: Any) -> Arrival | None:  # noqa: ANN401 - any field of a message
    raw = raw_message(1, "")
    del raw["message"]["text"]
    raw["message"].update(fields)
    return parse(BOT, "the_bot", raw)


@pytest.mark.parametrize(
    "field",
    [
        "photo",
        "web_app_data",
        "rich_message",
        "live_photo",
        "game",
        "invoice",
        "giveaway",
        "story",
        "of_a_kind_to_come",
    ],
)
def test_whatever_a_person_sends_is_a_message_also_of_kinds_to_come(field: str) -> None:
    assert isinstance(_message(**{field: {}}), Message)


def test_a_message_of_a_kind_that_this_server_cannot_show_is_a_message() -> None:
    assert isinstance(_message(), Message)


@pytest.mark.parametrize(
    "field",
    [
        "new_chat_members",
        "left_chat_member",
        "new_chat_title",
        "new_chat_photo",
        "pinned_message",
        "forum_topic_created",
        "video_chat_started",
        "write_access_allowed",
    ],
)
def test_a_service_notice_is_nothing(field: str) -> None:
    assert _message(**{field: {}}) is None


@pytest.mark.parametrize("field", ["text", "caption"])
@pytest.mark.parametrize("value", [5, None, [], {}, True])
def test_a_text_that_is_no_text_is_unreadable(field: str, value: object) -> None:
    assert isinstance(_message(photo=[], **{field: value}), Unreadable)


def test_what_is_written_on_behalf_of_a_chat_is_nothing() -> None:
    """An anonymous admin, or a channel in its group: the sender is one that Telegram made up."""
    assert _message(text="news", sender_chat={"id": -1001, "type": "channel"}) is None


def test_what_is_unreadable_in_a_topic_still_names_the_topic() -> None:
    unreadable = _message(text=5, is_topic_message=True, message_thread_id=3)
    assert isinstance(unreadable, Unreadable)
    assert (unreadable.chat_id, unreadable.topic_id) == (7, 3)


@pytest.mark.parametrize(
    ("said", "name", "behind"),
    [
        ("/stop", "stop", None),
        ("/STOP now", "stop", "now"),
        ("/stop@the_bot", "stop", None),
        ("/stop@The_Bot \n the  music", "stop", "the  music"),
        ("/stop. Now!", "stop", "Now!"),
        (" /stop! ", "stop", None),
        ("/stopped", "stopped", None),
        ("/imagine a cat", "imagine", "a cat"),
        ("/start", "start", None),
    ],
)
def test_a_slash_and_a_word_may_be_a_command_and_have_a_message_behind_it(
    said: str, name: str, behind: str | None
) -> None:
    message = _message(text=said)
    assert isinstance(message, Message)
    assert message.command
    assert (message.command.name, message.command.slash) == (name, True)
    found = message.command.behind
    assert (json.loads(found.update.raw)["message"]["text"] if found else None) == behind
    assert json.loads(message.update.raw)["message"]["text"] == said


@pytest.mark.parametrize(
    "said",
    ["say /stop", "/home/ann is full", "/stop@", "/", "/a-b", f"/{'x' * 33}", "/start payload", "two words"],
)
def test_other_texts_are_no_command(said: str) -> None:
    message = _message(text=said)
    assert isinstance(message, Message)
    assert message.command is None


def test_one_word_may_be_a_command_without_its_slash() -> None:
    message = _message(text="Stop!")
    assert isinstance(message, Message)
    assert message.command == CommandWords("stop", slash=False)


def test_a_command_for_another_bot_is_nothing() -> None:
    assert _message(text="/stop@another") is None
    assert _message(text="/stop@another and words") is None


@pytest.mark.parametrize("entities", [5, [5], [{}], [{"offset": "0", "length": 1}]])
def test_words_behind_a_command_whose_formatting_makes_no_sense_are_unreadable(entities: object) -> None:
    assert isinstance(_message(text="/stop the music", entities=entities), Unreadable)


@pytest.mark.parametrize(
    ("data", "name", "args"),
    [
        ("stop:12", "stop", (12,)),
        ("pick_one:12:3", "pick_one", (12, 3)),
        ("stop", "stop", ()),
        ("", "", ()),
        ("stop:", "", ()),
        ("stop:1:", "", ()),
        ("stop: 1", "", ()),
        ("stop:-1", "", ()),
        ("stop:١", "", ()),  # noqa: RUF001 - a digit one, in Arabic
        ("stop:1\n", "", ()),
        (f"stop:{10**18}", "", ()),
    ],
)
def test_a_button_is_a_name_and_numbers_or_nothing_that_we_know(
    data: str, name: str, args: tuple[int, ...]
) -> None:
    control = parse(BOT, "the_bot", pressed(1, data))
    assert isinstance(control, Control)
    assert (control.name, control.args, control.callback_id) == (name, args, "q1")


@pytest.mark.parametrize("update_id", [2**63, float("inf"), 5.0, "5", None, True])
def test_an_id_that_cannot_be_stored_is_none(update_id: object) -> None:
    with pytest.raises(TypeError):
        parse(BOT, "the_bot", {**raw_message(1, "x"), "update_id": update_id})
