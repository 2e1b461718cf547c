"""The admin page in a real browser, with the real bot behind it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.playground.browsing import DEADLINE_MS, OPTIONS, PHONE, axe, picture
from tests.playground.process import until
from tests.watch.seeded import ADMIN, SCRIPT, VIEWER, Bot

# What a browser says of a wrong token, and of a bot that is gone.
EXPECTED = ("401 (Unauthorized)", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_CONNECTION_")
DARK_PHONE = {"color_scheme": "dark", "viewport": PHONE}


@pytest.fixture
def page(browser: Browser, bot: Bot, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser of its own for each test; errors in its console and requests elsewhere fail the test."""
    context = browser.new_context(**OPTIONS | getattr(request, "param", {}))
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda asked: None if asked.url.startswith(bot.url) else wrong.append(asked.url))
    opened.set_default_timeout(DEADLINE_MS)
    opened.goto(bot.url)
    yield opened
    context.close()
    assert [one for one in wrong if not any(known in one for known in EXPECTED)] == []


def log_in(page: Page, token: str = ADMIN) -> None:
    """Log in as one does without a mouse: the field has the focus."""
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    expect(page.locator("#health")).to_contain_text("Ready")


def entry(page: Page, kind: str, words: str) -> Locator:
    return page.locator(f"#{kind} .entries > li", has_text=words)


def press(page: Page, kind: str, words: str, label: str) -> None:
    entry(page, kind, words).get_by_role("button", name=f"{label}: ").click()


def total(page: Page, word: str) -> Locator:
    return page.locator("#totals li", has_text=word).locator("b")


def test_a_token_opens_it_by_keyboard_alone_and_nothing_else_does(page: Page) -> None:
    assert page.url.endswith("/login")
    assert axe(page) == []
    page.keyboard.type("not the token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This is not the token.")
    assert axe(page) == []
    log_in(page)
    page.get_by_role("button", name="Log out").press("Enter")
    expect(page.get_by_label("Token")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Token")).to_be_visible()


def test_what_was_given_up_is_dropped_only_when_that_is_confirmed_or_tried_again(
    page: Page, bot: Bot
) -> None:
    log_in(page)
    again, never = bot.add_row("please try again", "dead"), bot.add_row("never again", "dead")
    drop = entry(page, "dead", "never again").get_by_role("button", name="Drop: never again")
    drop.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("It will not be answered.")
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(drop).to_be_focused()
    assert bot.rows("SELECT state FROM pending WHERE id = ?", never) == [("dead",)]
    drop.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Drop").press("Enter")
    expect(page.locator("#toast")).to_have_text("Dropped.")
    expect(drop).to_have_count(0)
    press(page, "dead", "please try again", "Try again")
    expect(entry(page, "dead", "please try again")).to_have_count(0)
    until(lambda: bot.rows("SELECT state FROM pending WHERE id = ?", again) == [("done",)])
    noted = page.locator("#noted li")
    expect(noted.nth(1)).to_contain_text(f"Dropped row {never} in chat 1002")
    expect(noted.first).to_contain_text(f"Tried again row {again} in chat 1002")


def test_a_turn_is_stopped_and_what_is_on_hold_is_run_or_dropped(page: Page, bot: Bot) -> None:
    log_in(page)
    say = bot.playground.say
    for words in ("sleep for ever", "second", "third", "fourth", "fifth"):
        say(words, 1001)
    expect(total(page, "Waiting")).to_have_text("4")
    press(page, "queued", "fifth", "Drop")
    page.get_by_role("dialog").get_by_role("button", name="Drop").click()
    expect(total(page, "Waiting")).to_have_text("3")
    press(page, "running", "sleep for ever", "Stop")
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.locator("#toast")).to_have_text("Stopped. 3 behind it are on hold.")
    expect(total(page, "On hold")).to_have_text("3")
    until(lambda: "⏹ Stopped." in bot.playground.answers(1001))
    press(page, "held", "second", "Drop")
    page.get_by_role("dialog").get_by_role("button", name="Drop").click()
    expect(total(page, "On hold")).to_have_text("2")
    press(page, "held", "third", "Run all in this chat")
    expect(page.locator("#toast")).to_have_text("Running 2.")
    until(
        lambda: (
            [one for one in bot.playground.answers(1001) if one in ("third", "fourth", "second")]
            == ["third", "fourth"]
        )
    )
    expect(total(page, "On hold")).to_have_text("0")
    until(lambda: "👀" not in bot.playground.reactions(1001))  # it says of a message that it waits


def test_an_answer_that_was_put_aside_is_sent_again(page: Page, bot: Bot) -> None:
    log_in(page)
    row_id = bot.add_row("a question", "done", chat=1003, name="Chioma")
    bot.park(row_id, "an answer at last", "Forbidden: bot was blocked by the user", chat=1003)
    expect(entry(page, "parked", "an answer at last")).to_contain_text("blocked by the user")
    press(page, "parked", "an answer at last", "Send again")
    until(lambda: bot.playground.answers(1003) == ["an answer at last"])
    expect(total(page, "Put aside")).to_have_text("0")


