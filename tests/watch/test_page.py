"""The admin page over HTTP: who gets in, what they may do, and that nothing is said to anybody else."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.house import House
from tests.scripted import ScriptedAgent
from tests.waiting import DEADLINE_SECONDS, eventually, eventually_async
from tgbot.model import Address, ChatId, SessionKey
from tgbot.store.engine.writer import Database
from tgbot.tally import tally
from tgbot.turns.answer import Reaction
from tgbot.watch import page, sessions
from tgbot.watch.actions import Hints
from tgbot.watch.page import AdminPage
from tgbot.watch.server import Watch
from tgbot.watch.sessions import Sessions

ADMIN, VIEWER = "the-admins-own-token", "a-viewers-own-token"
SERVING = re.compile(r"watch\.serving (http://127\.0\.0\.1:\d+)")
NAME = "bot.example.org"
# Every path, with a body where it is posted to.
PATHS = [("GET", path) for path in ("/", "/login", "/events", "/events?chat=7", "/day", "/act", "/nothing")]
PATHS += [("POST", path) for path in ("/", "/login", "/logout", "/act", "/events", "/day")]


class Site:
    """The page of a house, and what it hinted at."""

    def __init__(self, house: House, db: Database) -> None:
        self.house = house
        self.sent_to: list[ChatId] = []
        self.changed: list[SessionKey] = []
        self.reactions: list[tuple[int, Reaction | None]] = []
        hints = Hints(house.dispatcher.wake, self.sent_to.append, self.changed.append, self._react)
        instance_id = house.dispatcher.owner.instance_id
        admin = AdminPage(db, instance_id, Sessions(ADMIN, VIEWER), hints)
        self.watch = Watch(db, instance_id, ("127.0.0.1", 0), admin=admin, names=[NAME])
        self.url = ""

    def _react(self, address: Address, reaction: Reaction | None) -> None:
        self.reactions.append((address.chat_id, reaction))

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Make a browser, as far as its headers go."""
        headers = {"origin": self.url, "sec-fetch-site": "same-origin", **headers}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=DEADLINE_SECONDS)

    @asynccontextmanager
    async def logged_in(self, token: str = ADMIN) -> AsyncIterator[httpx.AsyncClient]:
        async with self.client() as client:
            answer = await log_in(client, token)
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            yield client


