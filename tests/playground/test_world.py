"""What the world keeps, for how long, and what of it comes back in the next run."""

from pathlib import Path

import pytest

from tests.playground.test_people import PNG
from tgbot.playground import bots, files, journal, world
from tgbot.playground.files import Upload
from tgbot.playground.persistence import Persistence
from tgbot.playground.world import World


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "MESSAGES_MAX", 10)
    monkeypatch.setattr(bots, "UPDATES_MAX", 20)
    monkeypatch.setattr(journal, "ENTRIES_MAX", 5)
    small = World()
    bot = small.bot("1:playground")
    for number in range(50):
        small.post_message(7, 7, str(number))
        small.journal.record({"method": "sendMessage"})
    assert [message["text"] for message in small.messages(7)] == [str(number) for number in range(40, 50)]
    assert (len(bot.updates), bot.dropped) == (20, 30)
    assert (len(small.journal), small.journal.dropped) == (5, 45)


def test_old_files_make_room_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "KEPT_BYTES_MAX", 25)
    store = files.Files(tmp_path)
    kept = [store.add("document", Upload("a.txt", "text/plain", b"x" * 10)) for _ in range(4)]
    assert [store.on_disk(one).exists() for one in kept] == [False, False, True, True]


def run(folder: Path) -> tuple[World, Persistence]:
    persistence = Persistence(folder)
    made = World(folder=folder)
    persistence.attach(made)
    return made, persistence


def test_everything_people_see_comes_back(tmp_path: Path) -> None:
    first, persistence = run(tmp_path)
    first.bot("1:playground").commands["default/"] = [{"command": "stop", "description": "Stop"}]
    first.bot("1:playground").tell("settings")
    first.make_chat(-1_000_000_000_005, "Forum", is_forum=True)
    first.make_topic(-1_000_000_000_005, 7, "Topic")
    first.post_message(7, 7, "hello")
    first.post_message(7, 7, "gone")
    first.delete_message(first.chat(7), 2)
    first.react_to(7, 7, 1, "👍")
    first.post_files(7, 7, [Upload("a.png", "image/png", PNG)])
    first.block(8, blocked=True)
    persistence.close()
    second, persistence = run(tmp_path)
    assert sorted(second.chats(), key=lambda chat: chat["id"]) == sorted(
        first.chats(), key=lambda chat: chat["id"]
    )
    assert second.messages(7) == first.messages(7)
    assert second.commands() == first.commands()
    assert list(second.bot("1:playground").updates) == list(first.bot("1:playground").updates)
    photo = second.messages(7)[-1]["photo"][0]["file_id"]
    assert second.files.on_disk(second.files.get(photo)).read_bytes() == PNG
    assert second.post_message(7, 7, "next")["message_id"] == 4
    persistence.close()


def test_an_update_id_is_never_used_twice(tmp_path: Path) -> None:
    first, persistence = run(tmp_path)
    bot = first.bot("1:playground")
    first.post_message(7, 7, "hello")
    used = bot.updates[0]["update_id"]
    bot.confirm(used + 1)
    persistence.close()
    second, persistence = run(tmp_path)
    second.post_message(7, 7, "hello again")
    assert [update["update_id"] for update in second.bot("1:playground").updates] == [used + 1]
    persistence.close()
