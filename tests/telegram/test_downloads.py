"""What was downloaded is kept: for one session, for a while, in private, and never half."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

import pytest
from starlette.responses import Response, StreamingResponse

from tests.odd_wire import OddWire, result
from tests.store.engine.files import mode
from tests.waiting import eventually
from tgbot.model import SessionKey
from tgbot.playground.files import Upload
from tgbot.playground.server import PlaygroundServer
from tgbot.telegram import downloads
from tgbot.telegram.client import BotApi
from tgbot.telegram.downloads import UNFINISHED, Downloads
from tgbot.telegram.errors import BotApiError, RefusedError, UnreachableError

CHAT, TOPIC, OTHER = SessionKey("42:7"), SessionKey("42:7:5"), SessionKey("42:70")
DAY_SECONDS = 86_400


@pytest.fixture
async def odd() -> AsyncIterator[OddWire]:
    async with OddWire() as wire:
        yield wire


@pytest.fixture
async def api(odd: OddWire) -> AsyncIterator[BotApi]:
    async with BotApi("42:secret", odd.url) as api:
        yield api


@pytest.fixture
def kept(api: BotApi, tmp_path: Path) -> Downloads:
    return Downloads(api, tmp_path / "bot.db")


def found(odd: OddWire, *answers: Response, **fields: object) -> None:
    """Let getFile find a file, and the downloads get these answers."""
    odd.answers["getFile"] = [result({"file_id": "A", "file_path": "a", **fields})] * 99
    odd.files[:] = answers


def rest(content: bytes, start: int, total: int) -> Response:
    headers = {"content-range": f"bytes {start}-{start + len(content) - 1}/{total}"}
    return Response(content, 206, headers=headers)


def cut(content: bytes, total: int) -> Response:
    """What comes of a file until the connection ends."""
    return Response(content, headers={"content-length": str(total)})


def files(kept: Downloads) -> list[Path]:
    return sorted(kept.folder.iterdir())


async def is_cut(kept: Downloads) -> None:
    with pytest.raises(UnreachableError):
        await kept.fetch(CHAT, "A", "u")


async def test_a_file_is_fetched_once_also_over_a_restart(
    odd: OddWire, api: BotApi, kept: Downloads, tmp_path: Path
) -> None:
    found(odd, Response(b"hello"))
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert await kept.fetch(CHAT, "another file id of it", "u") == b"hello"
    assert await Downloads(api, tmp_path / "bot.db").fetch(CHAT, "A", "u") == b"hello"
    assert odd.asked == ["getFile"]


async def test_a_file_is_kept_by_its_file_id_where_that_is_all_there_is(
    odd: OddWire, kept: Downloads
) -> None:
    found(odd, Response(b"one"), Response(b"two"))
    assert [await kept.fetch(CHAT, name) for name in ("A", "B", "A")] == [b"one", b"two", b"one"]


async def test_sessions_do_not_share_what_they_have(odd: OddWire, kept: Downloads) -> None:
    found(odd, Response(b"one"), Response(b"two"), Response(b"three"))
    assert await kept.fetch(CHAT, "A", "u") == b"one"
    assert await kept.fetch(TOPIC, "A", "u") == b"two"
    assert await kept.fetch(OTHER, "A", "u") == b"three"
    assert await kept.fetch(CHAT, "A", "u") == b"one"


async def test_ids_that_differ_in_case_alone_or_are_no_file_names_are_kept_apart(
    odd: OddWire, kept: Downloads
) -> None:
    found(odd, *(Response(bytes([n])) for n in range(4)))
    names = ["ab", "AB", "../ab", "a" * 999]
    assert [await kept.fetch(CHAT, "A", name) for name in names * 2] == [bytes([n]) for n in range(4)] * 2
    assert len({path.name.lower() for path in files(kept)}) == 4


async def test_a_file_that_is_asked_for_twice_at_once_is_fetched_once(odd: OddWire, kept: Downloads) -> None:
    found(odd, Response(b"hello"))
    assert await asyncio.gather(*(kept.fetch(CHAT, "A", "u") for _ in range(5))) == [b"hello"] * 5
    assert len(odd.paths) == 1


# -- what was cut off --


async def test_after_a_cut_only_the_rest_is_asked_for(odd: OddWire, kept: Downloads) -> None:
    found(odd, cut(b"hel", 5), rest(b"lo", 3, 5))
    await is_cut(kept)
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert odd.ranges == [None, "bytes=3-"]
    assert [path.suffix for path in files(kept)] != [UNFINISHED]


async def test_a_rest_that_is_cut_too_is_gone_on_with(odd: OddWire, kept: Downloads) -> None:
    headers = {"content-range": "bytes 2-4/5", "content-length": "3"}
    found(odd, cut(b"he", 5), Response(b"l", 206, headers=headers), rest(b"lo", 3, 5))
    await is_cut(kept)
    await is_cut(kept)
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert odd.ranges == [None, "bytes=2-", "bytes=3-"]


async def test_a_real_server_gives_the_rest(wire: PlaygroundServer, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    [message] = wire.world.post_files(7, 7, [Upload("a.pdf", "application/pdf", content)])
    async with BotApi("1:playground", wire.url) as api:
        kept = Downloads(api, tmp_path / "bot.db")
        kept.folder.mkdir()
        unfinished = kept._path(CHAT, "u").with_suffix(kept._path(CHAT, "u").suffix + UNFINISHED)
        # Another start than the file's: what comes shows that the server was asked for the rest alone.
        unfinished.write_bytes(bytes(1_000_000))
        fetched = await kept.fetch(CHAT, message["document"]["file_id"], "u")
    assert fetched == bytes(1_000_000) + content[1_000_000:]


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"hello"),
        rest(b"llo", 2, 5),
        Response(b"lo", 206),
        Response(b"", 416, headers={"content-range": "bytes */5"}),
    ],
    ids=["no ranges", "another range", "no range named", "nothing there"],
)
async def test_a_server_that_cannot_go_on_gives_the_file_from_its_start(
    odd: OddWire, kept: Downloads, answer: Response
) -> None:
    found(odd, cut(b"hex", 5), answer, Response(b"hello"))
    await is_cut(kept)
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert odd.ranges == [None, "bytes=3-", None]


@pytest.mark.parametrize(("status", "error"), [(502, UnreachableError), (404, RefusedError)])
async def test_trouble_of_the_servers_costs_nothing_of_what_has_arrived(
    odd: OddWire, kept: Downloads, status: int, error: type[BotApiError]
) -> None:
    found(odd, cut(b"hel", 5), Response(b"<html>", status), rest(b"lo", 3, 5))
    await is_cut(kept)
    with pytest.raises(error):
        await kept.fetch(CHAT, "A", "u")
    assert await kept.fetch(CHAT, "A", "u") == b"hello"


async def test_a_file_of_which_nothing_is_missing_is_not_asked_for(odd: OddWire, kept: Downloads) -> None:
    """A process was killed when all of it had arrived, and before it had its name."""
    found(odd, cut(b"hello", 6))
    await is_cut(kept)
    found(odd, file_size=5)
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert odd.ranges == [None]


async def test_a_download_that_is_cancelled_keeps_what_has_arrived(
    odd: OddWire, api: BotApi, kept: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"hel"
        await asyncio.sleep(60)

    arrived: list[downloads._Saved] = []
    monkeypatch.setattr(downloads._Saved, "__init__", _noting(downloads._Saved.__init__, arrived))
    found(odd, StreamingResponse(stuck()), rest(b"lo", 3, 5))
    fetching = asyncio.create_task(kept.fetch(CHAT, "A", "u"))
    await eventually(lambda: [one.content for one in arrived] == [b"hel"], "arrived")
    fetching.cancel()
    await asyncio.wait([fetching])
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert odd.ranges == [None, "bytes=3-"]


def _noting(init: Callable[..., None], made: list[Any]) -> Callable[..., None]:
    def noting(self: object, *args: object) -> None:
        made.append(self)
        init(self, *args)

    return noting


# -- how long, how much, who --


async def test_what_is_older_than_a_week_goes(odd: OddWire, kept: Downloads) -> None:
    found(odd, Response(b"old"), cut(b"ol", 3), Response(b"new"))
    await kept.fetch(CHAT, "A", "old")
    with pytest.raises(UnreachableError):
        await kept.fetch(CHAT, "A", "half")
    for path in files(kept):
        age(path, 7.1)
    await kept.fetch(CHAT, "A", "new")
    kept.clean()
    assert [path.read_bytes() for path in files(kept)] == [b"new"]


async def test_a_file_is_there_for_a_week(odd: OddWire, kept: Downloads) -> None:
    found(odd, Response(b"hello"))
    await kept.fetch(CHAT, "A", "u")
    age(files(kept)[0], 6.9)
    kept.clean()
    assert await kept.fetch(CHAT, "A", "u") == b"hello"


def age(path: Path, days: float) -> None:
    at = time.time() - days * DAY_SECONDS
    os.utime(path, (at, at))


async def test_of_too_much_the_oldest_goes(
    odd: OddWire, kept: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "KEPT_BYTES_MAX", 10)
    found(odd, *(Response(word) for word in (b"third", b"first", b"fourth", b"2.")))
    for number, days in enumerate((3, 1, 4, 2)):
        await kept.fetch(CHAT, "A", str(number))
        age(kept._path(CHAT, str(number)), days)
    kept.clean()
    assert {path.read_bytes() for path in files(kept)} == {b"first", b"2."}


async def test_a_flood_of_files_is_not_kept_until_the_hour_is_over(
    odd: OddWire, kept: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "KEPT_BYTES_MAX", 100)
    monkeypatch.setattr(downloads, "CLEAN_BYTES", 50)
    found(odd, *(Response(b"x" * 20) for _ in range(30)))
    for number in range(30):
        await kept.fetch(CHAT, "A", str(number))
        assert len(files(kept)) <= 8


async def test_cleaning_runs_at_the_start_and_again_and_outlasts_trouble(
    odd: OddWire, kept: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "CLEAN_SECONDS", 0.01)
    kept.folder.write_text("not a folder")
    serving = asyncio.create_task(kept.serve())
    await asyncio.sleep(0.05)
    kept.folder.unlink()
    found(odd, Response(b"old"))
    await kept.fetch(CHAT, "A", "u")
    age(files(kept)[0], 8)
    await eventually(lambda: not files(kept), "cleaned")
    serving.cancel()
    await asyncio.wait([serving])


async def test_forgetting_a_session_leaves_the_others(odd: OddWire, kept: Downloads) -> None:
    kept.forget(CHAT)
    found(odd, cut(b"h", 5), *(Response(session_key.encode()) for session_key in (CHAT, TOPIC, OTHER)))
    with pytest.raises(UnreachableError):
        await kept.fetch(CHAT, "A", "half")
    for session_key in (CHAT, TOPIC, OTHER):
        await kept.fetch(session_key, "A", "u")
    kept.forget(CHAT)
    assert sorted(path.read_text() for path in files(kept)) == sorted([TOPIC, OTHER])


async def test_what_is_forgotten_while_it_arrives_does_not_come_back(
    odd: OddWire, kept: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "SAVE_BYTES", 1)
    go_on = asyncio.Event()

    async def two() -> AsyncIterator[bytes]:
        yield b"hel"
        await go_on.wait()
        yield b"lo"

    found(odd, StreamingResponse(two()))
    fetching = asyncio.create_task(kept.fetch(CHAT, "A", "u"))
    await eventually(lambda: kept.folder.is_dir() and [p.stat().st_size for p in files(kept)] == [3], "saved")
    kept.forget(CHAT)
    go_on.set()
    assert await fetching == b"hello", "the turn that runs gets it all the same"
    assert files(kept) == []


async def test_nobody_but_the_owner_may_look(odd: OddWire, kept: Downloads) -> None:
    found(odd, Response(b"hello"), cut(b"hel", 5))
    before = os.umask(0)
    try:
        await kept.fetch(CHAT, "A", "u")
        with pytest.raises(UnreachableError):
            await kept.fetch(CHAT, "A", "half")
    finally:
        os.umask(before)
    assert (mode(kept.folder), [mode(path) for path in files(kept)]) == (0o700, [0o600] * 2)


async def test_the_folder_is_beside_the_database_itself_whichever_link_names_it(
    api: BotApi, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "bot.db")
    assert Downloads(api, tmp_path / "link.db").folder == tmp_path / "real" / "bot.db.files"


async def test_without_room_on_the_disk_a_file_comes_all_the_same(
    odd: OddWire, kept: Downloads, caplog: pytest.LogCaptureFixture
) -> None:
    kept.folder.write_text("not a folder")
    found(odd, Response(b"hello"), Response(b"hello"))
    assert [await kept.fetch(CHAT, "A", "u") for _ in range(2)] == [b"hello"] * 2
    assert "downloads.not_saved" in caplog.text
    assert "secret" not in caplog.text


NO_ROOM = OSError(28, "No space left on device")


@pytest.mark.parametrize("on_the_way", [True, False])
async def test_a_file_that_the_disk_did_not_take_whole_is_not_kept(
    odd: OddWire, kept: Downloads, monkeypatch: pytest.MonkeyPatch, *, on_the_way: bool
) -> None:
    def full(*_: object) -> None:
        raise NO_ROOM

    def unwritable(path: Path, mode: str = "r") -> IO[Any]:
        if mode == "r+b":
            raise NO_ROOM
        return real_open(path, mode)

    real_open = Path.open
    found(odd, *(Response(b"hello") for _ in range(3)))
    with monkeypatch.context() as patched:
        patched.setattr(*(Path, "open", unwritable) if on_the_way else (os, "fsync", full))
        assert await kept.fetch(CHAT, "A", "u") == b"hello"
    assert [path.suffix for path in files(kept)] == [UNFINISHED]
    assert await kept.fetch(CHAT, "A", "u") == b"hello"
