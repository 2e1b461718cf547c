"""Whatever a server answers, a call gives its result or one of our errors, and those tell no secret."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.responses import JSONResponse, Response

from tests.odd_wire import OddWire
from tgbot.playground.server import PlaygroundServer
from tgbot.telegram.client import REASON_MAX_CHARACTERS, BotApi, Upload
from tgbot.telegram.errors import (
    BotApiError,
    ConflictError,
    FloodedError,
    MessageGoneError,
    NotSentError,
    RefusedError,
    TokenRefusedError,
    UnreachableError,
)

TOKEN = "42:secret"
DEEP = b'{"ok":true,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture
async def odd() -> AsyncIterator[OddWire]:
    async with OddWire() as wire:
        yield wire


async def _failure(odd: OddWire, answer: Response) -> BotApiError:
    odd.answers["getMe"] = [answer]
    async with BotApi(TOKEN, odd.url) as api:
        with pytest.raises(BotApiError) as caught:
            await api.call("getMe")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    "body", [b'{"ok":true}', b"[]", b"5", b"null", b"", b"<html>", b"\xff", DEEP], ids=lambda body: body[:12]
)
async def test_an_answer_of_no_use_is_no_answer(odd: OddWire, body: bytes) -> None:
    assert type(await _failure(odd, Response(body))) is UnreachableError


@pytest.mark.parametrize(
    "status", [400, 402, 403, 405, 406, 410, 411, 413, 414, 415, 418, 422, 431, 451, 499]
)
async def test_what_is_refused_for_good_is_not_asked_again(odd: OddWire, status: int) -> None:
    told = JSONResponse({"ok": False, "description": "Request Entity Too Large"}, status)
    assert type(failure := await _failure(odd, told)) is RefusedError
    assert "Request Entity Too Large" in str(failure)
    for body in (b"<html>too large</html>", b"[]", DEEP):
        assert type(await _failure(odd, Response(body, status))) is RefusedError


@pytest.mark.parametrize("status", [300, 408, 425, 429, 500, 502, 503, 504, 599])
async def test_what_may_pass_is_asked_again(odd: OddWire, status: int) -> None:
    assert type(await _failure(odd, Response(b"<html>", status))) is UnreachableError


async def test_the_page_of_a_gateway_that_is_down_is_told_in_short(odd: OddWire) -> None:
    failure = await _failure(odd, Response(b"<html>" + b"x" * 10_000, 502))
    assert "502" in str(failure)
    assert len(str(failure)) <= REASON_MAX_CHARACTERS


async def test_every_other_refusal_has_its_own_error(odd: OddWire) -> None:
    assert type(await _failure(odd, Response(b"{}", 401))) is TokenRefusedError
    assert type(await _failure(odd, Response(b"{}", 404))) is TokenRefusedError
    assert type(await _failure(odd, Response(b"{}", 409))) is ConflictError


@pytest.mark.parametrize(
    "told", ["message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"]
)
async def test_every_way_to_say_that_a_message_is_gone_is_known(odd: OddWire, told: str) -> None:
    answer = JSONResponse({"ok": False, "description": f"Bad Request: {told}"}, 400)
    assert type(await _failure(odd, answer)) is MessageGoneError


@pytest.mark.filterwarnings("ignore:.*retry_after")  # PTB announces another type, which does not reach us
@pytest.mark.parametrize(("asked", "seconds"), [(3, 3.0), (2.5, 2.5)])
async def test_too_many_requests_says_how_long_to_wait(odd: OddWire, asked: float, seconds: float) -> None:
    flooded = JSONResponse({"ok": False, "parameters": {"retry_after": asked}}, 429)
    failure = await _failure(odd, flooded)
    assert isinstance(failure, FloodedError)
    assert failure.retry_after_seconds == seconds


async def test_odd_parameters_of_a_refusal_are_no_answer(odd: OddWire) -> None:
    for parameters in (5, {"retry_after": "soon"}, {"retry_after": [1]}):
        answer = JSONResponse({"ok": False, "parameters": parameters}, 429)
        assert type(await _failure(odd, answer)) is UnreachableError


async def test_a_large_file_is_given_the_time_it_takes(
    wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgbot.telegram.client.REQUEST_SECONDS", 1.0)
    monkeypatch.setattr("tgbot.telegram.client.UPLOADED_BYTES_PER_SECOND", 100_000)
    wire.world.post_message(7, 7, "a file, please")
    wire.world.add_faults([{"method": "sendMediaGroup", "kind": "delay", "seconds": 3, "times": None}])
    album = [Upload("document", name, b"x" * 10_000_000) for name in "ab"]
    async with BotApi("1:playground", wire.url) as api:
        assert len(await api.call("sendMediaGroup", chat_id=7, media=album)) == 2


async def test_a_call_that_shall_not_take_long_gives_up_without_a_connection_too() -> None:
    """A host that takes no connection: what a preview waits for, the final text behind it waits for."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as others:
        for _ in range(3):
            other = others.enter_context(socket.socket())
            other.settimeout(0)
            other.connect_ex(full.getsockname())
        async with BotApi(TOKEN, f"http://127.0.0.1:{full.getsockname()[1]}") as api, asyncio.timeout(15):
            with pytest.raises(NotSentError):
                await api.call("getMe", 0.2)


async def test_broken_utf_8_in_a_text_spoils_no_more_than_that_text(odd: OddWire) -> None:
    odd.answers["getMe"] = [Response(b'{"ok":true,"result":{"text":"\xff!"}}')]
    async with BotApi(TOKEN, odd.url) as api:
        assert await api.call("getMe") == {"text": "\ufffd!"}
