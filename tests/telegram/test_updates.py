"""Which raw update is a message, a control, unreadable, or nothing: a table."""

from typing import Any

import pytest

from tests.house import BOT, raw_message
from tgbot.model import Arrival, Control, Message, Unreadable
from tgbot.telegram.updates import parse


def _message(**fields: Any) -> Arrival | None:  # noqa: ANN401 - any field of a message
    raw = raw_message(1, "")
    del raw["message"]["text"]
    raw["message"].update(fields)
    return parse(BOT, "the_bot", raw)


@pytest.mark.parametrize(
    "field",
    ["photo", "rich_message", "live_photo", "game", "invoice", "giveaway", "story", "of_a_kind_to_come"],
)
def test_whatever_a_person_sends_is_a_message_also_of_kinds_to_come(field: str) -> None:
    assert isinstance(_message(**{field: {}}), Message)


def test_a_message_of_a_kind_that_this_server_can_not_show_is_a_message() -> None:
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
        "migrate_to_chat_id",
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


def test_what_is_unreadable_in_a_topic_still_tells_the_topic() -> None:
    unreadable = _message(text=5, is_topic_message=True, message_thread_id=3)
    assert isinstance(unreadable, Unreadable)
    assert (unreadable.chat_id, unreadable.topic_id) == (7, 3)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("/stop", Control),
        ("/STOP now", Control),
        ("/stop@the_bot", Control),
        ("/stop@another", type(None)),
        ("/stopped", Message),
        ("say /stop", Message),
        ("/imagine a cat", Message),
    ],
)
def test_a_command_is_a_control_only_if_we_know_it_and_are_meant(said: str, kind: type) -> None:
    assert type(_message(text=said)) is kind


@pytest.mark.parametrize("update_id", [2**63, float("inf"), 5.0, "5", None, True])
def test_an_id_that_can_not_be_stored_is_none(update_id: object) -> None:
    with pytest.raises(TypeError):
        parse(BOT, "the_bot", {**raw_message(1, "x"), "update_id": update_id})
