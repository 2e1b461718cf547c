"""A webhook: what is posted is on disk before its 200; strangers, floods and bad bodies harm nobody."""

import asyncio
import dataclasses
import logging
import socket
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from tests.house import raw_message
from tests.odd_wire import OddWire, result
from tests.posted import PATH, RIGHT, Posted, free_port, posted
from tests.running import running, settings_for
from tests.scripted import ScriptedAgent
from tests.waiting import DEADLINE_SECONDS, eventually, eventually_async
from tests.whole_bot.process import TOKEN
from tgbot import app, config, http_server
from tgbot.intake import attempts, collector, listener, webhook
from tgbot.intake.listener import SECRET_HEADER
from tgbot.intake.webhook import secret_of
from tgbot.playground.server import PlaygroundServer
from tgbot.tally import tally
from tgbot.telegram import outcomes
from tgbot.telegram.errors import TokenRefusedError


@pytest.fixture(autouse=True)
def log_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
async def bot(wire: PlaygroundServer, database_path: Path, agent: ScriptedAgent) -> AsyncIterator[Posted]:
    agent.auto = True
    async with posted(wire, database_path, agent) as built:
        yield built


def rows(database_path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(database_path)) as raw:
        return raw.execute(sql).fetchall()


STORED = "SELECT update_id, kind, state FROM pending ORDER BY id"


async def test_it_is_set_with_a_secret_and_what_people_write_is_answered(bot: Posted) -> None:
    bot.person.says("hello", "again")
    await bot.person.sees_at_last("re: hello", "re: again")
    [call] = bot.calls("setWebhook")
    secret, kinds = call.pop("secret_token"), call.pop("allowed_updates")
    assert call == {"url": bot.url, "max_connections": 40}, "and nothing is dropped"
    assert secret == secret_of(TOKEN)
    assert "message" in kinds
    assert TOKEN.partition(":")[2] not in secret
    await eventually(lambda: not bot.wire.world.bot(TOKEN).updates, "each is confirmed")
    assert not bot.calls("getUpdates")


async def test_posts_in_parallel_are_stored_in_the_order_of_their_ids(
    bot: Posted, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await bot.post(raw_message(5000, "0"))).status_code == 200
    monkeypatch.setattr(collector, "GAP_SECONDS", 60.0)
    posts = [bot.post(raw_message(5000 + n, str(n))) for n in (3, 5, 1, 4, 2, 6)]
    assert {answer.status_code for answer in await asyncio.gather(*posts)} == {200}
    assert [update_id for update_id, *_ in rows(database_path, STORED)] == [5000 + n for n in range(7)]
    await bot.person.sees_at_last(*(f"re: {n}" for n in range(7)))


async def test_what_is_posted_again_also_at_once_is_stored_once(bot: Posted, database_path: Path) -> None:
    posts = [bot.post(raw_message(5000, "hello")) for _ in range(5)]
    assert {answer.status_code for answer in await asyncio.gather(*posts)} == {200}
    assert (await bot.post(raw_message(5000, "hello"))).status_code == 200
    await bot.post(raw_message(5001, "after"))
    await bot.person.sees_at_last("re: hello", "re: after")
    assert len(rows(database_path, STORED)) == 2


async def test_without_the_secret_nothing_is_taken(bot: Posted, database_path: Path) -> None:
    for headers in ({}, {SECRET_HEADER: ""}, {SECRET_HEADER: "x"}, {SECRET_HEADER: "x" * 64}):
        answer = await bot.post(raw_message(5000, "forged"), headers)
        assert (answer.status_code, answer.content) == (401, b"")
    answer = await bot.client.post(bot.url, content=b"{}", headers=[(SECRET_HEADER.encode(), b"\xff")])
    assert answer.status_code == 401
    assert rows(database_path, STORED) == []


async def test_any_other_path_or_method_is_not_found(bot: Posted) -> None:
    for method, path in (("POST", "/"), ("POST", f"{PATH}/"), ("GET", PATH)):
        answer = await bot.client.request(method, bot.url.removesuffix(PATH) + path, headers=RIGHT)
        assert answer.status_code == 404


