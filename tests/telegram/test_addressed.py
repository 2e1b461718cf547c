"""What in a group is for the bot, and what is left of a text when the bot's name is taken out."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.house import BOT, raw_message
from tgbot.model import Message, Raw, Unreadable
from tgbot.playground.text import detect, units
from tgbot.telegram.updates import parse

GROUP = -1_000_000_000_005
BOT_USER = {"id": BOT, "is_bot": True, "first_name": "Bot", "username": "the_bot"}
ANN = {"id": 7, "is_bot": False, "first_name": "Ann"}


def sent(text: str, chat: int = GROUP, username: str | None = "the_bot", **fields: Any) -> Message:  # noqa: ANN401
    fields = {"entities": detect(text, []), **fields}
    found = parse(BOT, username, raw_message(1, text, chat, **fields))
    assert isinstance(found, Message)
    return found


def raw_of(message: Message) -> Raw:
    raw: Raw = json.loads(message.update.raw)["message"]
    return raw


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("@the_bot what is it?", "what is it?"),
        ("@the_bot, what is it?", "what is it?"),
        ("@the_bot: what is it?", "what is it?"),
        ("@The_Bot what is it?", "what is it?"),
        ("what is it @the_bot", "what is it"),
        ("what is it, @the_bot?", "what is it?"),
        ("thank you, @the_bot", "thank you"),
        ("so, @the_bot, what is it?", "so, what is it?"),
        ("so, @the_bot what is it?", "so, what is it?"),
        ("so @the_bot what is it?", "so what is it?"),
        ("hi @the_bot, what is it?", "hi, what is it?"),
        ("@the_bot\nwhat is it?", "what is it?"),
        ("hi\n@the_bot what is it?", "hi\nwhat is it?"),
        ("hi @the_bot\nwhat is it?", "hi\nwhat is it?"),
        ("@the_bot @the_bot what is it @the_bot", "what is it"),
        ("(@the_bot what is it?)", "(what is it?)"),
        ("😀 @the_bot 😀", "😀 😀"),
        ("ask @the_bottle or @another", None),
        ("write to me@the_bot.org", None),
    ],
)
def test_the_bots_name_is_taken_out_of_the_text_wherever_it_stands(said: str, left: str | None) -> None:
    message = sent(said)
    assert raw_of(message)["text"] == (left or said)
    assert message.addressed is (left is not None)


def test_a_text_that_is_only_the_bots_name_stays() -> None:
    message = sent("@the_bot")
    assert (raw_of(message)["text"], message.addressed) == ("@the_bot", True)


def test_the_name_is_taken_out_of_a_caption_and_nothing_may_be_left_of_it() -> None:
    caption = {"caption": "@the_bot", "caption_entities": detect("@the_bot", []), "photo": []}
    raw = raw_message(1, "", GROUP, **caption)
    del raw["message"]["text"]
    message = parse(BOT, "the_bot", raw)
    assert isinstance(message, Message)
    assert (raw_of(message)["caption"], raw_of(message)["caption_entities"]) == ("", [])
    assert message.addressed


def test_entities_move_with_their_words_and_that_of_the_name_is_gone() -> None:
    said = "😀 bold @the_bot more link"
    marks = [
        {"type": "bold", "offset": 3, "length": 18},
        {"type": "mention", "offset": 8, "length": 8},
        {"type": "text_link", "offset": 22, "length": 4, "url": "https://x.y"},
    ]
    raw = raw_of(sent(said, entities=marks))
    assert raw["text"] == "😀 bold more link"
    assert raw["entities"] == [
        {"type": "bold", "offset": 3, "length": 9},
        {"type": "text_link", "offset": 13, "length": 4, "url": "https://x.y"},
    ]


def test_a_mention_of_a_bot_by_its_id_is_one_too() -> None:
    mark = {"type": "text_mention", "offset": 3, "length": 5, "user": BOT_USER}
    message = sent("hi Botty!", entities=[mark])
    assert (raw_of(message)["text"], message.addressed) == ("hi!", True)
    of_ann = sent("hi Annie!", entities=[{**mark, "user": ANN}])
    assert (raw_of(of_ann)["text"], of_ann.addressed) == ("hi Annie!", False)


def test_a_reply_to_the_bot_is_for_it_and_one_to_somebody_else_is_not() -> None:
    assert sent("yes", reply_to_message={"message_id": 5, "from": BOT_USER}).addressed
    assert not sent("yes", reply_to_message={"message_id": 5, "from": ANN}).addressed
    assert not sent("yes").addressed


def test_in_a_topic_that_the_bot_made_a_message_that_replies_to_nothing_is_not_for_it() -> None:
    beginning = {"message_id": 5, "from": BOT_USER, "forum_topic_created": {"name": "x"}}
    assert not sent("yes", reply_to_message=beginning, message_thread_id=5, is_topic_message=True).addressed


@pytest.mark.parametrize("said", ["/stop", "/stop@the_bot", "/whatever it is", "/start payload"])
def test_a_command_is_for_the_bot_if_it_is_for_no_other(said: str) -> None:
    assert sent(said).addressed


def test_a_command_behind_the_bots_name_is_a_command() -> None:
    message = sent("@the_bot /stop now")
    assert message.command
    assert (message.command.name, message.command.text) == ("stop", "now")
    assert message.command.behind
    assert raw_of(message.command.behind)["text"] == "now"


def test_a_command_for_another_bot_is_nothing_also_behind_our_name() -> None:
    said = "@the_bot /stop@another"
    assert parse(BOT, "the_bot", raw_message(1, said, GROUP, entities=detect(said, []))) is None


def test_while_the_username_is_not_known_any_name_may_be_the_bots_and_stays() -> None:
    message = sent("@the_bot what is it?", username=None)
    assert (raw_of(message)["text"], message.addressed) == ("@the_bot what is it?", True)
    assert not sent("what is it?", username=None).addressed


def test_in_a_private_chat_all_is_for_the_bot_and_its_name_stays() -> None:
    message = sent("@the_bot what is it?", 7)
    assert (raw_of(message)["text"], message.addressed) == ("@the_bot what is it?", True)


@pytest.mark.parametrize("marks", [5, [5], [{}], [{"type": "mention", "offset": "0", "length": 1}]])
def test_formatting_that_makes_no_sense_is_unreadable(marks: object) -> None:
    raw = raw_message(1, "@the_bot x", GROUP, entities=marks)
    assert isinstance(parse(BOT, "the_bot", raw), Unreadable)


@given(st.lists(st.sampled_from(["@the_bot", "a", "😀", "b.", ",", "(", ")", "\n", " "]), max_size=12))
def test_no_name_and_no_double_space_is_left_and_every_entity_keeps_its_words(pieces: list[str]) -> None:
    said = re.sub(r" +", " ", " ".join(pieces)).strip()
    marks = detect(said, [{"type": "bold", "offset": at, "length": 1} for at in _letters(said)])
    raw = raw_of(sent(said, entities=marks))
    if raw["text"] == said:
        return
    assert not re.search(r"  |@the_bot|^\s|\s$", raw["text"])
    assert re.sub(r"\W", "", raw["text"]) == re.sub(r"\W", "", said.replace("@the_bot", ""))
    data = raw["text"].encode("utf-16-le")
    bold = [
        data[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le") for e in raw["entities"]
    ]
    assert bold == ["a"] * said.replace("@the_bot", "").count("a")


def _letters(said: str) -> list[int]:
    return [units(said[:at]) for at, letter in enumerate(said) if letter == "a"]
