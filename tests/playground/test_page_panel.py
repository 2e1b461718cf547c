"""The panel of the page: what the bot's process, the network and the pending table look like to a person."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.playground.browsing import OPTIONS, PHONE, axe, bubbles, open_chat, say
from tests.playground.process import SLEEPER, Playground
from tgbot.playground.play import GROUP

STATES = "#messages .mine .state"


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    running = Playground(tmp_path_factory.mktemp("playground"), "--agent", SLEEPER)
    yield running
    running.end()


@pytest.fixture
def page(browser: Browser, playground: Playground, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own for each test."""
    opened = browser.new_context(**OPTIONS | getattr(request, "param", {})).new_page()
    opened.goto(playground.url)
    yield opened
    opened.context.close()


@pytest.mark.parametrize("page", [{"viewport": PHONE, "has_touch": True}], indirect=True)
def test_on_a_phone_one_kills_the_bot_and_watches_the_chat_at_the_same_time(page: Page) -> None:
    open_chat(page, "Chioma")
    say(page, "sleep 1 the first")
    expect(page.locator(STATES)).to_have_text("running")
    page.get_by_role("button", name=re.compile("The bot: running")).click()
    page.locator("#kill").click()
    expect(page.locator(STATES)).to_have_text("interrupted")
    in_view = ("#composer", "#kill", "#start", STATES)
    for part in in_view:
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
    assert _bottom(page, "#composer") <= _top(page, "#panel"), "the panel covers the chat"
    assert axe(page) == []
    page.locator("#start").press("Enter")
    expect(page.locator("#start")).to_be_disabled()
    expect(bubbles(page)).to_have_text("sleep 1 the first")
    expect(bubbles(page)).to_be_in_viewport()
    page.keyboard.press("Escape")  # the focus is still in the panel
    expect(page.locator("#kill")).to_be_hidden()


def _top(page: Page, part: str) -> float:
    box = page.locator(part).bounding_box()
    assert box is not None
    return box["y"]


def _bottom(page: Page, part: str) -> float:
    box = page.locator(part).bounding_box()
    assert box is not None
    return box["y"] + box["height"]


def test_answered_and_not_on_screen_yet_is_a_state_of_its_own(page: Page, playground: Playground) -> None:
    open_chat(page, "Ben")
    playground.send("playground/faults", [{"kind": "500", "method": "sendMessage"}])
    say(page, "hello")
    expect(page.locator(STATES)).to_have_text("answered, sending")
    expect(page.locator("#rows .state").first).to_have_text("answered, sending")
    expect(page.locator("#counts div", has_text="sending").locator("dd")).to_have_text("1")
    assert axe(page) == []
    page.get_by_role("radio", name="Fine").check()
    expect(page.locator(STATES)).to_have_text("done")
    expect(bubbles(page)).to_have_text("hello")
    expect(page.locator("#counts div", has_text="sending")).to_have_count(0)


def test_the_panel_speaks_plainly_and_has_the_bots_own_words_behind(page: Page) -> None:
    open_chat(page, "Ada")
    say(page, "sleep 600 the first")
    expect(page.locator(STATES)).to_have_text("running")
    say(page, "the second")
    expect(page.locator(STATES)).to_have_text(["running", "waits"])
    guard = page.locator("#guard")
    expect(guard).to_contain_text(re.compile(r"This chat is working on row \d+, since "))
    expect(guard).to_have_accessible_description(re.compile(r"The guard: turn \d+ holds it"))
    first = page.locator("#rows .state").first
    expect(first).to_have_attribute("title", re.compile(r"\(queued\)"))
    page.locator("#kill").click()
    expect(guard).to_contain_text(re.compile(r"Row \d+ was interrupted: it will be run again"))
    page.locator("#start").click()
    say(page, "/stop")
    expect(page.locator(STATES)).to_have_text(["stopped · try 2", "on hold"])
    expect(guard).to_have_text("This chat is idle.")
    say(page, "/drop")
    expect(page.locator(STATES)).to_have_text(["stopped · try 2", "dropped"])
    page.get_by_text("What the words mean").click()
    expect(page.locator("#glossary")).to_contain_text("(held)")
    assert axe(page) == []


