"""What a message carries besides text, read from the raw fields: a table, and whatever else JSON can hold."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.house import raw_message
from tgbot.model import Raw
from tgbot.turns.context import (
    Attachment,
    Contact,
    Context,
    Dice,
    DownloadError,
    Link,
    Location,
    Origin,
    Poll,
    Reply,
    User,
    WebAppData,
    size_words,
)
from tgbot.turns.prompt import prompt_of
from tgbot.turns.reading import context_of

ANN = {"id": 7, "is_bot": False, "first_name": "Ann"}
NEWS = {"id": -1001, "type": "channel", "title": "News", "username": "news"}
FILE = {"file_id": "A", "file_unique_id": "a", "file_size": 9}


def message(**fields: Any) -> Raw:  # noqa: ANN401 - any field of a message
    raw: Raw = raw_message(1, "hi", **fields)["message"]
    return raw


def read(**fields: Any) -> Context:  # noqa: ANN401 - as above
    return context_of([message(**fields)])


def test_text_alone_has_a_sender_and_nothing_else() -> None:
    assert read() == Context(sender=User(7, "Ann"))


def test_the_sender_is_read_with_all_that_telegram_says() -> None:
    sender = {**ANN, "last_name": "Lee", "username": "ann", "language_code": "de"}
    user = read(**{"from": sender}).sender
    assert user == User(7, "Ann", "Lee", "ann", "de")
    assert user.name == "Ann Lee"


def test_in_a_group_others_may_write_the_next_message() -> None:
    raw: Raw = raw_message(1, "hi", -5)["message"]
    assert context_of([raw]).in_group
    assert not read().in_group


def test_what_a_web_app_sent_is_there_with_its_button() -> None:
    sent = {"data": '{"pizza": 2}', "button_text": "Order"}
    assert read(web_app_data=sent).web_app_data == WebAppData('{"pizza": 2}', "Order")
    assert read(web_app_data={"button_text": "Order"}).web_app_data is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"document": {**FILE, "file_name": "a.pdf", "mime_type": "application/pdf"}},
            Attachment("document", "A", "a", "a.pdf", "application/pdf", 9),
        ),
        (
            {"voice": {**FILE, "duration": 3, "mime_type": "audio/ogg"}},
            Attachment("voice", "A", "a", mime_type="audio/ogg", size_bytes=9, duration_seconds=3),
        ),
        (
            {"audio": {**FILE, "duration": 3, "file_name": "a.mp3"}},
            Attachment("audio", "A", "a", "a.mp3", size_bytes=9, duration_seconds=3),
        ),
        (
            {"video": {**FILE, "width": 4, "height": 3, "duration": 2}},
            Attachment("video", "A", "a", size_bytes=9, width=4, height=3, duration_seconds=2),
        ),
        (
            {"video_note": {**FILE, "length": 5, "duration": 2}},
            Attachment("video_note", "A", "a", size_bytes=9, width=5, height=5, duration_seconds=2),
        ),
        (
            {"sticker": {**FILE, "width": 5, "height": 5, "emoji": "😀"}},
            Attachment("sticker", "A", "a", size_bytes=9, width=5, height=5, emoji="😀"),
        ),
        (
            {"animation": {**FILE, "file_name": "a.gif"}, "document": FILE},
            Attachment("animation", "A", "a", "a.gif", size_bytes=9),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_file_of_each_kind_is_one_attachment(fields: Raw, expected: Attachment) -> None:
    assert read(**fields).files == (expected,)


def test_of_a_photo_the_largest_size_is_the_file() -> None:
    sizes = [{"file_id": str(n), "width": n, "height": n} for n in (90, 800, 320)]
    assert read(photo=sizes).files == (Attachment("photo", "800", width=800, height=800),)


def test_an_albums_files_are_there_in_order_with_the_first_ones_sender() -> None:
    album = [message(document={"file_id": name}, reply_to_message=message()) for name in "ABC"]
    context = context_of(album)
    assert [file.file_id for file in context.files] == ["A", "B", "C"]
    assert (context.sender.name, context.reply and context.reply.text) == ("Ann", "hi")


def test_a_hidden_link_is_found_behind_its_words_counted_in_utf_16_units() -> None:
    entities = [
        {"type": "bold", "offset": 0, "length": 2},
        {"type": "text_link", "offset": 7, "length": 4, "url": "https://a.b/"},
    ]
    hidden = (Link("here", "https://a.b/"),)
    assert read(text="😀 see here", entities=entities).links == hidden
    raw = message(caption="😀 see here", caption_entities=entities)
    del raw["text"]
    assert context_of([raw]).links == hidden


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (
            {"type": "user", "date": 5, "sender_user": {**ANN, "username": "ann"}},
            Origin("user", "Ann", 7, "ann", date=5),
        ),
        (
            {"type": "hidden_user", "date": 5, "sender_user_name": "Bob"},
            Origin("hidden_user", "Bob", date=5),
        ),
        (
            {"type": "chat", "date": 5, "sender_chat": {"id": -5, "type": "group", "title": "Us"}},
            Origin("chat", "Us", -5, date=5),
        ),
        (
            {"type": "channel", "date": 5, "chat": NEWS, "message_id": 3, "author_signature": "Al"},
            Origin("channel", "News", -1001, "news", "Al", 3, 5),
        ),
        ({"type": "of a kind to come"}, None),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_forward_says_whose_it_was(origin: Raw, expected: Origin | None) -> None:
    assert read(forward_origin=origin).forwarded_from == expected


def test_a_reply_has_what_it_replies_to_with_its_files_and_the_quoted_part() -> None:
    target = {**message(document=FILE), "text": "one two", "from": {**ANN, "first_name": "Bob"}}
    quote = {"text": "two", "position": 4, "is_manual": True}
    reply = read(reply_to_message=target, quote=quote).reply
    assert reply == Reply(
        files=(Attachment("document", "A", "a", size_bytes=9),),
        origin=Origin("user", "Bob", 7, message_id=1, date=1),
        text="one two",
        quote="two",
    )


def test_a_reply_to_what_a_channel_wrote_names_the_channel_not_its_made_up_sender() -> None:
    reply = read(reply_to_message=message(sender_chat=NEWS)).reply
    assert reply
    assert reply.origin == Origin("channel", "News", -1001, "news", message_id=1, date=1)


def test_a_reply_into_another_chat_has_the_origin_the_files_and_the_quote() -> None:
    external = {"origin": {"type": "channel", "date": 5, "chat": NEWS}, "photo": [FILE]}
    reply = read(external_reply=external, quote={"text": "two"}).reply
    assert reply == Reply(
        files=(Attachment("photo", "A", "a", size_bytes=9),),
        origin=Origin("channel", "News", -1001, "news", date=5),
        quote="two",
        external=True,
    )


def test_what_is_merely_written_in_a_topic_is_no_reply() -> None:
    assert read(reply_to_message=message(forum_topic_created={"name": "Plans"})).reply is None


def test_a_rich_message_that_is_forwarded_or_replied_to_is_read_as_plain_text() -> None:
    """A bot with FORMAT=rich answers in them, so people reply to them."""
    item = {"label": "•", "blocks": [{"type": "paragraph", "text": [{"type": "bold", "text": "milk"}, "!"]}]}
    rich = {
        "blocks": [
            {"type": "heading", "size": 1, "text": "List"},
            {"type": "list", "items": [item]},
            {"type": "table", "cells": [[{"text": "a"}, {"text": "b"}], [{"text": "1"}, {"text": "2"}]]},
            {"type": "divider"},
            {"type": "blockquote", "blocks": [{"type": "pre", "text": "x = 1"}], "credit": "Al"},
        ]
    }
    plain = "List\n• milk!\na | b\n1 | 2\nx = 1\nAl"
    context = read(rich_message=rich, reply_to_message=message(rich_message=rich))
    assert (context.rich_text, context.reply and context.reply.rich_text) == (plain, plain)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"contact": {"phone_number": "+49", "first_name": "Bob", "last_name": "B", "user_id": 8}},
            {"contact": Contact("+49", "Bob", "B", 8)},
        ),
        (
            {"location": {"latitude": 52.5, "longitude": -13}},
            {"location": Location(52.5, -13.0)},
        ),
        (
            {
                "venue": {
                    "location": {"latitude": 1.0, "longitude": 2.0},
                    "title": "Inn",
                    "address": "Main St",
                },
                "location": {"latitude": 1.0, "longitude": 2.0},
            },
            {"location": Location(1.0, 2.0, "Inn", "Main St")},
        ),
        (
            {"poll": {"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]}},
            {"poll": Poll("Tea?", ("yes", "no"))},
        ),
        ({"dice": {"emoji": "🎲", "value": 4}}, {"dice": Dice("🎲", 4)}),
        (
            {"via_bot": {"id": 9, "is_bot": True, "first_name": "Gif", "username": "gif"}},
            {"via_bot": User(9, "Gif", username="gif", is_bot=True)},
        ),
        ({"link_preview_options": {"url": "https://a.b"}}, {"preview_url": "https://a.b"}),
        ({"link_preview_options": {"url": "https://a.b", "is_disabled": True}}, {}),
        ({"story": {"id": 1, "chat": NEWS}}, {"other": "story"}),
    ],
)
def test_every_other_kind_is_a_type_of_its_own(fields: Raw, expected: dict[str, Any]) -> None:
    assert read(**fields) == Context(sender=User(7, "Ann"), **expected)


def test_a_lone_surrogate_becomes_the_replacement_character_wherever_it_stands() -> None:
    broken = json.loads(r'"a\ud83d"')
    context = read(
        text=broken,
        entities=[{"type": "text_link", "offset": 0, "length": 2, "url": broken}],
        document={"file_id": "A", "file_name": broken},
        rich_message={"blocks": [{"type": "paragraph", "text": broken}]},
        **{"from": {"id": 7, "first_name": broken}},
    )
    assert context.links == (Link("a\ufffd", "a\ufffd"),)
    assert (context.files[0].name, context.rich_text) == ("a\ufffd", "a\ufffd")
    assert context.sender.first_name == "a\ufffd"


@pytest.mark.parametrize("odd", [True, "5", float("nan"), float("inf"), 10**400, -181, None, [], {}])
def test_a_number_that_cannot_be_one_is_left_out_and_the_rest_is_there(odd: object) -> None:
    context = read(document={**FILE, "file_size": odd}, location={"latitude": odd, "longitude": 1.0})
    assert context.files == (Attachment("document", "A", "a"),)
    assert context.location is None


@pytest.mark.parametrize("odd", [-1, 10**9, "1", True, None])
def test_a_link_that_stands_nowhere_harms_nothing(odd: object) -> None:
    entities = [{"type": "text_link", "offset": odd, "length": 2, "url": "https://a.b"}]
    assert prompt_of("hi", read(entities=entities)).endswith("hi")


# Numbers as json.loads() gives them: NaN and infinities too, and integers without end.
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400)
ODD = st.recursive(
    SCALARS | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
POINT = {"latitude": 52.5, "longitude": 13.4}
MEDIA: Raw = {
    **FILE,
    "file_name": "a",
    "mime_type": "a/b",
    "width": 3,
    "height": 3,
    "length": 3,
    "duration": 3,
}
BLOCK = {"type": "list", "items": [{"label": "1.", "blocks": [{"text": ["a", {"text": "b"}]}]}]}
EVERYTHING: Raw = {
    "web_app_data": {"data": "x", "button_text": "y"},
    "from": {**ANN, "last_name": "Lee", "username": "ann", "language_code": "de"},
    "text": "see here",
    "entities": [{"type": "text_link", "offset": 4, "length": 4, "url": "https://a.b"}],
    **dict.fromkeys(["document", "voice", "audio", "video", "video_note", "sticker"], MEDIA),
    "photo": [FILE, MEDIA],
    "contact": {"phone_number": "+49", "first_name": "Bob", "last_name": "B", "user_id": 8, "vcard": "v"},
    "venue": {"location": POINT, "title": "Inn", "address": "Main St"},
    "location": POINT,
    "poll": {"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]},
    "dice": {"emoji": "🎲", "value": 4},
    "story": {"id": 1},
    "rich_message": {"blocks": [{"text": "a"}, BLOCK, {"cells": [[{"text": "c"}]], "credit": "d"}]},
    "via_bot": ANN,
    "link_preview_options": {"url": "https://a.b", "is_disabled": False},
    "forward_origin": {"type": "channel", "date": 5, "chat": NEWS, "message_id": 3, "author_signature": "Al"},
    "quote": {"text": "two"},
}
REPLIES = (
    {"reply_to_message": EVERYTHING},
    {"reply_to_message": {**EVERYTHING, "sender_chat": NEWS}},
    {"external_reply": {**EVERYTHING, "origin": {"type": "user", "date": 5, "sender_user": ANN}}},
    {"external_reply": {"origin": {"type": "hidden_user", "sender_user_name": "Ann"}}},
    {"forward_origin": {"type": "chat", "sender_chat": NEWS}},
)


def spoil(data: st.DataObject, value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Put something odd in the place of one value, anywhere in it."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 5)) == 0:
        return data.draw(ODD)
    if isinstance(value, list):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], spoil(data, value[at]), *value[at + 1 :]]
    name = data.draw(st.sampled_from(sorted(value)))
    return {**value, name: spoil(data, value[name])}


@settings(max_examples=300)
@given(st.sampled_from(REPLIES), st.integers(0, 4), st.data())
def test_whatever_the_fields_hold_the_context_and_the_prompt_are_made_of_the_others(
    reply: Raw, times: int, data: st.DataObject
) -> None:
    raw: Raw = {**EVERYTHING, **reply}
    for name in data.draw(st.lists(st.sampled_from(sorted(raw)), min_size=times, max_size=times)):
        raw = {**raw, name: spoil(data, raw[name])}
    context = context_of([raw, EVERYTHING])
    assert {"document", "voice", "photo"} <= {file.kind for file in context.files}, "the second one's"
    prompt_of("hi", context).encode()
    # Neither NaN nor a lone surrogate nor an object of Telegram's is left in it.
    json.dumps(asdict(context), allow_nan=False, ensure_ascii=False).encode()


def test_what_is_nested_without_end_is_cut_where_it_has_to_be() -> None:
    deep: Any = "x"
    for _ in range(20_000):
        deep = {"text": [deep]}
    assert read(rich_message={"blocks": [deep]}).rich_text == ""
    assert read(reply_to_message={"text": "hi", "reply_to_message": deep}).reply


def test_a_download_that_is_too_large_names_the_file_its_size_and_the_limit() -> None:
    photo = Attachment("photo", "A")
    assert str(DownloadError.too_large(photo, 20 * 1024**2)) == (
        "the photo is too large; bots may download at most 20 MB"
    )
    named = Attachment("document", "A", name="a.pdf", size_bytes=34 * 1024**2 + 600_000)
    assert str(DownloadError.too_large(named, 20 * 1024**2)) == (
        "a.pdf is 34.6 MB; bots may download at most 20 MB"
    )


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 bytes"), (1_023, "1023 bytes"), (12_700, "12 kB"), (1024**2, "1 MB"), (1_600_000, "1.5 MB")],
)
def test_a_size_is_said_as_people_do(size_bytes: int, words: str) -> None:
    assert size_words(size_bytes) == words
