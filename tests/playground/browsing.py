"""What the tests of the page share: a browser (headless Chromium), a playground, and how a person acts.

Needs /usr/bin/chromium (or CHROMIUM=...) and axe-core (from npm, or AXE_CORE=...).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.needed import NPM_INSTALL, need
from tests.playground.process import SLEEPER, Json, Playground, until
from tests.waiting import DEADLINE_SECONDS
from tgbot.playground.persistence import Persistence
from tgbot.playground.play import FORUM, GROUP, PEOPLE
from tgbot.playground.world import World

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURES = Path(os.environ["PICTURES"]) if "PICTURES" in os.environ else None
ADA, BEN, CHIOMA = PEOPLE
LONG, LONG_COUNT = 1005, 10_000
EMMA = 1004
QUESTION: dict[str, Json] = {
    "message_id": 1,
    "from": {"id": EMMA, "is_bot": False, "first_name": "Emma"},
    "chat": {"id": EMMA, "type": "private", "first_name": "Emma"},
    "date": 1_800_000_000,
    "text": "How do I sort a list?",
}
NAMES = [*PEOPLE.values(), "Emma", "Long"]
BOT_NAME = "Playground bot"
OTHER_BOT = "bot2:playground"  # speaks on request: for what the echo agent never says
PHONE, DESKTOP = {"width": 390, "height": 780}, {"width": 1280, "height": 860}
OPTIONS: dict[str, Json] = {"viewport": DESKTOP, "color_scheme": "light", "locale": "en-GB"}
DEADLINE_MS = 1000 * DEADLINE_SECONDS

expect.set_options(timeout=DEADLINE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = need(CHROMIUM, "install Debian's chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    folder = tmp_path_factory.mktemp("playground")
    _write_long_chat(folder / "bot.world")
    running = Playground(folder, "--agent", SLEEPER)
    yield running
    running.end()


def _write_long_chat(folder: Path) -> None:
    """Leave what an earlier run would have: the usual people, and a chat with 10,000 messages."""
    persistence = Persistence(folder)
    world = World(folder=folder)
    persistence.attach(world)
    for user_id, name in {**PEOPLE, EMMA: "Emma", LONG: "Long"}.items():
        world.make_chat(user_id, name)
    world.make_chat(GROUP, "Weekend trip")
    world.make_chat(FORUM, "Workshop", is_forum=True)
    for topic in ("Releases", "Support"):
        world.make_topic(FORUM, ADA, topic)
    # Not by post_message: no bot is to answer this one, the picture's answer is written by the test.
    world.add_message(world.chat(EMMA), QUESTION["from"], {"text": QUESTION["text"]})
    chat, bot = world.chat(LONG), world.bot("2:playground")
    for number in range(LONG_COUNT):
        world.add_message(chat, bot.user, {"text": f"message {number}\n" + "word " * (number % 40)})
    persistence.close()
    world.files.close()


@pytest.fixture
def page(browser: Browser, playground: Playground, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own for each test; errors in its console and requests elsewhere fail the test."""
    context = browser.new_context(**OPTIONS | getattr(request, "param", {}))
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: _note(wrong, message))
    opened.on("request", lambda asked: None if _is_own(asked.url, playground) else wrong.append(asked.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.set_default_timeout(DEADLINE_MS)
    opened.goto(playground.url)
    yield opened
    context.close()
    assert wrong == []


def _is_own(url: str, playground: Playground) -> bool:
    return url.startswith((playground.url, f"blob:{playground.url}"))


def _note(wrong: list[str], message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        wrong.append(message.text)


def open_chat(page: Page, name: str) -> None:
    """Open a group or a topic, or by a person's name that person's chat with the bot."""
    if name in NAMES:
        become(page, name)
        name = BOT_NAME
    chat = page.locator("#chat-list .chat").filter(has=page.locator(".name", has_text=re.compile(name))).first
    if not chat.get_attribute("aria-current"):
        chat.click()
    expect(page.locator("#title")).to_contain_text(name.removeprefix("# "))


def become(page: Page, name: str) -> None:
    """Be another person from now on."""
    page.locator("#people label", has_text=name).click()
    expect(page.locator("#people label", has_text=name).locator("input")).to_be_checked()


def send_files(page: Page, *files: FilePayload, caption: str = "") -> None:
    """Pick files, and send them from the preview."""
    page.locator("#files").set_input_files(list(files))
    page.get_by_label("Caption").fill(caption)
    page.locator("#sending").get_by_role("button", name="Send").click()
    expect(page.locator("#sending")).to_be_hidden()


def say(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")


def bubbles(page: Page) -> Locator:
    return page.locator("#messages .message:not(.mine) .body")


def other_bot(playground: Playground, method: str, **params: Json) -> Json:
    return playground.post(f"{OTHER_BOT}/{method}", **params)["result"]


def heard(playground: Playground, kind: str) -> Json:
    """Wait until the other bot's newest update is of this kind; people's messages reach it as well."""

    def newest() -> Json:
        updates = other_bot(playground, "getUpdates", offset=-1)
        return updates and updates[0].get(kind)

    return until(newest)


def picture(shown: Page | Locator, name: str) -> None:
    """Take a picture for the README if PICTURES names a folder; that it can be taken is tested anyway."""
    taken = shown.screenshot(path=PICTURES / f"{name}.png" if PICTURES else None)
    assert taken.startswith(b"\x89PNG")


def axe(page: Page) -> list[str]:
    """Return what axe-core has against the page, by the rules of WCAG levels A and AA."""
    page.evaluate(need(AXE, f"{NPM_INSTALL}, or set AXE_CORE").read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", tags)
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes']]}" for one in found["violations"]]
