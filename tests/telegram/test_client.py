"""Whatever a server answers, a call gives its result or a BotApiError, and no error holds a secret."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.responses import JSONResponse, Response

from tests.odd_wire import OddWire
from tgbot.playground.server import PlaygroundServer
from tgbot.telegram.answers import REASON_MAX_CHARACTERS
from tgbot.telegram.client import BotApi, Upload
from tgbot.telegram.errors import (
    BotApiError,
    ChatMigratedError,
    ConflictError,
    FloodedError,
    MessageGoneError,
    NotNowError,
    NotOursError,
    NotSentError,
    RefusedError,
    TokenRefusedError,
    TopicGoneError,
    UnreachableError,
)

TOKEN = "42:secret"
DEEP = b'{"ok":true,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

SUCCESS = b'{"ok":true,"result":{}}'
# What a proxy, a captive portal or a gateway may say: nothing of it is Telegram's own refusal.
PAGES = (
    b"<html>403 Forbidden</html>",
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"ok":false}',
    b'{"ok":false,"description":"Forbidden"}',
    b'{"ok":false,"error_code":"403","description":"Forbidden"}',
    b'{"ok":false,"error_code":true,"description":"Forbidden"}',
    b'{"ok":0,"error_code":403,"description":"Forbidden"}',
    b'{"error":"quota","error_code":403}',
    b'{"result":{}}',
    b'{"ok":1,"result":{}}',
    SUCCESS,
    b'{"ok":false,"error_code":' + b"9" * 5_000 + b"}",
    DEEP,
)


@pytest.fixture
async def odd() -> AsyncIterator[OddWire]:
    async with OddWire() as wire:
        yield wire


def _refusal(code: int, description: str = "no", /, **more: object) -> Response:
    """Make a refusal as Telegram answers it."""
    return JSONResponse({"ok": False, "error_code": code, "description": description, **more}, code)


async def _failure(odd: OddWire, answer: Response) -> BotApiError:
    async with BotApi(TOKEN, odd.url) as api:
        return await _failure_of(api, odd, answer)


async def _failure_of(api: BotApi, odd: OddWire, answer: Response) -> BotApiError:
    odd.answers["getMe"] = [answer]
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


@pytest.mark.parametrize("code", [400, 402, 403, 405, 406, 410, 411, 413, 414, 415, 418, 422, 431, 451, 499])
async def test_what_is_refused_for_good_is_not_asked_again(odd: OddWire, code: int) -> None:
    assert type(failure := await _failure(odd, _refusal(code, "Request Entity Too Large"))) is RefusedError
    assert "Request Entity Too Large" in str(failure)


@pytest.mark.parametrize("code", [300, 408, 425, 500, 502, 503, 504, 599])
async def test_what_may_pass_is_asked_again(odd: OddWire, code: int) -> None:
    assert type(await _failure(odd, Response(b"<html>", code))) is UnreachableError
    assert type(await _failure(odd, _refusal(code))) is UnreachableError


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 407, 409, 413, 418, 429, 502, 511])
async def test_a_page_from_in_between_is_no_refusal(odd: OddWire, status: int) -> None:
    async with BotApi(TOKEN, odd.url) as api:
        for page in PAGES:
            failure = await _failure_of(api, odd, Response(page, status))
            assert type(failure) is UnreachableError, page[:40]


@pytest.mark.parametrize("page", [page for page in PAGES if page != SUCCESS])
async def test_a_page_that_says_200_is_no_answer(odd: OddWire, page: bytes) -> None:
    assert type(await _failure(odd, Response(page))) is UnreachableError


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (b" \n<!DOCTYPE html>" + b"x" * 10_000, "text/html"),
        (b"", "empty"),
        (b'{"error":"' + b"x" * 10_000 + b'"}', "other JSON"),
        (b"x" * 10_000, "no JSON"),
    ],
    ids=["html", "empty", "json", "text"],
)
async def test_a_page_from_in_between_is_logged_in_short_with_its_host_status_and_kind(
    odd: OddWire, page: bytes, kind: str
) -> None:
    host = odd.url.removeprefix("http://")
    assert str(await _failure(odd, Response(page, 403))) == f"{host}: not a Bot API answer: 403 {kind}"


async def test_what_telegram_says_is_short_one_line_and_can_be_stored(odd: OddWire) -> None:
    """A lone surrogate is legal in JSON and in no database."""
    failure = await _failure(odd, _refusal(400, "one\ntwo " + "x" * 10_000))
    assert str(failure).startswith("one two x")
    assert len(str(failure)) <= REASON_MAX_CHARACTERS
    body = b'{"ok":false,"error_code":400,"description":"\\ud800"}'
    str(await _failure(odd, Response(body, 400))).encode()


@pytest.mark.parametrize("description", [None, 5, "", ["x"]])
async def test_a_refusal_without_a_word_is_named_by_its_number(odd: OddWire, description: object) -> None:
    answer = JSONResponse({"ok": False, "error_code": 403, "description": description}, 403)
    assert str(await _failure(odd, answer)) == "error 403"


async def test_a_host_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        host = f"127.0.0.1:{gone.getsockname()[1]}"
    async with BotApi(TOKEN, f"http://user:password@{host}") as api:
        with pytest.raises(NotSentError, match=host) as caught:
            await api.call("getMe")
    assert "password" not in str(caught.value)


async def test_every_other_refusal_has_its_own_error(odd: OddWire) -> None:
    assert type(await _failure(odd, _refusal(401, "Unauthorized"))) is TokenRefusedError
    assert type(await _failure(odd, _refusal(404, "Not Found"))) is TokenRefusedError
    assert type(await _failure(odd, _refusal(409, "Conflict: terminated"))) is ConflictError


async def test_a_group_that_became_a_supergroup_says_its_new_id(odd: OddWire) -> None:
    parameters = {"migrate_to_chat_id": -1001234567890}
    upgraded = _refusal(400, "Bad Request: group chat was upgraded", parameters=parameters)
    failure = await _failure(odd, upgraded)
    assert isinstance(failure, ChatMigratedError)
    assert isinstance(failure, RefusedError)
    assert failure.new_chat_id == -1001234567890


@pytest.mark.parametrize("odd_id", ["-100", True, 1.5, None, [], 2**63])
async def test_an_odd_new_id_is_a_refusal_like_any_other(odd: OddWire, odd_id: object) -> None:
    failure = await _failure(odd, _refusal(400, parameters={"migrate_to_chat_id": odd_id}))
    assert type(failure) is RefusedError


@pytest.mark.parametrize(
    "reason", ["message to edit not found", "message to delete not found", "MESSAGE_ID_INVALID"]
)
async def test_every_way_to_say_that_a_message_is_gone_is_known(odd: OddWire, reason: str) -> None:
    assert type(await _failure(odd, _refusal(400, f"Bad Request: {reason}"))) is MessageGoneError


async def test_a_message_of_somebody_else_is_not_taken_for_one_that_is_gone(odd: OddWire) -> None:
    failure = await _failure(odd, _refusal(400, "Bad Request: message can't be edited"))
    assert type(failure) is NotOursError
    assert isinstance(failure, MessageGoneError), "for an edit both mean: not into this one"


@pytest.mark.parametrize("reason", ["message thread not found", "TOPIC_CLOSED", "TOPIC_DELETED"])
async def test_every_way_to_say_that_a_topic_is_gone_is_known(odd: OddWire, reason: str) -> None:
    failure = await _failure(odd, _refusal(400, f"Bad Request: {reason}"))
    assert type(failure) is TopicGoneError
    assert isinstance(failure, RefusedError)


@pytest.mark.parametrize(
    "description",
    [
        "Forbidden: bot was blocked by the user",
        "Forbidden: bot can't initiate conversation with a user",
        "Forbidden: bot was kicked from the group chat",
        "Forbidden: bot was kicked from the supergroup chat",
        "Forbidden: bot is not a member of the group chat",
        "Forbidden: bot is not a member of the channel chat",
        "Bad Request: not enough rights to send text messages to the chat",
        "Bad Request: not enough rights to send documents to the chat",
        "Bad Request: have no rights to send a message",
        "Bad Request: have no write access to the chat",
        "Bad Request: need administrator rights in the channel chat",
        "Bad Request: CHAT_ADMIN_REQUIRED",
        "Bad Request: CHAT_RESTRICTED",
        "Bad Request: CHAT_WRITE_FORBIDDEN",
        "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN",
        "Bad Request: CHAT_SEND_PHOTOS_FORBIDDEN",
        "Bad Request: USER_BANNED_IN_CHANNEL",
        "Bad Request: CHANNEL_PRIVATE",
    ],
)
async def test_what_is_refused_for_now_may_pass_when_the_chat_is_active_again(
    odd: OddWire, description: str
) -> None:
    code = 403 if description.startswith("Forbidden") else 400
    failure = await _failure(odd, _refusal(code, description))
    assert type(failure) is NotNowError
    assert isinstance(failure, RefusedError)


@pytest.mark.parametrize(
    "description",
    [
        "Forbidden: user is deactivated",
        "Forbidden: the group chat was deleted",
        "Forbidden: bot can't send messages to bots",
        "Forbidden: user restricted receiving of voice messages",
        "Bad Request: chat not found",
        "Bad Request: message can't be deleted",
        "Bad Request: message text is empty",
        "Bad Request: can't parse entities: unsupported start tag",
        "Bad Request: not enough rights to pin a message",
    ],
)
async def test_what_no_activity_changes_is_refused_for_good(odd: OddWire, description: str) -> None:
    code = 403 if description.startswith("Forbidden") else 400
    assert type(await _failure(odd, _refusal(code, description))) is RefusedError


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("3", 3.0),
        ("2.5", 2.5),
        ("0", 1.0),
        ("-5", 1.0),
        ("0.01", 1.0),
        ("NaN", 1.0),
        ("-1e999", 1.0),
        ("true", 1.0),
        ("null", 1.0),
        ('"soon"', 1.0),
        ("[1]", 1.0),
        ("86401", 86_400.0),
        ("1e999", 86_400.0),
        pytest.param("9" * 4_000, 86_400.0, id="4,000 digits"),
    ],
)
async def test_too_many_requests_means_to_wait_between_a_second_and_a_day(
    odd: OddWire, asked: str, seconds: float
) -> None:
    body = f'{{"ok":false,"error_code":429,"parameters":{{"retry_after":{asked}}}}}'
    failure = await _failure(odd, Response(body, 429))
    assert isinstance(failure, FloodedError)
    assert failure.retry_after_seconds == seconds


@pytest.mark.parametrize("parameters", [None, 5, [], {}, {"retry": 3}])
async def test_too_many_requests_without_a_time_means_to_wait_a_second(
    odd: OddWire, parameters: object
) -> None:
    failure = await _failure(odd, _refusal(429, "Too Many Requests", parameters=parameters))
    assert isinstance(failure, FloodedError)
    assert failure.retry_after_seconds == 1.0


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


async def test_a_call_with_little_time_gives_up_without_a_connection_too() -> None:
    """The host accepts no connection: the final text waits for as long as a preview before it does."""
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


async def test_at_debug_each_request_is_a_line_without_its_words(
    wire: PlaygroundServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tgbot")
    wire.world.make_chat(7, "Ann")
    async with BotApi("42:playground-secret", wire.url) as api:
        await api.call("sendMessage", chat_id=7, text="hush")
    assert "api.answered method=sendMessage seconds=0." in caplog.text
    assert "hush" not in caplog.text
    assert "secret" not in caplog.text