@asynccontextmanager
async def raw_post(bot: Posted, body: bytes, length: int, secret: str) -> AsyncIterator[asyncio.StreamReader]:
    """Post the beginning of a body that says to be this long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(bot.url).port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{SECRET_HEADER}: {secret}\r\nContent-Length: {length}\r\n\r\n"
    writer.write(head.encode() + body)
    try:
        yield reader
    finally:
        writer.close()


async def test_of_a_body_without_the_secret_nothing_is_waited_for(bot: Posted) -> None:
    async with raw_post(bot, b"", 10**9, "wrong") as reader:
        assert (await reader.read()).startswith(b"HTTP/1.1 401"), "and it is closed"


async def test_a_body_larger_than_any_update_is_refused(bot: Posted, database_path: Path) -> None:
    too_large = b"x" * (listener.BODY_BYTES_MAX + 1)
    async with raw_post(bot, too_large, len(too_large), secret_of(TOKEN)) as reader:
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    largest = raw_message(5000, "x" * (listener.BODY_BYTES_MAX - 1000))
    assert (await bot.post(largest)).status_code == 200
    assert [update_id for update_id, *_ in rows(database_path, STORED)] == [5000]


async def test_a_body_that_does_not_come_is_given_up(bot: Posted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "BODY_SECONDS_MAX", 0.05)
    async with raw_post(bot, b'{"update_id"', 100, secret_of(TOKEN)) as reader:
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")


async def test_what_is_no_update_is_put_aside_once_and_delays_nobody(
    bot: Posted, database_path: Path
) -> None:
    bodies = ["", "nonsense", "[]", "{}", '{"update_id":"5"}', "[" * 5000, b"\xff\x00"]
    for body in [*bodies, *bodies]:
        assert (await bot.post(body)).status_code == 200, "or Telegram would send it for a day"
    await bot.post(raw_message(5000, "hello"))
    await bot.person.sees_at_last("re: hello")
    stored = [row[1:] for row in rows(database_path, STORED)]
    assert stored == [("unreadable", "dead")] * len(bodies) + [("message", "done")]


async def test_a_database_that_is_too_slow_is_a_503_and_the_repeat_is_stored_once(
    bot: Posted, database_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "STORE_SECONDS_MAX", 0.2)
    with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await bot.post(raw_message(5000, "hello"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "webhook.not_stored update=5000 reason=the database takes too long" in caplog.text
        other.execute("ROLLBACK")
    monkeypatch.undo()
    assert (await bot.post(raw_message(5000, "hello"))).status_code == 200
    await bot.person.sees_at_last("re: hello")
    assert len(rows(database_path, STORED)) == 1


async def test_a_flood_of_strangers_and_of_bodies_that_do_not_come_keeps_nobody_out(
    bot: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    flood = asyncio.gather(*(bot.post("{}", {}) for _ in range(200)))
    bot.person.says("hello")
    await bot.person.sees_at_last("re: hello")
    assert {answer.status_code for answer in await flood} == {401}
    monkeypatch.setattr(listener, "POSTS_MAX", 2)

    async def too_many() -> bool:
        return (await bot.post("{}")).status_code == 503

    slow = raw_post(bot, b"", 100, secret_of(TOKEN))
    async with slow, raw_post(bot, b"", 100, secret_of(TOKEN)):
        await eventually_async(too_many, "no more at once")
    monkeypatch.undo()
    assert (await bot.post(raw_message(5000, "again"))).status_code == 200
    await bot.person.sees_at_last("re: hello", "re: again")


async def test_connections_on_which_nothing_comes_or_that_are_too_many_are_closed(
    bot: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, at_once in (("SILENT_SECONDS_MAX", 0.05), ("CONNECTIONS_MAX", 0)):
        with monkeypatch.context() as limited:
            limited.setattr(http_server, limit, at_once)
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(bot.url).port)
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
    assert (await bot.post(raw_message(5000, "hello"))).status_code == 200


async def test_a_connection_with_half_a_request_after_another_is_closed(
    bot: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "SILENT_SECONDS_MAX", 0.5)
    monkeypatch.setattr(http_server, "KEPT_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(bot.url).port)
    whole = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{SECRET_HEADER}: {secret_of(TOKEN)}\r\nContent-Length: 2\r\n\r\n"
    )
    writer.write(f"{whole}{{}}".encode())
    with closing(writer):
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.write(whole[:20].encode())
            assert await reader.read() == b""


async def test_a_post_that_is_under_way_when_the_bot_stops_is_to_come_again(
    wire: PlaygroundServer,
    database_path: Path,
    agent: ScriptedAgent,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(listener, "POSTS_MAX", 1)
    async with AsyncExitStack() as kept:
        async with posted(wire, database_path, agent) as bot:
            reader = await kept.enter_async_context(raw_post(bot, b"", 100, secret_of(TOKEN)))

            async def is_under_way() -> bool:
                return (await bot.post("{}")).status_code == 503

            await eventually_async(is_under_way, "no other is taken")
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
    assert "Traceback" not in caplog.text


async def test_until_it_knows_who_it_is_posts_are_to_come_again(
    wire: PlaygroundServer, database_path: Path, agent: ScriptedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    wire.world.add_faults([{"method": "getMe", "kind": "500"}])
    async with (
        running(wire, database_path, agent.run, webhook_url=url, webhook_address=("127.0.0.1", port)),
        httpx.AsyncClient() as client,
    ):
        await eventually(lambda: "intake.retry" in caplog.text, "it cannot know")
        answer = await client.post(url, json=raw_message(5000, "hello"), headers=RIGHT)
    assert answer.status_code == 503
    assert rows(database_path, STORED) == []


async def test_a_webhook_that_is_as_it_must_be_is_not_set_again_but_by_a_change(
    wire: PlaygroundServer, database_path: Path, agent: ScriptedAgent
) -> None:
    port = free_port()
    same = {"webhook_url": f"http://127.0.0.1:{port}{PATH}", "webhook_address": ("127.0.0.1", port)}
    for start in (1, 2):
        async with posted(wire, database_path, agent, **same) as bot:
            await eventually(lambda: len(bot.calls("getWebhookInfo")) == start, "it looks")  # noqa: B023
    assert len(bot.calls("setWebhook")) == 1
    async with posted(wire, database_path, agent, **same, reactions="off") as bot:
        await eventually(lambda: len(bot.calls("setWebhook")) == 2, "other kinds are asked for")
    assert not [call for call in wire.world.journal if "drop_pending_updates" in call["params"]]


async def test_one_that_another_program_has_set_with_its_own_secret_is_set_again(
    wire: PlaygroundServer, database_path: Path, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "LOOK_SECONDS", 0.02)
    agent.auto = True
    async with posted(wire, database_path, agent) as bot:
        foreign = {"url": bot.url, "secret_token": "another", "max_connections": 40}
        await bot.client.post(f"{wire.url}/bot{TOKEN}/setWebhook", json=foreign)
        bot.person.says("hello")
        await bot.person.sees_at_last("re: hello")
        assert [call["secret_token"] for call in bot.calls("setWebhook")] == [
            *(secret_of(TOKEN), "another", secret_of(TOKEN))
        ]


def info(url: str, **more: object) -> Response:
    kinds = outcomes.allowed_updates(reactions=True)
    same = {"url": url, "max_connections": 40, "has_custom_certificate": False, "allowed_updates": kinds}
    return result({**same, "pending_update_count": 0, **more})


async def test_posts_that_fail_are_said_in_the_log_and_do_not_count_as_a_poll(
    wire: PlaygroundServer,
    database_path: Path,
    agent: ScriptedAgent,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(attempts, "RETRY_SECONDS", (0.01,))
    url = "https://bot.example.org/hush"
    failed = {"pending_update_count": 3, "last_error_message": "Connection refused"}
    async with OddWire() as odd:
        here = {"webhook_url": url, "webhook_address": ("127.0.0.1", 0), "api_url": odd.url}
        async with running(wire, database_path, agent.run, **here):

            async def polled_after(**more: object) -> bool:
                tally.polled_at = None
                odd.answers["getWebhookInfo"] = [info(url, **more)]
                looked = odd.asked.count("getWebhookInfo")
                await eventually(lambda: odd.asked.count("getWebhookInfo") > looked + 1, "it looks")
                return tally.polled_at is not None

            assert await polled_after(**failed, last_error_date=1), "before this start"
            assert not await polled_after(**failed, last_error_date=2)
            assert caplog.text.count("webhook.failing waiting=3 reason=Connection refused") == 1
            assert await polled_after(**failed, last_error_date=2)
            assert await polled_after(last_error_date=3), "what failed was taken meanwhile"
        assert "setWebhook" not in odd.asked
    assert "hush" not in caplog.text, "the path may be a secret"


async def test_polling_again_deletes_the_webhook_and_no_update(
    wire: PlaygroundServer, database_path: Path, agent: ScriptedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    agent.auto = True
    async with posted(wire, database_path, agent) as bot:
        bot.person.says("before")
        await bot.person.sees_at_last("re: before")
    bot.person.says("while it is down")
    async with running(wire, database_path, agent.run) as person:
        await person.sees_at_last("re: before", "re: while it is down")
    assert "intake.webhook_deleted Telegram posted the updates to 127.0.0.1" in caplog.text
    assert "intake.conflict" not in caplog.text
    assert [call["params"] for call in wire.world.journal if call["method"] == "deleteWebhook"] == [{}]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_listens_on_addresses_of_either_kind(host: str) -> None:
    with http_server.listen((host, 0)) as listening, socket.create_connection(listening.getsockname()[:2]):
        pass


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make one as Telegram's guide says."""
    cert, key = folder / "public.pem", folder / "private.key"
    command = "openssl req -newkey rsa:2048 -sha256 -nodes -x509 -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    return cert, key


