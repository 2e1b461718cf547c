"""No chat waits for another one's connection, and none is kept that nobody needs."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from tests.odd_wire import OddWire
from tests.waiting import eventually
from tgbot.telegram import client, connections
from tgbot.telegram.client import BotApi, Upload
from tgbot.telegram.errors import NotSentError

TOKEN = "42:secret"
FILE = Upload("document", "a.txt", b"content")


@pytest.fixture
async def odd() -> AsyncIterator[OddWire]:
    async with OddWire() as wire:
        yield wire


@pytest.fixture
async def api(odd: OddWire) -> AsyncIterator[BotApi]:
    async with BotApi(TOKEN, odd.url) as api:
        yield api


def start(api: BotApi, method: str, number: int, **params: object) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(api.call(method, chat_id=1 + n, **params)) for n in range(number)]


async def end(tasks: Iterable[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_chat_is_served_while_hundreds_of_others_get_no_answer(odd: OddWire, api: BotApi) -> None:
    odd.silent.add("sendMessage")
    held = start(api, "sendMessage", 320, text="x")
    await eventually(lambda: odd.unanswered == 320, "each has its connection")
    assert await api.call("getMe")
    await end(held)


async def test_uploads_that_get_no_answer_hold_up_nothing_but_further_uploads(
    odd: OddWire, api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd.silent.add("sendDocument")
    held = start(api, "sendDocument", client.UPLOADS_MAX, document=FILE)
    await eventually(lambda: odd.unanswered == client.UPLOADS_MAX, "as many as there may be")
    monkeypatch.setattr(client, "UPLOAD_WAIT_SECONDS", 0.1)
    with pytest.raises(NotSentError, match="too many uploads"):
        await api.call("sendMediaGroup", chat_id=99, media=[FILE, FILE])
    assert await api.call("getMe")
    await end(held)
    odd.silent.clear()
    assert await api.call("sendDocument", chat_id=1, document=FILE) == [], "who was cancelled makes room"


async def test_a_request_above_the_guard_is_known_to_be_unsent(
    odd: OddWire, api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 2)
    odd.silent.add("sendMessage")
    held = start(api, "sendMessage", 2, text="x")
    await eventually(lambda: odd.unanswered == 2, "both are sent")
    with pytest.raises(NotSentError, match="too many requests at once"):
        await api.call("getMe")
    await end(held)
    assert await api.call("getMe")


async def test_after_a_rush_few_connections_are_kept(odd: OddWire, api: BotApi) -> None:
    await asyncio.gather(*start(api, "getMe", 100))
    await eventually(lambda: odd.connections <= connections.KEPT_MAX, "the others are closed")
    assert odd.connections == connections.KEPT_MAX


async def test_a_connection_that_was_idle_for_long_is_closed(
    odd: OddWire, api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*start(api, "getMe", 10))
    assert odd.connections == 10
    monkeypatch.setattr(connections, "KEPT_SECONDS", 0.05)
    await asyncio.sleep(0.1)
    await api.call("getMe")
    await eventually(lambda: odd.connections == 1, "only the one of this call is left")


async def test_one_request_after_the_other_takes_one_connection(odd: OddWire, api: BotApi) -> None:
    for _ in range(5):
        await api.call("getMe")
        await api.call("getUpdates", timeout=1)
        await api.call("sendDocument", chat_id=1, document=FILE)
    assert odd.connections == 1


async def test_the_connection_of_a_call_that_was_cancelled_is_closed(odd: OddWire, api: BotApi) -> None:
    """Its answer may still come, and must not be taken for that of the next call."""
    odd.silent.add("sendMessage")
    for _ in range(3):
        held = start(api, "sendMessage", 3, text="x")
        await eventually(lambda: odd.unanswered == 3, "all are sent")
        await end(held)
    assert await api.call("getMe")
    await eventually(lambda: odd.connections == 1, "only the one of this call is left")


async def test_no_connection_outlives_its_api(odd: OddWire) -> None:
    async with BotApi(TOKEN, odd.url) as api:
        await asyncio.gather(*start(api, "getMe", 10))
        assert odd.connections == 10
    await eventually(lambda: odd.connections == 0, "all are closed")
