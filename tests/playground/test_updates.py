"""getUpdates: what confirms an update, what does not, and who may poll."""

import asyncio

import httpx
import pytest

from tests.playground.conftest import TOKEN, Client, until
from tgbot.playground.server import PlaygroundServer


def texts(updates: list[dict]) -> list[str]:  # type: ignore[type-arg]
    return [update["message"]["text"] for update in updates]


async def test_only_an_offset_confirms(server: PlaygroundServer, bot: Client) -> None:
    for text in "abc":
        server.world.post_message(7, 7, text)
    first = await bot.call("getUpdates")
    assert texts(first) == ["a", "b", "c"]
    assert await bot.call("getUpdates", offset=0) == first
    assert texts(await bot.call("getUpdates", offset=first[1]["update_id"])) == ["b", "c"]
    assert texts(await bot.call("getUpdates")) == ["b", "c"]
    assert await bot.call("getUpdates", offset=first[2]["update_id"] + 1) == []
    assert await bot.call("getUpdates") == []


async def test_ids_grow_by_one_and_do_not_start_at_one(server: PlaygroundServer, bot: Client) -> None:
    for text in "abc":
        server.world.post_message(7, 7, text)
    ids = [update["update_id"] for update in await bot.call("getUpdates")]
    assert ids == [ids[0], ids[0] + 1, ids[0] + 2]
    assert ids[0] > 10_000


async def test_a_limit_is_kept_and_the_rest_stays(server: PlaygroundServer, bot: Client) -> None:
    for number in range(150):
        server.world.post_message(7, 7, str(number))
    assert texts(await bot.call("getUpdates", limit=2)) == ["0", "1"]
    assert len(await bot.call("getUpdates")) == 100
    assert len(await bot.call("getUpdates", limit=1000)) == 100


async def test_a_negative_offset_keeps_that_many_from_the_end(server: PlaygroundServer, bot: Client) -> None:
    for text in "abc":
        server.world.post_message(7, 7, text)
    assert texts(await bot.call("getUpdates", offset=-1)) == ["c"]
    assert texts(await bot.call("getUpdates")) == ["c"]


async def test_a_long_poll_returns_when_a_message_comes(server: PlaygroundServer, bot: Client) -> None:
    poll = asyncio.create_task(bot.call("getUpdates", timeout=15))
    await until(lambda: server.world.bots[TOKEN]._poll)
    server.world.post_message(7, 7, "now")
    assert texts(await poll) == ["now"]


async def test_the_older_of_two_pollers_gets_the_conflict(server: PlaygroundServer, bot: Client) -> None:
    older = asyncio.create_task(bot.refused("getUpdates", timeout=15))
    await until(lambda: server.world.bots[TOKEN]._poll)
    newer = asyncio.create_task(bot.call("getUpdates", timeout=15))
    assert await older == (
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    )
    server.world.post_message(7, 7, "for the newer")
    assert texts(await newer) == ["for the newer"]


async def test_what_came_before_the_bot_waits_for_it(server: PlaygroundServer) -> None:
    server.world.post_message(7, 7, "early")
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert texts(await Client(http).call("getUpdates")) == ["early"]
        assert await Client(http, "2:playground").call("getUpdates") == []


async def test_allowed_updates_are_remembered_when_omitted(server: PlaygroundServer, bot: Client) -> None:
    await bot.call("getUpdates", allowed_updates=["callback_query"])
    await bot.call("getUpdates")
    server.world.post_message(7, 7, "unwanted")
    assert await bot.call("getUpdates") == []
    await bot.call("getUpdates", allowed_updates=[])
    server.world.post_message(7, 7, "wanted")
    assert texts(await bot.call("getUpdates")) == ["wanted"]


async def test_reactions_come_only_when_asked_for(server: PlaygroundServer, bot: Client) -> None:
    message = server.world.post_message(7, 7, "hi")
    server.world.react_to(7, 7, message["message_id"], "👍")
    assert len(await bot.call("getUpdates", allowed_updates=["message", "message_reaction"])) == 1
    server.world.react_to(7, 7, message["message_id"], "")
    assert "message_reaction" in (await bot.call("getUpdates"))[-1]


async def test_an_unknown_update_type_is_refused(bot: Client) -> None:
    assert '"mesage" is not an update type' in await bot.refused("getUpdates", allowed_updates=["mesage"])


async def test_closing_ends_a_hanging_poll() -> None:
    async with PlaygroundServer() as server, httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        poll = asyncio.create_task(Client(http).call("getUpdates", timeout=50))
        await until(lambda: TOKEN in server.world.bots and server.world.bots[TOKEN]._poll)
        async with asyncio.timeout(30):  # far below the 50 s of the poll
            await server.__aexit__(None, None, None)
        assert await poll == []


@pytest.mark.parametrize("token", ["1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1", "1:other", "playground"])
async def test_only_made_up_tokens_are_accepted(server: PlaygroundServer, token: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        refusal = await Client(http, token).refused("getMe")
    assert refusal.startswith("Unauthorized")
    assert "playground" in refusal
