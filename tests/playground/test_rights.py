"""Where a bot may not write: muted in a group, or removed from it, or in a topic that is gone."""

from pathlib import Path

import pytest

from tests.judges import judge_update
from tests.playground.conftest import Client
from tgbot.playground.errors import ApiError
from tgbot.playground.persistence import Persistence
from tgbot.playground.removal import remove_bots
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World

GROUP, SUPERGROUP, FORUM = -5, -1_000_000_000_005, -1_000_000_000_006
MUTED = "Bad Request: not enough rights to send text messages to the chat"


@pytest.mark.parametrize("chat_id", [GROUP, SUPERGROUP])
async def test_a_muted_bot_may_edit_but_not_send(server: PlaygroundServer, bot: Client, chat_id: int) -> None:
    server.world.post_message(chat_id, 7, "hello")
    sent = await bot.call("sendMessage", chat_id=chat_id, text="hi")
    server.world.mute(chat_id)
    assert await bot.refused("sendMessage", chat_id=chat_id, text="x") == MUTED
    assert await bot.refused("sendRichMessage", chat_id=chat_id, rich_message={"html": "<p>x</p>"}) == MUTED
    await bot.call("editMessageText", chat_id=chat_id, message_id=sent["message_id"], text="x")
    server.world.mute(chat_id, muted=False)
    await bot.call("sendMessage", chat_id=chat_id, text="x")


async def test_a_bot_hears_that_it_was_muted_and_unmuted(server: PlaygroundServer, bot: Client) -> None:
    server.world.make_chat(SUPERGROUP, "Group")
    for muted in (True, True, False):
        server.world.mute(SUPERGROUP, muted=muted)
    updates = await bot.call("getUpdates")
    changes = [update["my_chat_member"] for update in updates]
    statuses = [(one["old_chat_member"]["status"], one["new_chat_member"]["status"]) for one in changes]
    assert statuses == [("member", "restricted"), ("restricted", "member")]
    assert changes[0]["new_chat_member"]["can_send_messages"] is False
    for update in updates:
        judge_update(update)


def test_a_private_chat_is_not_muted() -> None:
    world = World()
    world.post_message(7, 7, "hello")
    with pytest.raises(ApiError, match="blocked, not muted"):
        world.mute(7)


@pytest.mark.parametrize(("chat_id", "kind"), [(GROUP, "group"), (SUPERGROUP, "supergroup")])
async def test_a_bot_that_was_removed_may_do_nothing_and_hears_of_it(
    server: PlaygroundServer, bot: Client, chat_id: int, kind: str
) -> None:
    server.world.post_message(chat_id, 7, "hello")
    sent = await bot.call("sendMessage", chat_id=chat_id, text="hi")
    for removed in (True, True):
        remove_bots(server.world, chat_id, removed=removed)
    kicked = f"Forbidden: bot was kicked from the {kind} chat"
    assert await bot.refused("sendMessage", chat_id=chat_id, text="x") == kicked
    message = {"chat_id": chat_id, "message_id": sent["message_id"]}
    assert await bot.refused("editMessageText", **message, text="x") == kicked
    remove_bots(server.world, chat_id, removed=False)
    await bot.call("sendMessage", chat_id=chat_id, text="x")
    updates = [update for update in await bot.call("getUpdates") if "my_chat_member" in update]
    changes = [update["my_chat_member"] for update in updates]
    assert [one["new_chat_member"]["status"] for one in changes] == ["left", "member"]
    for update in updates:
        judge_update(update)


def test_a_private_chat_is_not_left() -> None:
    world = World()
    world.post_message(7, 7, "hello")
    with pytest.raises(ApiError, match="blocked, not left"):
        remove_bots(world, 7)


async def test_a_deleted_topic_is_gone_with_all_that_was_in_it(server: PlaygroundServer, bot: Client) -> None:
    world = server.world
    world.make_chat(FORUM, "Forum", is_forum=True)
    gone, kept = (world.make_topic(FORUM, 7, name) for name in ("Gone", "Kept"))
    for topic in (gone, kept):
        await bot.call("sendMessage", chat_id=FORUM, text="hi", message_thread_id=topic)
    world.delete_topic(FORUM, gone)
    place = {"chat_id": FORUM, "message_thread_id": gone}
    assert await bot.refused("sendMessage", **place, text="x") == "Bad Request: message thread not found"
    assert {message["message_thread_id"] for message in world.messages(FORUM)} == {kept}
    with pytest.raises(ApiError, match="message thread not found"):
        world.delete_topic(FORUM, gone)


def test_both_outlive_a_restart(tmp_path: Path) -> None:
    first, persistence = World(folder=tmp_path), Persistence(tmp_path)
    persistence.attach(first)
    first.make_chat(FORUM, "Forum", is_forum=True)
    first.delete_topic(FORUM, first.make_topic(FORUM, 7, "Gone"))
    first.mute(FORUM)
    persistence.close()
    second, persistence = World(folder=tmp_path), Persistence(tmp_path)
    persistence.attach(second)
    assert (second.chat(FORUM).topics, second.chat(FORUM).muted) == ({}, True)
    assert second.make_topic(FORUM, 7, "New") == 2
    persistence.close()