async def test_a_certificate_signed_by_itself_is_uploaded_and_served(
    wire: PlaygroundServer, database_path: Path, agent: ScriptedAgent, tmp_path: Path
) -> None:
    agent.auto = True
    cert, key = certificate(tmp_path)
    port = free_port()
    tls = {
        "webhook_url": f"https://localhost:{port}{PATH}",
        "webhook_address": ("127.0.0.1", port),
        "webhook_cert": cert,
        "webhook_key": key,
    }
    async with posted(wire, database_path, agent, **tls) as bot:
        bot.person.says("hello")
        await bot.person.sees_at_last("re: hello")
        assert bot.calls("setWebhook")[0]["certificate"]["size"] == cert.stat().st_size


async def test_of_a_file_that_also_has_the_key_only_the_certificate_is_uploaded(
    wire: PlaygroundServer, database_path: Path, agent: ScriptedAgent, tmp_path: Path
) -> None:
    agent.auto = True
    cert, key = certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    port = free_port()
    url = f"https://localhost:{port}{PATH}"
    tls = {"webhook_url": url, "webhook_address": ("127.0.0.1", port), "webhook_cert": both}
    async with posted(wire, database_path, agent, **tls) as bot:
        bot.person.says("hello")
        await bot.person.sees_at_last("re: hello")
        assert bot.calls("setWebhook")[0]["certificate"]["size"] == cert.stat().st_size