def test_who_may_only_look_has_no_buttons(page: Page, bot: Bot) -> None:
    row_id = bot.add_row("look at this", "dead")
    log_in(page, VIEWER)
    expect(page.locator("#role")).to_have_text("read only")
    expect(entry(page, "dead", "look at this")).to_be_visible()
    expect(page.locator("#sections button")).to_have_count(0)
    assert axe(page) == []
    bot.rows("UPDATE pending SET state = 'dropped' WHERE id = ?", row_id)


def test_what_people_wrote_is_text_whatever_it_looks_like(page: Page, bot: Bot) -> None:
    row_id = bot.add_row(SCRIPT, "dead", name=SCRIPT)
    log_in(page)
    expect(entry(page, "dead", "bold").locator(".words")).to_have_text(SCRIPT)
    expect(entry(page, "dead", "bold").locator(".facts")).to_contain_text(SCRIPT)
    assert page.locator("#sections img, #sections b, #sections script").count() == 0
    assert page.title() == "tgbot"
    bot.rows("UPDATE pending SET state = 'dropped' WHERE id = ?", row_id)


def test_one_chat_is_searched_by_its_id_and_by_a_link(page: Page, bot: Bot) -> None:
    rows = [bot.add_row(f"of {chat}", "dead", chat=chat) for chat in (4001, 4002)]
    log_in(page)
    expect(entry(page, "dead", "of 4002")).to_be_visible()
    page.get_by_label("Chat or user id").fill("4001")
    page.keyboard.press("Enter")
    expect(entry(page, "dead", "of 4001")).to_be_visible()
    expect(entry(page, "dead", "of 4002")).to_have_count(0)
    page.get_by_role("link", name="Show all").click()
    entry(page, "dead", "of 4002").get_by_role("link", name="chat 4002").click()
    expect(page.get_by_label("Chat or user id")).to_have_value("4002")
    expect(entry(page, "dead", "of 4001")).to_have_count(0)
    for row_id in rows:
        bot.rows("UPDATE pending SET state = 'dropped' WHERE id = ?", row_id)


def test_the_focus_stays_where_it_is_while_the_lists_change(page: Page, bot: Bot) -> None:
    rows = [bot.add_row("first of these", "dead"), bot.add_row("second of these", "dead")]
    log_in(page)
    button = entry(page, "dead", "second of these").get_by_role("button", name="Try again")
    button.focus()
    bot.rows("UPDATE pending SET state = 'dropped' WHERE id = ?", rows[0])
    rows.append(bot.add_row("third of these", "dead"))
    expect(entry(page, "dead", "third of these")).to_be_visible()
    expect(button).to_be_focused()
    bot.rows("UPDATE pending SET state = 'dropped' WHERE id = ?", rows[1])
    expect(page.locator("#dead h2")).to_be_focused()
    bot.rows("UPDATE pending SET state = 'dropped' WHERE id = ?", rows[2])


@pytest.fixture(scope="module")
def busy_bot(bot: Bot) -> Bot:
    """The bot after a day of work, with something of each kind."""
    bot.rows("DELETE FROM audit")
    bot.fill_a_day()
    for words in ("sleep until the report is there", "And then write to Bob about it"):
        bot.playground.say(words, 1001)
    for words in ("sleep a little", "What is the weather in Lagos?", "And in Oslo?", "/stop"):
        bot.playground.say(words, 1003)
    bot.add_row("Summarise the minutes of all meetings of this year.", "dead", 1002, hours=2)
    row_id = bot.add_row("a photo please", "done", 1003, "Chioma", hours=3)
    bot.park(row_id, "Here is the picture you asked for.", "Forbidden: bot was blocked by the user", 1003)
    bot.rows("INSERT INTO audit (at, role, action, row_id) VALUES (unixepoch(), 'admin', 'drop', 12)")
    return bot


@pytest.mark.parametrize("page", [{}, DARK_PHONE], indirect=True, ids=["admin", "admin-phone"])
def test_it_fits_and_is_accessible(page: Page, busy_bot: Bot, request: pytest.FixtureRequest) -> None:
    log_in(page)
    expect(total(page, "On hold")).to_have_text("2")
    expect(page.locator("#ended svg")).to_be_visible()
    picture(page, request.node.callspec.id)
    row_id = busy_bot.add_row("a very long word " + "w" * 300, "dead", name="n" * 300)
    expect(entry(page, "dead", "a very long word")).to_be_visible()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    busy_bot.rows("UPDATE pending SET state = 'dropped' WHERE id = ?", row_id)


def test_a_page_whose_bot_is_gone_says_so(page: Page, bot: Bot) -> None:
    log_in(page)
    bot.playground.post("playground/bot/kill")
    expect(page.locator("#health")).to_contain_text("Not connected")
