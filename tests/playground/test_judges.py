"""A conversation through the playground in the eyes of other implementations' models."""

import json
from typing import Any

import pytest
import telegram
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judges import judge_journal, judge_message, judge_update, td, td_text_error
from tests.playground.conftest import TOKEN, Client
from tests.playground.test_people import PNG
from tgbot.playground import text as texts
from tgbot.playground.errors import ApiError
from tgbot.playground.files import Upload
from tgbot.playground.server import PlaygroundServer

FORUM = -1_000_000_000_005


def everything_people_do(server: PlaygroundServer) -> None:
    world = server.world
    world.post_message(7, 7, "/start https://example.org @somebody #tag")
    world.post_message(7, 7, "a reply", reply_to_message_id=1)
    world.edit_message(7, 7, 1, "edited")
    world.post_message(-5, 7, "to a group")
    world.make_chat(FORUM, "Forum", is_forum=True)
    world.post_message(FORUM, 7, "to a topic", message_thread_id=world.make_topic(FORUM, 7, "Topic"))
    world.post_files(
        7, 7, [Upload("a.png", "image/png", PNG), Upload("b.png", "image/png", PNG)], caption="two"
    )
    world.post_files(7, 7, [Upload("v.ogg", "audio/ogg", b"x")])
    world.post_files(7, 7, [Upload("d.txt", "text/plain", b"x")])
    world.react_to(7, 7, 1, "👍")
    world.block(7, blocked=True)
    world.block(7, blocked=False)


async def everything_a_bot_does(bot: telegram.Bot) -> None:
    keyboard = telegram.InlineKeyboardMarkup([[telegram.InlineKeyboardButton("Stop", callback_data="stop")]])
    bold = [telegram.MessageEntity("bold", 0, 2)]
    sent = await bot.send_message(7, "hi there", entities=bold, reply_markup=keyboard, reply_to_message_id=1)
    await bot.edit_message_text("hi all", 7, sent.message_id, entities=bold)
    await bot.edit_message_reply_markup(7, sent.message_id, reply_markup=keyboard)
    await bot.send_document(7, b"x", filename="a.txt", caption="a file")
    await bot.send_photo(7, PNG)
    await bot.send_voice(7, b"x", duration=1)
    await bot.send_media_group(
        7, [telegram.InputMediaPhoto(PNG, caption="one"), telegram.InputMediaPhoto(PNG)]
    )
    await bot.edit_message_media(telegram.InputMediaDocument(b"x", filename="b.txt"), 7, sent.message_id)
    await bot.edit_message_caption(7, sent.message_id, caption="why")
    await bot.send_chat_action(7, "typing")
    await bot.set_message_reaction(7, 1, "👀")
    await bot.set_my_commands([("stop", "Stop the turn")])
    await bot.get_my_commands()
    await bot.get_webhook_info()
    await bot.delete_message(7, sent.message_id)


async def test_the_judges_know_all_that_the_playground_emits(server: PlaygroundServer, bot: Client) -> None:
    everything = ["message", "edited_message", "callback_query", "message_reaction", "my_chat_member"]
    await bot.call("getUpdates", allowed_updates=everything)
    everything_people_do(server)
    async with telegram.Bot(
        TOKEN, base_url=f"{server.url}/bot", base_file_url=f"{server.url}/file/bot"
    ) as ptb:
        await everything_a_bot_does(ptb)
    updates = await bot.call("getUpdates")
    assert len(updates) > 10
    for update in updates:
        judge_update(update)
    for chat in server.world.chats():
        for message in server.world.messages(chat["id"]):
            message.pop("reactions")
            judge_message(message)
    judge_journal(server.world.journal)


@pytest.mark.parametrize(
    "params",
    [
        {"text": "x" * 4097},
        {"text": "x", "colour": "red"},
        {"text": "x", "entities": [{"type": "bold", "offset": 0, "length": 9}]},
        {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": "x" * 65}]]}},
    ],
)
async def test_the_judges_see_a_wrong_request(
    server: PlaygroundServer, bot: Client, params: dict[str, Any]
) -> None:
    await bot.raw("sendMessage", chat_id=7, **params)
    with pytest.raises(AssertionError, match="sendMessage"):
        judge_journal(server.world.journal)


def theirs(text: str) -> list[tuple[str, int, int]]:
    """Return what Telegram's own text code marks in a text by itself."""
    found = td({"@type": "getTextEntities", "text": text})["entities"]
    return [
        (one["type"]["@type"].removeprefix("textEntityType"), one["offset"], one["length"]) for one in found
    ]


def ours(text: str) -> list[tuple[str, int, int]]:
    names = {
        "bot_command": "BotCommand",
        "mention": "Mention",
        "hashtag": "Hashtag",
        "url": "Url",
        "email": "EmailAddress",
    }
    return [(names[one["type"]], one["offset"], one["length"]) for one in texts.detect(text, [])]


@pytest.mark.parametrize(
    "text", ["https://example.org/a?b=c, and", "(https://example.org)", "mail me@example.org."]
)
def test_links_are_detected_as_by_telegram(text: str) -> None:
    assert ours(text) == theirs(text)


# No dot: which bare domains are links, Telegram decides by a list of names, the playground by none.
WORDS = st.lists(st.sampled_from([*"/a9_@ <>\n-é#:", "abcd", "😀"]), max_size=9).map("".join)


@settings(max_examples=1000)
@given(WORDS)
def test_commands_mentions_and_hashtags_are_detected_as_by_telegram(text: str) -> None:
    assert ours(text) == [one for one in theirs(text) if one[0] in ("BotCommand", "Mention", "Hashtag")]


@settings(max_examples=500)
@given(
    st.text(st.sampled_from("ab\r\x00\t\u2028\u202e\u030a😀"), max_size=8),
    st.integers(0, 8),
    st.integers(1, 8),
)
def test_characters_are_cleaned_as_by_telegram(text: str, offset: int, length: int) -> None:
    text = f"x{text}x"  # Telegram makes a text of white space empty
    bold = {"type": "bold", "offset": offset, "length": length}
    if td_text_error(text, [bold]):
        return
    cleaned, entities = texts.clean(text, [bold])
    formatted = {"@type": "formattedText", "text": text, "entities": []}
    assert cleaned == td({"@type": "getMarkdownText", "text": formatted})["text"]
    marked = "".join(part(cleaned, one["offset"], one["length"]) for one in entities)
    assert marked == texts.clean(part(text, offset, length), [])[0]


def part(text: str, offset: int, length: int) -> str:
    """Return what lies between two UTF-16 offsets."""
    return text.encode("utf-16-le")[2 * offset : 2 * (offset + length)].decode("utf-16-le")


ENTITIES = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("bold"), "offset": st.integers(0, 8), "length": st.integers(1, 8)}
    ),
    max_size=1,
)


@settings(max_examples=200)
@given(st.text(alphabet="a 😀\n", max_size=6), ENTITIES)
def test_bounds_agree_with_telegrams_own(text: str, entities: list[dict[str, Any]]) -> None:
    try:
        texts.check_entities(text, entities)
        ours = None
    except ApiError as error:
        ours = error.description
    theirs = td_text_error(text, entities)
    assert (ours is None) == (theirs is None), json.dumps([text, entities, ours, theirs])
