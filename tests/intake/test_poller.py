"""Odd but valid answers to getUpdates cost a wait, never the process; nothing is confirmed unstored."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Sequence

import pytest
from starlette.responses import JSONResponse, Response

from tests.house import BOT, House, raw_message
from tests.odd_wire import OddWire, result
from tests.waiting import eventually, eventually_async
from tgbot.access import Access
from tgbot.delivery.delivery import Delivery
from tgbot.intake import poller
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.batch import Rules
from tgbot.intake.poller import Poller
from tgbot.model import Raw
from tgbot.store.engine.errors import StorageError
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import TokenRefusedError
from tgbot.telegram.rate_limit import RateLimiter


def refusal(code: int, **more: object) -> Response:
    """Answer as Telegram refuses."""
    return JSONResponse({"ok": False, "error_code": code, "description": "no", **more}, code)


class WireIn:
    """An Intake of the house's own, that polls an odd server."""

    def __init__(self, house: House, odd: OddWire, api: BotApi) -> None:
        self.house, self.odd = house, odd
        delivery = Delivery(house.db, api, BOT, pace=RateLimiter(30, 1, 20), send_within_seconds=60)
        self.delivery = delivery
        self.acceptor = Acceptor(house.db, Rules(Access(None), 100), house.dispatcher, delivery)
        self.poller = Poller(api, self.acceptor, delivery)
        self.serving = asyncio.create_task(self.poller.serve())

    async def stored(self) -> list[int]:
        return [update_id for (update_id,) in await self.house.rows("SELECT update_id FROM pending")]

    async def stores(self, *update_ids: int) -> None:
        async def are_stored() -> bool:
            assert not self.serving.done(), "the intake lives"
            return set(update_ids) <= set(await self.stored())

        await eventually_async(are_stored, f"{update_ids} are stored")


@contextlib.asynccontextmanager
async def polling(house: House, odd: OddWire) -> AsyncIterator[WireIn]:
    async with BotApi("42:secret", odd.url) as api:
        built = WireIn(house, odd, api)
        yield built
        built.serving.cancel()
        await asyncio.gather(built.serving, return_exceptions=True)
        await built.delivery.flush(0)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(poller, "RETRY_SECONDS", (0.001,))
    caplog.set_level(logging.WARNING)


@pytest.fixture
async def line(house: House) -> AsyncIterator[WireIn]:
    async with OddWire() as odd, polling(house, odd) as built:
        yield built


@pytest.mark.parametrize("odd_answer", [{"ok": True}, [], {"ok": True, "result": None}, {"result": {}}, 5])
@pytest.mark.parametrize("method", ["getMe", "getUpdates"])
async def test_an_odd_answer_is_retried(house: House, method: str, odd_answer: object) -> None:
    async with OddWire() as odd:
        odd.answers[method] = [JSONResponse(odd_answer)]
        odd.answers["getUpdates"] += [result([raw_message(5, "hello")])]
        async with polling(house, odd) as line:
            await line.stores(5)


async def test_one_404_after_the_first_good_answer_does_not_end_the_bot(
    line: WireIn, caplog: pytest.LogCaptureFixture
) -> None:
    await eventually(lambda: bool(line.odd.offsets), "it polls")
    line.odd.answers["getUpdates"] = [refusal(404), result([raw_message(5, "hello")])]
    await line.stores(5)
    assert "intake.token_refused" in caplog.text


async def test_a_token_that_never_was_good_ends_the_bot(house: House) -> None:
    async with OddWire() as odd:
        odd.answers["getMe"] = [refusal(401)]
        async with polling(house, odd) as line:
            await eventually(line.serving.done, "the poll ends")
            assert isinstance(line.serving.exception(), TokenRefusedError)


