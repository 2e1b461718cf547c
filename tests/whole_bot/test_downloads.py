"""kill -9 around a download: the turn that runs again fetches nothing twice."""

import os
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from tests.waiting import eventually
from tests.whole_bot.process import BotProcess, Person
from tgbot.playground.files import Upload
from tgbot.playground.server import PlaygroundServer
from tgbot.telegram.downloads import SAVE_BYTES

FILE = os.urandom(SAVE_BYTES * 3)
HELD_AT = SAVE_BYTES * 2 + 1_000


class Watched(FileResponse):
    """A download as the playground gives it; those that are to be held stop in the middle for good."""

    asked: list[str | None]  # the range of each
    to_hold: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(Headers(scope=scope).get("range"))
        if not self.to_hold:
            return await super().__call__(scope, receive, send)
        type(self).to_hold -= 1
        headers = [(b"content-length", str(len(FILE)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": FILE[:HELD_AT], "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return None


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    Watched.asked, Watched.to_hold = [], 0
    monkeypatch.setattr("tgbot.playground.media.FileResponse", Watched)
    return Watched


@pytest.fixture
async def bot(bot: BotProcess, wire: PlaygroundServer) -> BotProcess:
    wire.world.make_chat(7, "Ann")
    bot.setting(agent="tests.whole_bot.agents:fragile_reader")
    await bot.start()
    return bot


def saved_bytes(database: Path) -> int:
    folder = database.with_name(database.name + ".files")
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.is_dir() else 0


async def test_a_kill_in_the_middle_of_a_download_costs_a_megabyte_at_most(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, watched: type[Watched]
) -> None:
    watched.to_hold = 1
    wire.world.post_files(7, 7, [Upload("plan.bin", "application/octet-stream", FILE)], caption="look")
    await eventually(lambda: saved_bytes(bot.database) >= HELD_AT - SAVE_BYTES, "most of it saved")
    saved = saved_bytes(bot.database)
    await bot.kill()
    await bot.start()
    await ann.sees_at_last(f"attempt 2 of look: {FILE.hex()[:8]} {len(FILE)} bytes")
    assert watched.asked == [None, f"bytes={saved}-"]


async def test_a_turn_that_runs_again_has_the_file_already_and_so_has_a_later_reply(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, watched: type[Watched]
) -> None:
    upload = Upload("plan.bin", "application/octet-stream", FILE)
    [message] = wire.world.post_files(7, 7, [upload], caption="die")
    await bot.wait()
    await bot.start()
    seen = f"{FILE.hex()[:8]} {len(FILE)} bytes"
    await ann.sees_at_last(f"attempt 2 of die: {seen}")
    wire.world.post_message(7, 7, "and this?", reply_to_message_id=message["message_id"])
    await ann.sees_at_last(f"attempt 2 of die: {seen}", f"attempt 1 of and this?: {seen}")
    assert watched.asked == [None]


async def test_what_a_bot_has_downloaded_is_cleaned_when_it_starts(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, watched: type[Watched]
) -> None:
    wire.world.post_files(7, 7, [Upload("plan.bin", "application/octet-stream", FILE)], caption="look")
    await ann.sees_among("attempt 1 of look")
    assert saved_bytes(bot.database) == len(FILE)
    await bot.stop()
    [kept] = bot.database.with_name(bot.database.name + ".files").iterdir()
    os.utime(kept, (0, 0))
    await bot.start()
    await eventually(lambda: not saved_bytes(bot.database), "cleaned")
