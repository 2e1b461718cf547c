"""Faults on demand: what fails, what took effect all the same, and what the journal says of it."""

import asyncio
import socket

import httpx
import pytest

from tests.playground.conftest import Client, until
from tests.waiting import DEADLINE_SECONDS
from tgbot.playground.errors import ApiError
from tgbot.playground.faults import Faults
from tgbot.playground.server import PlaygroundServer


def on_screen(server: PlaygroundServer) -> list[str]:
    return [message["text"] for message in server.world.messages(7)]


@pytest.fixture(autouse=True)
def chat(server: PlaygroundServer) -> None:
    server.world.post_message(7, 7, "hello")


async def test_429_says_how_long_and_has_no_effect(server: PlaygroundServer, bot: Client) -> None:
    server.world.add_faults([{"method": "sendMessage", "kind": "429", "times": 1, "retry_after": 3}])
    answer = await bot.raw("sendMessage", chat_id=7, text="x")
    assert answer["parameters"] == {"retry_after": 3}
    assert answer["description"] == "Too Many Requests: retry after 3"
    assert on_screen(server) == ["hello"]
    await bot.call("sendMessage", chat_id=7, text="x")


@pytest.mark.parametrize(("kind", "shown"), [("cut_before", ["hello"]), ("cut_after", ["hello", "x"])])
async def test_a_cut_gives_no_answer(
    server: PlaygroundServer, bot: Client, kind: str, shown: list[str]
) -> None:
    server.world.add_faults([{"method": "sendMessage", "kind": kind, "times": 1}])
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await bot.raw("sendMessage", chat_id=7, text="x")
    assert on_screen(server) == shown
    last = server.world.journal.after(0, "sendMessage")[-1]
    assert (last["status"], last["applied"]) == (None, kind == "cut_after")


async def test_a_fault_can_mean_one_chat_only(server: PlaygroundServer, bot: Client) -> None:
    server.world.post_message(8, 8, "hello")
    server.world.add_faults([{"kind": "500", "chat_id": 8}])
    await bot.call("sendMessage", chat_id=7, text="x")
    assert (await bot.raw("sendMessage", chat_id=8, text="x"))["error_code"] == 500
    server.world.clear_faults()
    await bot.call("sendMessage", chat_id=8, text="x")


async def test_a_delay_ends_with_the_server(server: PlaygroundServer, bot: Client) -> None:
    server.world.add_faults([{"kind": "delay", "seconds": 600, "times": 1}])
    slow = asyncio.create_task(bot.raw("sendMessage", chat_id=7, text="x"))
    await until(lambda: not server.world.faults.rules[0].times)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await server.world.close()
        assert (await slow)["ok"]


async def test_a_late_call_is_cut_at_once_and_takes_effect_later(
    server: PlaygroundServer, bot: Client
) -> None:
    server.world.add_faults([{"method": "sendMessage", "kind": "late", "seconds": 1, "times": 1}])
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await bot.raw("sendMessage", chat_id=7, text="late")
    assert on_screen(server) == ["hello"]
    await until(lambda: on_screen(server) == ["hello", "late"])
    last = server.world.journal.after(0, "sendMessage")[-1]
    assert (last["status"], last["applied"]) == (None, True)


async def test_a_late_call_takes_effect_when_the_server_ends() -> None:
    late = {"method": "sendDocument", "kind": "late", "seconds": 600}
    polls = {"method": "getUpdates", "kind": "late", "seconds": 600}
    async with PlaygroundServer() as server, httpx.AsyncClient(base_url=server.url) as http:
        server.world.post_message(7, 7, "hello")
        server.world.add_faults([late, polls])
        document = {"document": ("a.txt", b"x", "text/plain")}
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await http.post("/bot1:playground/sendDocument", data={"chat_id": 7}, files=document)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await Client(http).call("getUpdates", offset=2**40, timeout=50)
        assert len(server.world.messages(7)) == 1
    assert server.world.messages(7)[-1]["document"]["file_name"] == "a.txt"
    assert [call["applied"] for call in server.world.journal] == [True, True]


def test_the_same_seed_gives_the_same_faults() -> None:
    def history() -> list[bool]:
        faults = Faults()
        faults.add([{"kind": "500", "probability": 0.5, "seed": 42}])
        return [faults.strike("sendMessage", 7)[1] is not None for _ in range(50)]

    assert history() == history()
    assert 0 < sum(history()) < 50


@pytest.mark.parametrize(
    "rule", [{}, {"kind": "earthquake"}, {"kind": "500", "tmies": 1}, {"kind": "500", "times": "1"}, 5]
)
def test_a_rule_that_makes_no_sense_is_refused(rule: object) -> None:
    with pytest.raises(ApiError):
        Faults().add([rule])  # type: ignore[list-item]


async def test_faults_are_set_over_http_too(server: PlaygroundServer, bot: Client) -> None:
    await bot.http.post("/playground/faults", json=[{"kind": "500"}])
    assert (await bot.raw("getMe"))["error_code"] == 500
    await bot.http.put("/playground/faults", json=[{"kind": "429"}])
    assert (await bot.raw("getMe"))["error_code"] == 429
    refused = await bot.http.put("/playground/faults", json=[{"kind": "earthquake"}])
    assert refused.status_code == 400
    assert server.world.faults.kinds() == ["429"]
    await bot.http.delete("/playground/faults")
    assert (await bot.raw("getMe"))["ok"]


async def test_an_answer_waits_for_no_acknowledgement(server: PlaygroundServer, bot: Client) -> None:
    """Or each takes 40 ms longer than it should, which no test would fail for."""
    await bot.call("getMe")
    [connection] = server._server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