async def test_a_page_from_in_between_ends_no_bot_and_the_log_names_the_host(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with OddWire() as odd:
        page = b"<html>please log in</html>"
        odd.answers["getMe"] = [Response(page, status) for status in (401, 404, 407)]
        odd.answers["getUpdates"] = [Response(page, 401), result([raw_message(5, "hello")])]
        async with polling(house, odd) as line:
            await line.stores(5)
        host = odd.url.removeprefix("http://")
    assert f"intake.retry failures=1 reason={host}: not a Bot API answer: 401 text/html" in caplog.text


def _with_id(raw_id: str) -> Response:
    """Give a message that would be stored, if only its id were one."""
    answer = json.dumps({"ok": True, "result": [raw_message(-1, "odd")]})
    return Response(answer.replace('"update_id": -1', f'"update_id": {raw_id}'))


@pytest.mark.parametrize("raw_id", ["9223372036854775808", "1e999", '"5"', "null", "true", "[]"])
async def test_an_update_without_a_usable_id_harms_nobody(line: WireIn, raw_id: str) -> None:
    line.odd.answers["getUpdates"] = [_with_id(raw_id), result([raw_message(5, "hello")])]
    await line.stores(5)
    assert await line.stored() == [5]


@pytest.mark.parametrize("unusable", [{"update_id": 2**63}, {"update_id": "5"}, {}, None, 5, []])
async def test_what_can_be_confirmed_is_confirmed_also_beside_what_can_not(
    line: WireIn, unusable: object
) -> None:
    line.odd.answers["getUpdates"] = [result([unusable, raw_message(5, "hello"), unusable])]
    await line.stores(5)
    await eventually(lambda: line.odd.offsets[-1] == 6, "5 is confirmed")


async def test_a_batch_that_can_not_be_confirmed_is_waited_out(
    line: WireIn, caplog: pytest.LogCaptureFixture
) -> None:
    line.odd.answers["getUpdates"] = [_with_id('"5"'), _with_id('"5"')]
    await eventually(lambda: caplog.text.count("can not be confirmed") == 2, "it backs off each time")
    assert "failures=2" in caplog.text, "longer each time"


async def test_storage_errors_are_waited_out_longer_each_time(
    line: WireIn, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Sequence[Raw]) -> None:
        raise StorageError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(line.acceptor, "accept", full)
        await eventually(lambda: "failures=2 reason=disk full" in caplog.text, "it counts its failures")
    line.odd.answers["getUpdates"] = [result([raw_message(5, "hello")])]
    await line.stores(5)


async def test_that_it_receives_again_is_said_once(line: WireIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    line.odd.answers["getUpdates"] = [refusal(409), Response(b"", 502)]
    await eventually(lambda: "intake.recovered" in caplog.text, "it says so")
    seen = len(line.odd.offsets)
    await eventually(lambda: len(line.odd.offsets) > seen + 2, "it polls on")
    assert caplog.text.count("intake.recovered failures=2") == caplog.text.count("intake.recovered") == 1


async def test_what_can_not_be_read_is_logged_by_its_id_alone(
    line: WireIn, caplog: pytest.LogCaptureFixture
) -> None:
    line.odd.answers["getUpdates"] = [result([raw_message(5, "private") | {"message": ["private"]}])]
    await line.stores(5)
    assert "intake.unreadable update=5 chat=None" in caplog.text
    assert "private" not in caplog.text


async def test_too_many_requests_is_logged_and_waited_out_a_bounded_time(
    line: WireIn, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "FLOOD_SECONDS_MAX", 0.01)
    flooded = refusal(429, parameters={"retry_after": 86_400})
    line.odd.answers["getUpdates"] = [flooded, result([raw_message(5, "hello")])]
    await line.stores(5)
    assert "intake.flooded retry_after_seconds=86400" in caplog.text


async def test_a_dead_long_poll_is_noticed(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is there, but nothing ever comes: after timeout and margin the bot polls anew."""
    monkeypatch.setattr(poller, "LONG_POLL_SECONDS", 0)
    async with OddWire() as odd:
        odd.dead_polls = 1
        with monkeypatch.context() as hurried:
            hurried.setattr("tgbot.telegram.client.LONG_POLL_MARGIN_SECONDS", 0.2)
            async with polling(house, odd) as line:
                await eventually(lambda: "intake.retry" in caplog.text, "it is noticed")
                hurried.undo()  # or what follows, given only once, could come too late as well
                odd.answers["getUpdates"] = [result([raw_message(5, "hello")])]
                await line.stores(5)
