"""Odd but valid answers to getUpdates cost a wait, never the process; nothing is confirmed unstored."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from tests.house import House, raw_message
from tests.odd_wire import ME, OddWire, result
from tests.waiting import eventually, eventually_async
from tgbot.access import Access
from tgbot.delivery.delivery import Delivery
from tgbot.intake import attempts, poller
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.attempts import Attempts
from tgbot.intake.batch import UNREADABLE, Rules
from tgbot.intake.poller import Poller
from tgbot.model import Activation, Arrival, BotId, Raw
from tgbot.store.engine.errors import StorageError
from tgbot.tally import tally
from tgbot.telegram import updates
from tgbot.telegram.client import BotApi
from tgbot.telegram.errors import TokenRefusedError
from tgbot.telegram.get_updates import RAW_CHARACTERS_MAX
from tgbot.telegram.rate_limit import RateLimiter


def refusal(code: int, **more: object) -> Response:
    """Make a refusal as Telegram answers it."""
    return JSONResponse({"ok": False, "error_code": code, "description": "no", **more}, code)


async def no_invitation(_username: str) -> None:
    """Have an owner already."""


class WireIn:
    """A house with a poller that asks an odd server."""

    def __init__(self, house: House, odd: OddWire, api: BotApi, activation: Activation = "mention") -> None:
        self.house, self.odd = house, odd
        delivery = Delivery(
            house.db, api, house.dispatcher.owner, rate_limiter=RateLimiter(30, 1, 20), send_within_seconds=60
        )
        self.delivery = delivery
        self.acceptor = Acceptor(
            house.db,
            Rules(Access(None), 100, group_activation=activation),
            house.dispatcher,
            delivery,
            lambda _: None,
        )
        self.poller = Poller(
            api, self.acceptor, Attempts(api, self.acceptor, delivery, no_invitation), house.may_poll
        )
        self.serving = asyncio.create_task(self.poller.serve())

    async def stored(self) -> list[int]:
        return [update_id for (update_id,) in await self.house.rows("SELECT update_id FROM pending")]

    async def stores(self, *update_ids: int) -> None:
        async def are_stored() -> bool:
            assert not self.serving.done(), "the poller still runs"
            return set(update_ids) <= set(await self.stored())

        await eventually_async(are_stored, f"{update_ids} are stored")


@contextlib.asynccontextmanager
async def polling(house: House, odd: OddWire, activation: Activation = "mention") -> AsyncIterator[WireIn]:
    async with BotApi("42:secret", odd.url) as api:
        built = WireIn(house, odd, api, activation)
        yield built
        built.serving.cancel()
        await asyncio.gather(built.serving, return_exceptions=True)
        await built.delivery.flush(0)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(attempts, "RETRY_SECONDS", (0.001,))
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


def _batch(*updates: str) -> Response:
    """Make an answer with exactly these texts as updates."""
    return Response('{"ok":true,"result":[' + ",".join(updates) + "]}")


def _said(update_id: int, said: str = "hello") -> str:
    return json.dumps(raw_message(update_id, said))


DEEP = "[" * 5_000 + "]" * 5_000
LONG = "9" * 5_000
NOBODY = '{"first_name":"Ann"}'


@pytest.mark.parametrize("odd", [DEEP, LONG, "nonsense", "{]", '"\x00"', "\ufeff5"])
async def test_an_update_that_cannot_be_parsed_is_parked_and_its_neighbours_go_on_in_order(
    line: WireIn, caplog: pytest.LogCaptureFixture, odd: str
) -> None:
    unreadable = f'{{"update_id":6,"message":{{"chat":{{"id":9}},"odd":{odd},"from":{NOBODY}}}}}'
    line.odd.answers["getUpdates"] = [_batch(_said(5), unreadable, _said(7, "after"))]
    await line.stores(5, 6, 7)
    await eventually(lambda: line.odd.offsets[-1] == 8, "all three are confirmed")
    stored = "SELECT update_id, kind, state, chat_id FROM pending ORDER BY id"
    assert await line.house.rows(stored) == [
        (5, "message", "claimed", 7),
        (6, "unreadable", "dead", 9),
        (7, "message", "queued", 7),
    ]
    assert await line.house.rows("SELECT raw FROM pending WHERE update_id = 6") == [(unreadable,)]
    assert await line.house.answers(9) == [UNREADABLE.text]
    assert "intake.unreadable update=6 chat=9" in caplog.text
    assert "intake.retry" not in caplog.text


@pytest.mark.parametrize(
    "unusable",
    [
        *("5", "null", "[]", '"x"', "{}", DEEP, LONG, "nonsense", f'{{"update_id":{LONG}}}'),
        *('{"update_id":12345678901234567890}', '{"update_id":2147483648}', '{"update_id":"6"}'),
        *('{"update_id":6.0}', '{"update_id":true}', '{"update_id":0}', '{"update_id":-6}'),
        f'{{"update_id":6,"update_id":6,"message":{DEEP}}}',
    ],
    ids=lambda unusable: unusable[:40],
)
async def test_an_update_without_a_usable_id_is_parked_once_under_one_that_no_update_has(
    line: WireIn, unusable: str
) -> None:
    """It comes again among other updates, and is still the same one."""
    line.odd.answers["getUpdates"] = [
        _batch(_said(5), unusable),
        _batch(unusable, _said(7)),
        _batch(_said(8)),
    ]
    await line.stores(5, 7, 8)
    odd = "SELECT update_id, kind, state, chat_id, raw FROM pending WHERE update_id < 0"
    [(update_id, *stored)] = await line.house.rows(odd)
    assert update_id <= -(2**62)
    assert stored == ["unreadable", "dead", None, unusable]


@pytest.mark.parametrize("raw_id", ["9223372036854775808", "1e999", '"5"', "null", "true", "[]"])
async def test_an_update_without_a_usable_id_harms_nobody_and_its_sender_hears_of_it(
    line: WireIn, raw_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    unusable = _said(-1).replace('"update_id": -1', f'"update_id": {raw_id}')
    line.odd.answers["getUpdates"] = [_batch(unusable), _batch(_said(5))]
    await line.stores(5)
    assert await line.house.states() == ["claimed"]
    assert await line.house.answers() == [UNREADABLE.text]
    assert "Traceback" not in caplog.text, "it is no bug of ours"


@pytest.mark.parametrize(
    ("message", "chat"),
    [
        ('{"chat":{"id":9},"text":DEEP}', 9),
        ('{"chat":{"id":-1009,"title":DEEP}}', -1009),
        ('{"chat":{"id":9},"chat":{"id":8},"text":DEEP}', None),
        ('{"chat":{"id":9,"id":8,"title":DEEP}}', None),
        ('{"reply_to_message":{"chat":{"id":9}},"text":DEEP}', None),
        ('{"text":"\\"chat\\":{\\"id\\":9}","x":DEEP}', None),
        ('{"chat":{"id":9223372036854775808,"title":DEEP}}', None),
        ('{"chat":DEEP}', None),
        ("DEEP", None),
    ],
)
async def test_whose_unreadable_update_it_is_is_said_only_where_it_is_certain(
    line: WireIn, message: str, chat: int | None
) -> None:
    update = f'{{"update_id":6,"message":{message}}}'.replace("DEEP", DEEP)
    line.odd.answers["getUpdates"] = [_batch(update)]
    await line.stores(6)
    assert await line.house.rows("SELECT chat_id FROM pending") == [(chat,)]
    assert await line.house.rows("SELECT chat_id FROM outbox") == ([(chat,)] if chat else [])


async def test_of_an_unreadable_update_in_a_topic_its_topic_hears(line: WireIn) -> None:
    message = f'{{"chat":{{"id":-9}},"is_topic_message":true,"message_thread_id":3,"text":{DEEP}}}'
    line.odd.answers["getUpdates"] = [_batch(f'{{"update_id":6,"message":{message}}}')]
    await line.stores(6)
    assert await line.house.rows("SELECT chat_id, topic_id FROM outbox") == [(-9, 3)]


async def test_of_an_unreadable_update_a_bounded_part_is_kept(line: WireIn) -> None:
    size = 3 * RAW_CHARACTERS_MAX
    unreadable = f'{{"update_id":6,"message":{"[" * size}{"]" * size}}}'
    line.odd.answers["getUpdates"] = [_batch(unreadable)]
    await line.stores(6)
    assert await line.house.rows("SELECT raw FROM pending") == [(unreadable[:RAW_CHARACTERS_MAX],)]


async def test_broken_utf_8_in_an_update_spoils_no_more_than_that_text(line: WireIn) -> None:
    body = b'{"ok":true,"result":[' + _said(5, "X\ud800").encode().replace(b"X", b"\xff\xed\xa0\x80") + b"]}"
    line.odd.answers["getUpdates"] = [Response(body)]
    await line.stores(5)
    [(raw,)] = await line.house.rows("SELECT raw FROM pending WHERE kind = 'message'")
    assert json.loads(raw)["message"]["text"] == "\ufffd" * 4 + "\ud800"


async def test_what_ends_a_batch_without_an_id_is_confirmed_as_the_next_ones(line: WireIn) -> None:
    """Telegram counts by one: what follows 5 is 6 at least, so an offset of 7 passes over nothing else."""
    line.odd.answers["getUpdates"] = [_batch("{}", _said(5), "{}"), _batch(_said(9), "[]", "5")]
    await line.stores(5, 9)
    await eventually(lambda: line.odd.offsets[-1] == 12, "all are confirmed")
    assert 7 in line.odd.offsets


async def test_what_is_alone_in_a_batch_without_an_id_is_confirmed_as_the_next_one_after_a_wait(
    line: WireIn, caplog: pytest.LogCaptureFixture
) -> None:
    line.odd.answers["getUpdates"] = [_batch(_said(5)), _batch("{}"), _batch("{}"), _batch(_said(20))]
    await line.stores(5, 20)
    assert {6, 7, 8} <= set(line.odd.offsets)
    assert "failures=2 reason=getUpdates gives updates that cannot be confirmed" in caplog.text


async def test_a_batch_that_cannot_be_confirmed_is_waited_out(
    line: WireIn, caplog: pytest.LogCaptureFixture
) -> None:
    line.odd.answers["getUpdates"] = [_batch("{}"), _batch("{}")]
    await eventually(lambda: caplog.text.count("cannot be confirmed") == 2, "it backs off each time")
    assert "failures=2" in caplog.text, "longer each time"
    assert set(line.odd.offsets) == {None}, "no number is made up"


async def test_a_batch_that_comes_again_whatever_the_offset_is_waited_out(
    line: WireIn, caplog: pytest.LogCaptureFixture
) -> None:
    line.odd.answers["getUpdates"] = [_batch(_said(5), "{}")] * 3
    await eventually(lambda: "failures=2" in caplog.text, "it backs off each time")


@pytest.mark.parametrize(
    "body",
    ['{"ok":true,"result":[5', '{"ok":true,"result":{"a":DEEP}}', "DEEP", '{"result":[DEEP]}', '{"ok":DEEP}'],
)
async def test_what_is_no_batch_at_all_is_retried(line: WireIn, body: str) -> None:
    line.odd.answers["getUpdates"] = [Response(body.replace("DEEP", DEEP)), _batch(_said(5))]
    await line.stores(5)
    assert await line.stored() == [5]


async def test_an_update_so_deep_that_it_can_be_read_and_not_written_is_parked(line: WireIn) -> None:
    deep: list[object] = []
    for _ in range(5_000):
        deep = [deep]
    await line.acceptor.accept([{"update_id": 6, "message": {"chat": {"id": 9}, "odd": deep}}])
    kinds = await line.house.rows("SELECT kind, state, chat_id FROM pending WHERE update_id = 6")
    assert kinds == [("unreadable", "dead", 9)]


async def test_an_update_that_trips_the_parser_over_a_bug_harms_itself_only(
    line: WireIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = updates.parse

    def buggy(bot_id: BotId, username: str | None, raw: Raw, *how: Any) -> Arrival | None:  # noqa: ANN401 - passed on
        if raw["update_id"] == 6:
            raise ZeroDivisionError
        return real(bot_id, username, raw, *how)

    monkeypatch.setattr(updates, "parse", buggy)
    line.odd.answers["getUpdates"] = [_batch(_said(5), _said(6), _said(7))]
    await line.stores(5, 6, 7)
    kinds = await line.house.rows("SELECT kind, state FROM pending WHERE update_id = 6")
    assert kinds == [("unreadable", "dead")]
    assert await line.house.answers(7) == [UNREADABLE.text]


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


async def test_what_cannot_be_read_is_logged_by_its_id_alone(
    line: WireIn, caplog: pytest.LogCaptureFixture
) -> None:
    line.odd.answers["getUpdates"] = [result([raw_message(5, "private") | {"message": ["private"]}])]
    await line.stores(5)
    assert "intake.unreadable update=5 chat=None" in caplog.text
    assert "private" not in caplog.text


async def test_too_many_requests_is_logged_and_waited_out_a_bounded_time(
    line: WireIn, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FLOOD_SECONDS_MAX", 0.01)
    flooded = refusal(429, parameters={"retry_after": 86_400})
    line.odd.answers["getUpdates"] = [flooded, result([raw_message(5, "hello")])]
    floods, seconds = tally.floods, tally.flood_seconds
    await line.stores(5)
    assert "intake.flooded retry_after_seconds=86400" in caplog.text
    assert tally.floods == floods + 1
    assert tally.flood_seconds - seconds == pytest.approx(0.01), "what it waited, not what was asked"


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


@pytest.mark.parametrize(
    ("activation", "reads_all", "explained"),
    [("always", False, True), ("always", True, False), ("mention", False, False)],
)
async def test_the_log_explains_that_privacy_mode_is_in_the_way_of_answering_everything(
    house: House,
    caplog: pytest.LogCaptureFixture,
    activation: Activation,
    reads_all: bool,  # noqa: FBT001 - as pytest gives it
    explained: bool,  # noqa: FBT001 - as pytest gives it
) -> None:
    async with OddWire() as odd:
        odd.answers["getMe"] = [result({**ME, "can_read_all_group_messages": reads_all})]
        async with polling(house, odd, activation) as line:
            await eventually(lambda: line.acceptor.username is not None, "it knows its name")
    assert ("intake.privacy_mode" in caplog.text) is explained


async def test_who_leaves_polling_to_another_worker_looks_alive_to_whoever_watches(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last try of its own may be long ago: systemd would end it."""

    async def other_polls() -> bool:
        return False

    monkeypatch.setattr(house, "may_poll", other_polls)
    monkeypatch.setattr(tally, "poll_tried_at", -1000.0)
    async with OddWire() as odd, polling(house, odd):
        await eventually(lambda: (tally.poll_tried_at or 0) > 0, "it is seen to")


@pytest.mark.parametrize("ours", [True, False])
async def test_a_poll_that_another_worker_ended_is_not_blamed_on_another_program(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, ours: bool
) -> None:
    async with OddWire() as odd:

        async def may_poll() -> bool:
            return not (ours and odd.offsets)  # the other one took over during the poll

        monkeypatch.setattr(house, "may_poll", may_poll)
        odd.answers["getUpdates"] = [refusal(409)]
        async with polling(house, odd):
            if ours:
                await eventually(lambda: bool(odd.offsets), "it polls")
                await asyncio.sleep(0.2)
            else:
                await eventually(lambda: "intake.conflict" in caplog.text, "it is reported")
    assert ("intake.conflict" in caplog.text) is not ours
