"""Message ids: one growing count for private chats and basic groups, one for each supergroup."""

from pathlib import Path

import pytest

from tests.playground.conftest import Client, Json
from tests.playground.test_people import PNG
from tgbot.playground.errors import ApiError
from tgbot.playground.files import Upload
from tgbot.playground.persistence import Persistence
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.upgrade import upgrade_group
from tgbot.playground.world import World

ADA, BEN, GROUP, SUPERGROUP, FORUM = 7, 8, -5, -1_000_000_000_005, -1_000_000_000_006


def posted(world: World, *chats: int) -> list[int]:
    return [world.post_message(chat, abs(chat), "hello")["message_id"] for chat in chats]


async def test_private_chats_and_groups_share_one_growing_sequence(
    server: PlaygroundServer, bot: Client
) -> None:
    assert posted(server.world, ADA, BEN, GROUP, ADA) == [1, 2, 3, 4]
    assert (await bot.call("sendMessage", chat_id=BEN, text="hi"))["message_id"] == 5
    assert posted(server.world, GROUP) == [6]


def test_each_supergroup_has_a_sequence_of_its_own() -> None:
    world = World()
    assert posted(world, ADA, SUPERGROUP, ADA, SUPERGROUP, FORUM) == [1, 1, 2, 2, 1]


def test_a_supergroup_that_a_group_became_starts_anew() -> None:
    world = World()
    posted(world, ADA, GROUP)
    supergroup = upgrade_group(world, GROUP)
    assert [message["message_id"] for message in world.messages(supergroup)] == [1]
    assert posted(world, supergroup, ADA) == [2, 4]


def test_a_topic_is_named_by_the_message_that_made_it() -> None:
    world = World()
    posted(world, ADA, GROUP)
    world.make_chat(FORUM, "Forum", is_forum=True)
    topics = [world.make_topic(FORUM, ADA, name) for name in ("Releases", "Support")]
    assert topics == [message["message_id"] for message in world.messages(FORUM)] == [1, 2]


async def test_an_album_has_consecutive_ids(server: PlaygroundServer, bot: Client) -> None:
    posted(server.world, ADA, BEN)
    world = server.world
    photo = world.post_files(BEN, BEN, [Upload("a.png", "image/png", PNG)])[0]["photo"][0]["file_id"]
    album = await bot.call("sendMediaGroup", chat_id=ADA, media=[{"type": "photo", "media": photo}] * 3)
    assert [message["message_id"] for message in album] == [4, 5, 6]
    assert len({message["media_group_id"] for message in album}) == 1


def test_no_id_is_used_twice_also_after_deletes_and_a_restart(tmp_path: Path) -> None:
    first, persistence = World(folder=tmp_path), Persistence(tmp_path)
    persistence.attach(first)
    assert posted(first, ADA, BEN, SUPERGROUP) == [1, 2, 1]
    for chat, message_id in ((ADA, 1), (BEN, 2), (SUPERGROUP, 1)):
        first.delete_message(first.chat(chat), message_id)
    assert posted(first, ADA) == [3]
    first.delete_message(first.chat(ADA), 3)
    persistence.close()
    second, persistence = World(folder=tmp_path), Persistence(tmp_path)
    persistence.attach(second)
    assert posted(second, BEN, SUPERGROUP) == [4, 2]
    persistence.close()


@pytest.mark.parametrize(
    ("method", "params", "refusal"),
    [
        ("editMessageText", {"text": "x"}, "message to edit not found"),
        ("editMessageReplyMarkup", {}, "message to edit not found"),
        ("editMessageCaption", {"caption": "x"}, "message to edit not found"),
        ("deleteMessage", {}, "message to delete not found"),
        ("setMessageReaction", {"reaction": []}, "message to react not found"),
    ],
)
async def test_the_id_of_a_message_in_another_chat_is_not_found(
    server: PlaygroundServer, bot: Client, method: str, params: dict[str, Json], refusal: str
) -> None:
    posted(server.world, ADA, BEN)
    elsewhere = await bot.call("sendMessage", chat_id=BEN, text="hi")
    place = {"chat_id": ADA, "message_id": elsewhere["message_id"]}
    assert await bot.refused(method, **place, **params) == f"Bad Request: {refusal}"
    reply = {"message_id": elsewhere["message_id"]}
    refused = await bot.refused("sendMessage", chat_id=ADA, text="x", reply_parameters=reply)
    assert refused == "Bad Request: message to be replied not found"
    assert server.world.messages(BEN)[-1]["text"] == "hi"


def test_a_person_cannot_name_a_message_of_another_chat() -> None:
    world = World()
    [_, elsewhere] = posted(world, ADA, BEN)
    with pytest.raises(ApiError, match="message to edit not found"):
        world.edit_message(ADA, ADA, elsewhere, "x")
    with pytest.raises(ApiError, match="message to react not found"):
        world.react_to(ADA, ADA, elsewhere, "👍")
    with pytest.raises(ApiError, match="message to be replied not found"):
        world.post_message(ADA, ADA, "x", reply_to_message_id=elsewhere)
