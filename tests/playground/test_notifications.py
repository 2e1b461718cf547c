"""What a phone's notification said last, as the list of chats shows it."""

from pathlib import Path

import pytest

from tests.playground.conftest import Client, Json
from tests.playground.test_methods import RICH
from tests.playground.test_people import PNG
from tgbot.playground.files import Upload
from tgbot.playground.notifications import LENGTH_MAX
from tgbot.playground.persistence import Persistence
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World

ADA = 7


def notification(world: World) -> str | None:
    [chat] = world.chats()
    said: str | None = chat.get("notification")
    return said


@pytest.fixture(autouse=True)
def hello(server: PlaygroundServer) -> None:
    server.world.post_message(ADA, ADA, "what a person writes makes no notification")


async def test_it_is_the_text_of_the_newest_message_of_a_bot(server: PlaygroundServer, bot: Client) -> None:
    assert notification(server.world) is None
    await bot.call("sendMessage", chat_id=ADA, text="first")
    await bot.call("sendMessage", chat_id=ADA, text="second\n\nof two lines")
    assert notification(server.world) == "second of two lines"
    await bot.call("sendMessage", chat_id=ADA, text="long " * 100)
    said = str(notification(server.world))
    assert said.endswith("…")
    assert len(said) == LENGTH_MAX


async def test_edits_and_deletes_do_not_change_it(server: PlaygroundServer, bot: Client) -> None:
    sent = await bot.call("sendMessage", chat_id=ADA, text="…")
    place = {"chat_id": ADA, "message_id": sent["message_id"]}
    await bot.call("editMessageText", **place, text="the answer")
    assert notification(server.world) == "…"
    await bot.call("deleteMessage", **place)
    assert notification(server.world) == "…"


async def test_a_silent_message_makes_none_and_is_marked_for_people_only(
    server: PlaygroundServer, bot: Client
) -> None:
    await bot.call("sendMessage", chat_id=ADA, text="aloud")
    sent = await bot.call("sendMessage", chat_id=ADA, text="quiet", disable_notification=True)
    place = {"chat_id": ADA, "message_id": sent["message_id"]}
    edited = await bot.call("editMessageText", **place, text="quiet still")
    assert notification(server.world) == "aloud"
    assert ["silent" in one for one in server.world.messages(ADA)] == [False, False, True]
    assert "silent" not in sent | edited


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("sendPhoto", {"caption": "a dot"}, "Photo: a dot"),
        ("sendPhoto", {}, "Photo"),
        ("sendMediaGroup", {}, "Photo: the first"),
        ("sendRichMessage", {"rich_message": {"html": RICH}}, "Head a bold link one two quote of two lines"),
        ("sendRichMessage", {"rich_message": {"html": "<p>wor<b>ld</b></p><p>two</p>"}}, "world two"),
    ],
)
async def test_of_media_it_is_kind_and_caption_and_of_rich_text_the_words(
    server: PlaygroundServer, bot: Client, method: str, params: dict[str, Json], said: str
) -> None:
    dot = server.world.keep_file("photo", Upload("a.png", "image/png", PNG)).file_id
    picture = {"type": "photo", "media": dot}
    album = [picture | {"caption": "the first"}, picture | {"caption": "the second"}]
    media: dict[str, Json] = {"sendPhoto": {"photo": dot}, "sendMediaGroup": {"media": album}}
    await bot.call(method, chat_id=ADA, **params, **media.get(method, {}))
    assert str(notification(server.world)).startswith(said)


def test_it_outlives_a_restart(tmp_path: Path) -> None:
    first, persistence = World(folder=tmp_path), Persistence(tmp_path)
    persistence.attach(first)
    first.make_chat(ADA, "Ada")
    chat, sender = first.chat(ADA), first.bot("1:playground").user
    first.add_message(chat, sender, {"text": "aloud"})
    first.add_message(chat, sender, {"text": "quiet"}, silent=True)
    persistence.close()
    second, persistence = World(folder=tmp_path), Persistence(tmp_path)
    persistence.attach(second)
    assert notification(second) == "aloud"
    assert second.messages(ADA) == first.messages(ADA)
    assert "silent" not in second.chat(ADA).messages[2]
    persistence.close()
