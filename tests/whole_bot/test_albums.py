"""Albums that people send to the real process: one turn, however their parts arrive."""

from collections.abc import Awaitable, Callable

import pytest

from tests.waiting import eventually
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tgbot.playground.files import Upload, shown
from tgbot.playground.server import PlaygroundServer

FILE = Upload("a.txt", "text/plain", b"a")


@pytest.fixture
def bot(bot: BotProcess) -> BotProcess:
    bot.setting(agent="tests.whole_bot.collector:collector")
    return bot


@pytest.fixture
def wire(wire: PlaygroundServer) -> PlaygroundServer:
    wire.world.make_chat(7, "Ann")
    return wire


def send_part(wire: PlaygroundServer, caption: str) -> None:
    """Send one file of an album by itself, as Telegram delivers it."""
    world = wire.world
    content = {**shown(world.keep_file("document", FILE)), "media_group_id": "12345", "caption": caption}
    sender = {"id": 7, "is_bot": False, "first_name": "Ann"}
    world.inject_update({"message": world.add_message(world.chat(7), sender, content)})


async def all_is_stored(wire: PlaygroundServer) -> None:
    await eventually(lambda: not wire.world.bot(TOKEN).updates, "all updates are confirmed")


async def test_an_album_is_one_turn_with_all_its_messages(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    await bot.start()
    wire.world.post_files(7, 7, [FILE, FILE, FILE], caption="look")
    await ann.sees_at_last("look: look - - (attempt 1)")
    assert bot.log.count("turn.claimed") == 1


async def test_an_album_is_one_turn_even_when_its_parts_arrive_slowly(
    bot: BotProcess, ann: Person, wire: PlaygroundServer
) -> None:
    """Each comes when the one before is on disk and confirmed."""
    await bot.start()
    for caption in ("one", "two", "three"):
        send_part(wire, caption)
        await all_is_stored(wire)
    await ann.sees_at_last("one: one two three (attempt 1)")
    assert bot.log.count("turn.claimed") == 1


@pytest.mark.parametrize("end", [BotProcess.kill, BotProcess.stop])
async def test_the_quiet_window_survives_a_kill_and_what_was_sent_while_down_is_in_the_album(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, end: Callable[[BotProcess], Awaitable[object]]
) -> None:
    await bot.start()
    for caption in ("one", "two"):
        send_part(wire, caption)
        await all_is_stored(wire)
    await end(bot)
    send_part(wire, "three")
    await bot.start()
    await ann.sees_at_last("one: one two three (attempt 1)")
    assert bot.log.count("turn.claimed") == 1