async def start_fails(wire: PlaygroundServer, database_path: Path, **settings: Any) -> BaseException:  # noqa: ANN401 - as Settings has them
    """Start it, and give what the command line would find."""
    chosen = dataclasses.replace(settings_for(wire, database_path), **settings)
    with pytest.raises((config.ConfigError, ExceptionGroup)) as raised:
        await app.run(chosen, ScriptedAgent().run)
    return raised.value.exceptions[0] if isinstance(raised.value, ExceptionGroup) else raised.value


@pytest.mark.parametrize("wrong", ["cert", "key"])
async def test_a_certificate_or_key_that_cannot_be_used_is_one_line(
    wire: PlaygroundServer, database_path: Path, tmp_path: Path, wrong: str
) -> None:
    cert, key = certificate(tmp_path)
    files = {"webhook_cert": key, "webhook_key": key} if wrong == "cert" else {"webhook_cert": cert}
    error = await start_fails(wire, database_path, webhook_url="https://bot.example.org/", **files)
    assert isinstance(error, config.ConfigError)
    assert str(error).startswith("TGBOT_WEBHOOK_CERT is wrong (it and its key cannot be used: ")
    assert "\n" not in str(error)


async def test_an_address_that_is_taken_is_one_line(wire: PlaygroundServer, database_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = {"webhook_url": "https://bot.example.org/", "webhook_address": taken.getsockname()}
        error = await start_fails(wire, database_path, **here)
    assert isinstance(error, config.ConfigError)
    assert str(error).startswith("TGBOT_WEBHOOK_ADDRESS is wrong (Address already in use")


async def test_a_token_that_never_was_good_ends_the_bot(wire: PlaygroundServer, database_path: Path) -> None:
    async with OddWire() as odd:
        odd.answers["getMe"] = [JSONResponse({"ok": False, "error_code": 401, "description": "no"}, 401)]
        here = {"webhook_url": "https://bot.example.org/", "webhook_address": ("127.0.0.1", 0)}
        error = await start_fails(wire, database_path, api_url=odd.url, **here)
    assert isinstance(error, TokenRefusedError)