def test_the_last_line_of_a_bot_that_ended_by_itself_is_red(page: Page, playground: Playground) -> None:
    os.kill(playground.bot_pid(), signal.SIGTERM)
    expect(page.locator("#life-detail")).to_contain_text("ended by itself, status 0")
    failure = page.get_by_role("alert")
    expect(failure).to_contain_text("app.stopped")
    expect(failure).to_have_css("color", "rgb(179, 38, 30)")
    expect(page.locator("#lines")).to_be_visible()
    assert axe(page) == []
    page.locator("#start").click()
    expect(failure).to_have_count(0)


def test_a_fault_that_somebody_else_sets_is_shown(page: Page, playground: Playground) -> None:
    playground.send("playground/faults", [{"kind": "delay", "probability": 0}])
    expect(page.get_by_role("radio", name="Slow")).to_be_checked()
    playground.clear_faults()
    expect(page.get_by_role("radio", name="Fine")).to_be_checked()


def test_a_person_blocks_the_bot_and_a_group_mutes_it(page: Page, playground: Playground) -> None:
    open_chat(page, "Chioma")
    page.get_by_role("button", name="Block the bot").click()
    expect(page.locator("#rights-text")).to_contain_text("Chioma has blocked the bot")
    say(page, "are you there")
    expect(page.locator("#toast")).to_contain_text("unblock or add it first")
    page.get_by_role("button", name="Unblock the bot").click()
    expect(page.locator("#rights-text")).to_have_text("Chioma can talk to the bot.")
    open_chat(page, "Weekend trip")
    page.get_by_role("button", name="Mute the bot").click()
    expect(page.locator("#rights-text")).to_have_text("The bot reads here, and may not write.")
    assert [one["muted"] for one in playground.get("playground/chats") if one["id"] == GROUP] == [True]
    page.get_by_role("button", name="Let the bot write").click()
    expect(page.get_by_role("button", name="Mute the bot")).to_be_visible()


def test_nobody_may_talk_to_a_private_bot_whom_its_owner_does_not_let_in(
    browser: Browser, tmp_path: Path
) -> None:
    playground = Playground(tmp_path, "--agent", "echo", "--private")
    page = browser.new_context(**OPTIONS).new_page()
    page.goto(playground.url)
    try:
        open_chat(page, "Ada")
        expect(_roles(page)).to_have_text(["stranger"] * 3)
        expect(page.locator("#invitation")).to_have_text(
            re.compile(r"^https://t\.me/playground1_bot\?start=")
        )
        assert axe(page) == []
        page.get_by_role("button", name="Open it as Ada").click()
        expect(bubbles(page)).to_contain_text("This bot is yours now")
        expect(page.locator("#role")).to_have_text("owner")
        expect(page.locator("#access-text")).to_contain_text("Ada owns the bot")
        expect(page.locator("#invitation")).to_be_hidden()
        open_chat(page, "Ben")
        say(page, "hello")
        expect(bubbles(page).last).to_contain_text("This bot is private")
        say(page, "/pair")
        expect(page.locator("#role")).to_have_text("asks")
        _decide(page, "Ben", "Allow")
        expect(page.locator("#role")).to_have_text("may talk")
        say(page, "hello again")
        expect(bubbles(page).last).to_have_text("hello again")
        open_chat(page, "Chioma")
        say(page, "/pair")
        _decide(page, "Chioma", "Deny")
        expect(page.locator("#role")).to_have_text("denied")
        expect(_roles(page)).to_have_text(["owner", "may talk", "denied"])
        assert axe(page) == []
    finally:
        page.context.close()
        playground.end()


def _roles(page: Page) -> Locator:
    return page.locator("#people .role")


def _decide(page: Page, about: str, button: str) -> None:
    """Let the owner press a button of the card about somebody, and go back there."""
    open_chat(page, "Ada")
    expect(bubbles(page).last).to_contain_text(f"{about} (")
    page.get_by_role("button", name=button, exact=True).last.click()
    open_chat(page, about)
