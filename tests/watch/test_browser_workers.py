"""The admin page of several workers, in a real browser, with real workers behind it."""

import asyncio
import json
import re
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.playground.browsing import DEADLINE_MS, OPTIONS, PHONE, axe, picture
from tests.playground.process import SLEEPER, until
from tests.watch.seeded import ADMIN, SERVING, Bot
from tests.whole_bot.process import BotProcess
from tgbot.model import InstanceId, RowId
from tgbot.store.instances import Worker
from tgbot.store.overview import KINDS

DEAD = Worker(InstanceId(3), "alpha", 7, 0.0, [RowId(1), RowId(2)], chats=1, lease_seconds=0.0, polls=False)
NOTHING = {kind: {"total": 0, "entries": []} for kind in KINDS}
SEEN = {"role": "admin", "worker": 4, "workers": [asdict(DEAD)], "sections": NOTHING, "audit": []}
GONE = f"data: {json.dumps(SEEN)}\n\n"


@pytest.fixture
def workers(bot: Bot, url: str, tmp_path: Path) -> Iterator[list[BotProcess]]:
    """Two workers, one chat after the other has a turn that goes on for ever."""
    made = [_worker(tmp_path / str(number), bot.playground.url, url) for number in range(2)]
    for worker in made:
        do(worker.start())
        until(lambda worker=worker: SERVING.search(worker.log))  # type: ignore[misc]  # mypy knows no such lambda
    for chat_id in (1001, 1002):
        bot.playground.say("sleep for ever", chat_id)
    yield made
    for worker in made:
        if not worker.ended:
            do(worker.kill())


def do(action: Coroutine[None, None, object]) -> None:
    """Run it in a thread of its own: the browser's driver has an event loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, action).result()


def _worker(folder: Path, api_url: str, url: str) -> BotProcess:
    folder.mkdir()
    watched = {"http_address": "127.0.0.1:0", "admin_token": ADMIN, "grace_seconds": 1}
    return BotProcess(folder, api_url, database_url=url, agent=SLEEPER, max_turns=1, **watched)


def open_page(browser: Browser, worker: BotProcess, **options: object) -> Page:
    serving = SERVING.search(worker.log)
    assert serving
    page = browser.new_context(**OPTIONS | options).new_page()
    page.set_default_timeout(DEADLINE_MS)
    log_in(page, serving[1])
    return page


def log_in(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Token").fill(ADMIN)
    page.keyboard.press("Enter")
    expect(page.locator("#totals li")).to_have_count(7)


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark", "viewport": PHONE}], ids=["", "-phone"])
def test_each_worker_is_listed_with_what_it_does_until_it_is_gone(
    browser: Browser, workers: list[BotProcess], request: pytest.FixtureRequest, options: dict[str, object]
) -> None:
    first, second = workers
    page = open_page(browser, first, **options)
    listed = page.locator("#at-work li")
    expect(listed).to_have_count(2)
    for worker in workers:
        expect(
            listed.filter(has_text=re.compile(rf"turns 1 · chats 1 · lease \d+ s · pid {worker.pid} "))
        ).to_have_count(1)
    expect(listed.filter(has_text="polls")).to_have_count(1)
    expect(listed.filter(has_text="shows this page")).to_contain_text(f"pid {first.pid} ")
    running = page.locator("#running .facts")
    expect(running).to_have_text([re.compile(r"worker [12] · row"), re.compile(r"worker [12] · row")])
    picture(page, f"workers{request.node.callspec.id}")
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    do(second.stop())
    expect(listed).to_have_count(1)
    page.context.close()


def test_one_alone_is_not_listed_and_one_that_is_gone_is_an_alarm(browser: Browser, bot: Bot) -> None:
    page = browser.new_context(**OPTIONS).new_page()
    log_in(page, bot.url)
    expect(page.locator("#workers")).to_be_hidden()
    page.route("**/events", lambda route: route.fulfill(content_type="text/event-stream", body=GONE))
    page.reload()  # the live ones would take its turns over before anybody saw it
    expect(page.locator("#at-work li")).to_contain_text("Worker 3 on alpha")
    expect(page.locator("#at-work .why")).to_have_text("gone · turns 2, which another worker takes over")
    assert axe(page) == []
    page.context.close()
