"""A download gives the file or says why not, in bounded memory and time, and never shows the token."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response, StreamingResponse

from tests.odd_wire import OddWire, result
from tests.waiting import eventually
from tgbot.playground.files import Upload
from tgbot.playground.server import PlaygroundServer
from tgbot.telegram import files
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import BotApiError, FileTooLargeError, RefusedError, UnreachableError
from tgbot.telegram.files import DOWNLOAD_BYTES_MAX
from tgbot.turns.reading import context_of

PLAYGROUND_TOKEN = "1:playground"
TOKEN = "42:secret"


@pytest.fixture
async def odd() -> AsyncIterator[OddWire]:
    async with OddWire() as wire:
        yield wire


@pytest.fixture
async def api(odd: OddWire) -> AsyncIterator[BotApi]:
    async with BotApi(TOKEN, odd.url) as api:
        yield api


async def failure(api: BotApi, max_bytes: int = DOWNLOAD_BYTES_MAX) -> BotApiError:
    with pytest.raises(BotApiError) as caught:
        await api.download("A", max_bytes)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def found(odd: OddWire, *answers: Response, **fields: object) -> None:
    """Let getFile find a file, and the downloads get these answers."""
    odd.answers["getFile"] = [result({"file_id": "A", "file_path": "documents/a b?.txt", **fields})] * 999
    odd.files[:] = answers


async def forever() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1_000
        await asyncio.sleep(0)


async def stuck() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.sleep(60)


async def test_what_a_person_sends_can_be_downloaded(wire: PlaygroundServer) -> None:
    content = bytes(range(256)) * 5_000
    [message] = wire.world.post_files(7, 7, [Upload("a.pdf", "application/pdf", content)])
    async with BotApi(PLAYGROUND_TOKEN, wire.url) as api:
        assert await api.download(message["document"]["file_id"]) == content


async def test_a_file_that_is_only_replied_to_can_be_downloaded_too(wire: PlaygroundServer) -> None:
    upload = Upload("a.pdf", "application/pdf", b"content")
    [message] = wire.world.post_files(7, 7, [upload], caption="The plan")
    question = wire.world.post_message(7, 7, "what is this?", reply_to_message_id=message["message_id"])
    reply = context_of([question]).reply
    assert reply
    assert (reply.text, reply.files[0].name) == ("The plan", "a.pdf")
    async with BotApi(PLAYGROUND_TOKEN, wire.url) as api:
        assert await api.download(reply.files[0].file_id) == b"content"


async def test_a_path_with_odd_characters_is_asked_for_as_it_is(odd: OddWire, api: BotApi) -> None:
    found(odd, Response(b"hello"))
    assert await api.download("A") == b"hello"
    assert odd.paths == ["documents/a b?.txt"]


async def test_a_file_of_exactly_the_limit_is_downloaded(odd: OddWire, api: BotApi) -> None:
    found(odd, Response(b"hello"), file_size=5)
    assert await api.download("A", 5) == b"hello"


async def test_a_file_that_the_server_says_is_too_large_is_not_asked_for(odd: OddWire, api: BotApi) -> None:
    found(odd, file_size=6)
    error = await failure(api, max_bytes=5)
    assert isinstance(error, FileTooLargeError)
    assert (error.size_bytes, error.max_bytes, odd.paths) == (6, 5, [])


async def test_a_file_that_turns_out_too_large_is_given_up(odd: OddWire, api: BotApi) -> None:
    found(odd, Response(b"x" * 6), StreamingResponse(forever()), file_size=5)
    error = await failure(api, max_bytes=5)
    assert isinstance(error, FileTooLargeError)
    assert error.size_bytes == 6, "it says so in advance"
    error = await failure(api, max_bytes=100_000)
    assert isinstance(error, FileTooLargeError)
    assert error.size_bytes is None, "it never says"


async def test_what_comes_packed_is_not_unpacked(odd: OddWire, api: BotApi) -> None:
    """Unpacked it could have any size; and a request without compression gets the file itself."""
    packed = gzip.compress(b"x" * 1_000_000)
    found(odd, Response(packed, headers={"content-encoding": "gzip"}))
    assert await api.download("A", len(packed)) == packed


async def test_a_file_that_telegram_gives_to_no_bot_is_too_large(
    wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgbot.playground.media.DOWNLOAD_BYTES_MAX", 5)
    [message] = wire.world.post_files(7, 7, [Upload("a.pdf", "application/pdf", b"123456")])
    async with BotApi(PLAYGROUND_TOKEN, wire.url) as api:
        with pytest.raises(FileTooLargeError) as caught:
            await api.download(message["document"]["file_id"])
    assert (caught.value.size_bytes, caught.value.max_bytes) == (None, DOWNLOAD_BYTES_MAX)


async def test_a_file_that_is_not_known_is_refused(wire: PlaygroundServer) -> None:
    async with BotApi(PLAYGROUND_TOKEN, wire.url) as api:
        assert type(error := await failure(api)) is RefusedError
    assert str(error) == "Telegram does not have this file any more, or does not give it now"


async def test_a_file_that_is_gone_since_it_was_found_is_refused(odd: OddWire, api: BotApi) -> None:
    found(odd, Response(b"{}", 404))
    assert type(await failure(api)) is RefusedError


async def test_a_server_that_keeps_its_files_to_itself_is_named(odd: OddWire, api: BotApi) -> None:
    """With --local, the Bot API server gives the path on its own disk."""
    found(odd, file_path="/var/lib/telegram-bot-api/a")
    assert type(error := await failure(api)) is RefusedError
    assert "--local" in str(error)
    assert odd.paths == []


@pytest.mark.parametrize("answer", [5, None, [], {}, {"file_path": 5}, {"file_path": ""}])
async def test_an_answer_without_a_path_is_of_no_use(odd: OddWire, api: BotApi, answer: object) -> None:
    odd.answers["getFile"] = [result(answer)]
    assert type(await failure(api)) is UnreachableError


@pytest.mark.parametrize("odd_size", [-1, "5", 1.5, True, None])
async def test_a_size_that_is_none_is_no_reason_against_a_file(
    odd: OddWire, api: BotApi, odd_size: object
) -> None:
    found(odd, Response(b"hello"), file_size=odd_size)
    assert await api.download("A") == b"hello"


@pytest.mark.parametrize("status", [204, 302, 401, 403, 429, 500, 502])
async def test_a_download_without_a_file_may_be_tried_again(odd: OddWire, api: BotApi, status: int) -> None:
    found(odd, Response(None if status == 204 else b"<html>", status))
    assert type(await failure(api)) is UnreachableError


async def test_a_connection_that_is_cut_in_the_middle_gives_no_half_file(odd: OddWire, api: BotApi) -> None:
    found(odd, Response(b"hel", headers={"content-length": "5"}))
    assert type(await failure(api)) is UnreachableError


async def test_a_download_that_never_ends_is_given_up(
    odd: OddWire, api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "DEADLINE_SECONDS", 0.2)
    found(odd, StreamingResponse(stuck()))
    assert type(await failure(api)) is UnreachableError


async def test_downloads_leave_room_for_everything_else(odd: OddWire, api: BotApi) -> None:
    found(odd, *(StreamingResponse(stuck()) for _ in range(64)))
    downloads = [asyncio.create_task(api.download("A")) for _ in range(64)]
    await eventually(lambda: len(odd.paths) == files.DOWNLOADS_MAX, "as many as there may be run")
    assert await api.call("getMe")
    assert len(odd.paths) == files.DOWNLOADS_MAX
    for download in downloads:
        download.cancel()
    await asyncio.wait(downloads)
    found(odd, Response(b"hello"))
    assert await api.download("A") == b"hello", "who was cancelled makes room"


async def test_nothing_is_logged_with_the_token_in_it(
    odd: OddWire, api: BotApi, caplog: pytest.LogCaptureFixture
) -> None:
    found(odd, Response(b"hello"), Response(b"hel", headers={"content-length": "5"}))
    await api.download("A")
    await failure(api)
    assert "secret" not in caplog.text