async def log_in(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/login", data={"token": token})


@pytest.fixture
async def site(
    house: House, db: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(tally, "polled_at", None)  # another test may have set it: the page counts its age
    built = Site(house, db)
    serving = asyncio.create_task(built.watch.serve())
    await eventually(lambda: bool(SERVING.search(caplog.text)), "its address in the log")
    found = SERVING.search(caplog.text)
    assert found
    built.url = found[1]
    yield built
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert ADMIN not in caplog.text
    assert VIEWER not in caplog.text


async def act(client: httpx.AsyncClient, action: str, row_id: object) -> httpx.Response:
    return await client.post("/act", json={"action": action, "row_id": row_id})


async def first_event(client: httpx.AsyncClient, path: str = "/events") -> dict[str, Any]:
    async with client.stream("GET", path) as events:
        return await anext(seen(events))


async def seen(events: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Give what a stream sends, as it comes."""
    assert events.status_code == 200
    async for line in events.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def row_id(site: Site, words: str) -> int:
    sql = "SELECT id FROM pending WHERE json_extract(raw, '$.message.text') = :words"
    [(found,)] = await site.house.rows(sql, words=words)
    return int(found)


# -- who gets in --


async def test_nobody_who_is_not_logged_in_sees_a_word_or_a_chat(site: Site) -> None:
    await site.house.say("a secret word", "another", chat=987_654)
    async with site.client() as client:
        for method, path in PATHS:
            answer = await client.request(method, path)
            assert "secret" not in answer.text
            assert "987654" not in answer.text
            assert answer.status_code in (303, 401, 404, 405) or path == "/login"
        client.cookies.set(page.COOKIE, ADMIN)
        assert (await client.get("/events")).status_code == 401
        assert (await client.get("/static/admin.js")).status_code == 200
        assert (await client.get("/static/../admin.html")).status_code == 404
    assert await site.house.states(987_654) == ["claimed", "queued"]


async def test_a_wrong_token_opens_nothing_and_too_many_lock_out_also_the_right_one(site: Site) -> None:
    async with site.client() as client:
        for _ in range(sessions.WRONG_MAX):
            answer = await log_in(client, "<b>wrong</b>")
            assert (answer.status_code, "<b>" in answer.text) == (401, False)
            assert "This is not the token." in answer.text
        locked = await log_in(client, ADMIN)
        assert (locked.status_code, locked.headers.get("set-cookie")) == (429, None)
        assert "Try again in 1 min." in locked.text or "Try again in 2 min." in locked.text


async def test_a_login_that_breaks_off_is_no_bug_of_ours(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    port = httpx.URL(site.url).port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {site.url}\r\nContent-Length: 50\r\n\r\n"
    )
    writer.write(f"{head}token=".encode())
    await writer.drain()
    writer.close()
    await eventually(
        lambda: "admin.wrong_token" in caplog.text or "Traceback" in caplog.text, "it is noticed"
    )
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("said", ["203.0.113.9 admin.login role=admin", "fe80::1%admin.login", "x" * 10_000])
async def test_what_a_client_says_to_be_its_address_says_nothing_else_in_the_log(
    site: Site, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    async with site.client(**{"x-forwarded-for": said}) as client:
        assert (await log_in(client, "wrong")).status_code == 401
    [line] = [one.getMessage() for one in caplog.records if one.name == "tgbot.watch.page"]
    assert re.fullmatch(r"admin\.wrong_token address=(unknown|fe80::1)", line)


async def test_its_cookie_is_for_this_site_alone_and_secure_where_the_page_is(site: Site) -> None:
    async with site.client() as client:
        [plain] = (await log_in(client, ADMIN)).headers.get_list("set-cookie")
    assert re.fullmatch(r"tgbot=[\w-]{40,}; HttpOnly; Max-Age=\d+; Path=/; SameSite=strict", plain)
    async with site.client(host=NAME, origin=f"https://{NAME}") as client:
        [secure] = (await log_in(client, ADMIN)).headers.get_list("set-cookie")
    assert re.fullmatch(
        r"__Host-tgbot=[\w-]{40,}; HttpOnly; Max-Age=\d+; Path=/; SameSite=strict; Secure", secure
    )


async def test_who_logs_out_is_out_also_where_the_page_is_still_open(site: Site) -> None:
    async with site.logged_in() as client, client.stream("GET", "/events") as events:
        stream = seen(events)
        assert (await anext(stream))["role"] == "admin"
        kept = dict(client.cookies)
        await client.post("/logout")
        assert await anext(stream) == {"ended": True}
        assert (await client.get("/")).headers["location"] == "/login"
        assert (await client.get("/day", headers={"cookie": f"tgbot={kept['tgbot']}"})).status_code == 401


FOREIGN_NAMES = ("evil.example", "127.0.0.1.evil.example", "", "[", f"{NAME}.evil.example")
FOREIGN_PAGES: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://localhost:1"},  # another port is the same site, so it gets the cookie
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site"},
]


async def test_under_a_foreign_name_nothing_is_shown(site: Site) -> None:
    async with site.logged_in() as client:
        for host in FOREIGN_NAMES:
            for path in ("/", "/login", "/events", "/day", "/static/admin.js"):
                assert (await client.get(path, headers={"host": host})).status_code in (400, 403)
        assert (await client.get("/healthz", headers={"host": "evil.example"})).status_code == 200


async def test_another_site_can_neither_act_nor_log_in_or_out(site: Site) -> None:
    await site.house.say("a")
    body = {"action": "stop", "row_id": await row_id(site, "a")}
    async with site.logged_in() as client:
        for headers in FOREIGN_PAGES:
            assert (await client.post("/act", json=body, headers=headers)).status_code == 403
            assert (await client.post("/login", data={"token": ADMIN}, headers=headers)).status_code == 403
            assert (await client.post("/logout", headers=headers)).status_code == 403
            assert (await client.get("/act", headers=headers)).status_code == 405
        assert (await client.get("/day")).status_code == 200
    assert await site.house.states() == ["claimed"]


async def test_a_browser_may_neither_frame_nor_keep_it_nor_run_anything_else(site: Site) -> None:
    async with site.client() as client:
        for path in ("/", "/login", "/events", "/static/admin.js", "/nothing"):
            headers = (await client.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


# -- what they see and do --


async def test_who_may_look_sees_all_and_cannot_act(site: Site) -> None:
    await site.house.say("a")
    async with site.logged_in(VIEWER) as client:
        shown = await first_event(client)
        assert shown["role"] == "viewer"
        assert shown["sections"]["running"]["entries"][0]["text"] == "a"
        refused = await act(client, "stop", await row_id(site, "a"))
        assert (refused.status_code, refused.json()) == (403, {"description": "You may only look."})
    assert await site.house.states() == ["claimed"]


async def test_what_changes_is_sent_and_what_does_not_is_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LOOK_SECONDS", 0.01)
    async with site.logged_in() as client, client.stream("GET", "/events") as events:
        stream = seen(events)
        assert (await anext(stream))["sections"]["running"]["total"] == 0
        await site.house.say("a")
        assert (await anext(stream))["sections"]["running"]["total"] == 1
        more = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.2)  # twenty looks
        assert not more.done()
        await site.house.say("b")
        assert (await more)["sections"]["queued"]["total"] == 1


async def test_a_stop_ends_the_turn_and_is_noted(site: Site, agent: ScriptedAgent) -> None:
    await site.house.say("a", "b")
    stopped = await row_id(site, "a")
    async with site.logged_in() as client:
        answer = await act(client, "stop", stopped)
        assert answer.json() == {"said": "Stopped. 1 behind it are on hold.", "changed": True}
        await eventually(lambda: site.house.dispatcher.running == 0, "its task has ended")
        shown = await first_event(client)
    assert await site.house.states() == ["stopped", "held"]
    [noted] = shown["audit"]
    assert (noted["role"], noted["action"], noted["row_id"], noted["chat_id"]) == (
        "admin",
        "stop",
        stopped,
        7,
    )
    assert (site.sent_to, site.changed, site.reactions) == ([7], ["42:7"], [(7, None)])


async def test_what_was_on_hold_runs_at_once(site: Site) -> None:
    await site.house.say("a", "b")
    async with site.logged_in() as client:
        await act(client, "stop", await row_id(site, "a"))
        await act(client, "run_held", await row_id(site, "b"))

        def runs() -> bool:
            return bool(site.house.dispatcher.running)

        await eventually(runs, "the next one runs")
    assert site.reactions[-1] == (7, Reaction.RECEIVED)


NO_ACTIONS = (
    *(b"", b"{", b"[]", b"null", b'"stop"', b"[" * 4000, b"x" * (page.BODY_BYTES_MAX + 1)),
    *(b'{"action": "erase", "row_id": 1}', b'{"action": ["stop"], "row_id": 1}'),
    *(b'{"action": "stop"}', b'{"action": "stop", "row_id": "1"}', b'{"action": "stop", "row_id": true}'),
    *(b'{"action": "stop", "row_id": 0}', b'{"action": "stop", "row_id": 9223372036854775808}'),
)


async def test_what_is_no_action_is_refused(site: Site) -> None:
    async with site.logged_in() as client:
        for body in NO_ACTIONS:
            answer = await client.post("/act", content=body)
            assert (answer.status_code, answer.json()) == (400, {"description": "no such action"})


async def test_one_chat_is_shown_alone_and_what_is_no_id_is_refused(site: Site) -> None:
    await site.house.say("a", chat=7)
    await site.house.say("b", chat=-1008)
    async with site.logged_in() as client:
        shown = await first_event(client, "/events?chat=-1008")
        assert [one["text"] for one in shown["sections"]["running"]["entries"]] == ["b"]
        for chat in ("a", "7;", "--7", "1" * 17, "\u0667"):
            assert (await client.get("/events", params={"chat": chat})).status_code == 400


async def test_the_number_of_open_pages_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "STREAMS_MAX", 1)
    monkeypatch.setattr(page, "LOOK_SECONDS", 0.01)
    async with site.logged_in() as client:
        async with client.stream("GET", "/events") as events:
            await anext(seen(events))
            assert (await client.get("/events")).status_code == 503

        async def is_free() -> bool:
            async with client.stream("GET", "/events") as again:
                return again.status_code == 200

        await eventually_async(is_free, "another page")


async def test_the_day_has_an_entry_for_each_hour(site: Site) -> None:
    async with site.logged_in() as client:
        hours = (await client.get("/day")).json()
    assert len(hours) == 24
    assert set(hours[0]) == {"began", "ended", "waited_seconds"}


async def test_a_database_that_cannot_be_read_is_said_in_words(site: Site, db: Database) -> None:
    async with site.logged_in() as client:
        db._closed = True
        shown = await first_event(client)
        assert shown["not_ready"] == "the database: the database is closed"
        assert (await client.get("/day")).status_code == 503
        db._closed = False
