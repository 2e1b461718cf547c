"""The conversation on the page: who one is, bubbles, albums, days, files before they go, the keyboard."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, FilePayload, FloatRect, Locator, Page, expect

from tests.playground.browsing import (
    ADA,
    BEN,
    BOT_NAME,
    CHIOMA,
    EMMA,
    PHONE,
    QUESTION,
    axe,
    become,
    bubbles,
    open_chat,
    other_bot,
    say,
    send_files,
)
from tests.playground.process import Json, Playground, until
from tests.playground.test_people import PNG
from tgbot.playground.play import GROUP

DAY_SECONDS = 86_400
TEXT_UNITS_MAX = 4_096


def photo(name: str = "dot.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": PNG}


def own(page: Page) -> Locator:
    return page.locator("#messages .mine")


def box(of: Locator) -> FloatRect:
    found = of.bounding_box()
    assert found is not None
    return found


def overlap(one: FloatRect, other: FloatRect) -> bool:
    across = one["x"] < other["x"] + other["width"] and other["x"] < one["x"] + one["width"]
    return across and one["y"] < other["y"] + other["height"] and other["y"] < one["y"] + one["height"]


@contextmanager
def history(page: Page, chat_id: int, messages: list[dict[str, Json]]) -> Iterator[None]:
    """Show these messages in a chat, whatever is in it."""
    pattern = f"**/chats/{chat_id}/messages*"
    page.route(pattern, lambda route: route.fulfill(json=messages))
    yield
    page.unroute(pattern)


# -- who one is --


def test_a_private_chat_is_named_after_the_bot_and_one_can_be_anybody_there(page: Page) -> None:
    open_chat(page, "Ada")
    say(page, "I am Ada")
    expect(bubbles(page)).to_have_text(["I am Ada"])
    page.locator("#as").select_option("Ben")
    expect(page.locator("#title")).to_have_text(BOT_NAME)
    expect(page.locator("#messages .message")).to_have_count(0)
    say(page, "I am Ben")
    expect(bubbles(page)).to_have_text(["I am Ben"])
    become(page, "Ada")
    expect(own(page).locator(".body")).to_have_text(["I am Ada"])


def test_one_persons_chats_are_listed_and_what_was_said_last_comes_first(
    page: Page, playground: Playground
) -> None:
    open_chat(page, "Ada")
    names = page.locator("#chat-list .chat:not(.topic) .name")
    assert names.all_text_contents().count(BOT_NAME) == 1
    other_bot(playground, "sendMessage", chat_id=ADA, text="older")
    until(lambda: time.time() > last_date(playground, ADA) + 1)  # dates are whole seconds
    other_bot(playground, "sendMessage", chat_id=GROUP, text="newer")
    expect(names.first).to_have_text("Weekend trip")
    listed = page.locator("#chat-list .chat").first
    expect(listed.locator(".preview")).to_have_text(f"{BOT_NAME}: newer")
    expect(listed.locator(".badge")).to_contain_text("1")


def last_date(playground: Playground, chat_id: int) -> int:
    return int(playground.get(f"playground/chats/{chat_id}/messages")[-1]["date"])


def test_a_person_who_has_something_to_read_has_a_badge(page: Page, playground: Playground) -> None:
    open_chat(page, "Ada")
    badge = page.locator("#people label", has_text="Chioma").locator(".badge")
    expect(badge).to_be_hidden()
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text="for Chioma")
    expect(badge).to_contain_text("1")
    become(page, "Chioma")
    expect(badge).to_be_hidden()


def test_a_groups_members_are_shown_and_one_of_them_writes(page: Page) -> None:
    open_chat(page, "Weekend trip")
    become(page, "Ada")
    page.get_by_role("button", name="members").click()
    members = page.locator("#members .member")
    expect(members.filter(has_text="Ada")).to_contain_text("owner")
    expect(members.filter(has_text="Ben")).to_contain_text("member")
    expect(members.filter(has_text=BOT_NAME).first).to_contain_text("bot")
    assert axe(page) == []
    members.get_by_role("button", name="Write as Ben").click()
    expect(page.locator("#members")).to_be_hidden()
    say(page, "Ben's words")
    expect(own(page).last).to_contain_text("Ben's words")
    page.locator("#as").select_option("Ada")
    theirs = page.locator("#messages .message:not(.mine)", has_text="Ben's words")
    expect(theirs.locator(".sender")).to_have_text("Ben")
    assert axe(page) == []


# -- bubbles --


def test_a_reaction_moves_nothing(page: Page, playground: Playground) -> None:
    sent = [other_bot(playground, "sendMessage", chat_id=BEN, text=text) for text in ("above", "below")]
    open_chat(page, "Ben")
    message = page.locator(f'#messages li[data-id="{sent[0]["message_id"]}"]')
    expect(message).to_be_visible()
    next_one = page.locator(f'#messages li[data-id="{sent[1]["message_id"]}"]')
    before = [box(one.locator(".bubble")) for one in (message, next_one)]
    place = {"chat_id": BEN, "user_id": BEN, "message_id": sent[0]["message_id"]}
    playground.post("playground/reactions", **place, emoji="👍")
    expect(message.locator(".bubble .foot .reaction")).to_have_text("👍")
    after = [box(one.locator(".bubble")) for one in (message, next_one)]
    assert [(one["y"], one["height"]) for one in after] == [(one["y"], one["height"]) for one in before]


def test_days_are_separated(page: Page) -> None:
    now = int(time.time())
    dates = [now - 400 * DAY_SECONDS, now - DAY_SECONDS, now, now]
    messages = [{**QUESTION, "message_id": n, "date": date} for n, date in enumerate(dates, start=1)]
    with history(page, EMMA, messages):
        open_chat(page, "Emma")
        days = page.locator("#messages .day")
        expect(days).to_have_count(3)
        expect(days.nth(0)).to_contain_text("20")  # the year, as it is not this one
        expect(days.nth(1)).to_have_text("Yesterday")
        expect(days.nth(2)).to_have_text("Today")
        kinds = [str(one.get_attribute("class")).split()[0] for one in page.locator("#messages > li").all()]
    assert kinds == ["day", "message", "day", "message", "day", "message", "message"]


def test_an_album_is_one_bubble_also_where_a_page_of_messages_cuts_it(
    page: Page, playground: Playground
) -> None:
    open_chat(page, "Weekend trip")
    send_files(page, photo("1.png"), photo("2.png"), photo("3.png"), caption="three")
    album = page.locator("#messages .message", has_text="three")
    expect(album.locator(".bubble .album img")).to_have_count(3)
    for number in range(58):  # a page is 60: one picture is on the page before
        other_bot(playground, "sendMessage", chat_id=GROUP, text=f"text {number}")
    page.reload()
    expect(page.locator("#messages li[data-id]").last).to_contain_text("text 57")
    page.locator("#scroller").evaluate("element => { element.scrollTop = 0; }")
    expect(album.locator(".bubble .album img")).to_have_count(3)
    expect(page.locator("#messages img")).to_have_count(3)
    expect(page.locator("#messages .message").filter(has=page.locator("img"))).to_have_count(1)


def test_an_album_shrinks_when_one_of_its_pictures_is_deleted(page: Page, playground: Playground) -> None:
    open_chat(page, "Chioma")
    send_files(page, photo("1.png"), photo("2.png"), photo("3.png"))
    pictures = own(page).last.locator("img")
    expect(pictures).to_have_count(3)
    first = own(page).last.get_attribute("data-id")
    other_bot(playground, "deleteMessage", chat_id=CHIOMA, message_id=int(str(first)))
    expect(pictures).to_have_count(2)


def test_an_edit_is_marked_and_the_bots_nod_is_seen(page: Page) -> None:
    open_chat(page, "Ada")
    say(page, "sleep 600 for the edit")
    expect(own(page).last.locator(".state")).to_have_text("running")
    say(page, "a typpo")
    expect(own(page).last.locator(".state")).to_have_text("waits")
    message = own(page).last
    message.hover()
    message.get_by_role("button", name="Edit").click()
    expect(page.locator("#text")).to_have_value("a typpo")
    say(page, "a typo")
    expect(message.locator(".body")).to_have_text("a typo")
    expect(message.locator(".foot")).to_contain_text("edited")
    expect(message.locator(".reaction")).to_have_text("🫡")
    say(page, "/stop")
    expect(own(page).filter(has_text="for the edit").locator(".state")).to_have_text("stopped")


@pytest.mark.parametrize("page", [{}, {"viewport": PHONE}], indirect=True, ids=["desktop", "phone"])
def test_what_can_be_done_with_a_message_never_covers_words(page: Page, playground: Playground) -> None:
    playground.post("playground/messages", chat_id=GROUP, user_id=BEN, text="short")
    playground.post("playground/messages", chat_id=GROUP, user_id=ADA, text="a long text " * 30)
    playground.post("playground/messages", chat_id=GROUP, user_id=BEN, text="a long text " * 30)
    playground.post("playground/messages", chat_id=GROUP, user_id=ADA, text="s")
    become(page, "Ada")
    open_chat(page, "Weekend trip")
    messages = page.locator("#messages .message")
    expect(messages.last).to_be_in_viewport()
    shown = messages.all()[-4:]
    for one in shown:
        one.locator(".bubble").hover()
        expect(one.locator(".tools")).to_have_css("opacity", "1")
        tools = box(one.locator(".tools"))
        assert not any(overlap(tools, box(other.locator(".bubble"))) for other in shown)
        assert tools["x"] >= 0
        assert tools["x"] + tools["width"] <= page.evaluate("innerWidth")


def test_every_message_and_what_can_be_done_with_it_is_reached_by_keyboard(
    page: Page, playground: Playground
) -> None:
    for number in range(4):
        other_bot(playground, "sendMessage", chat_id=BEN, text=f"reach {number}")
    open_chat(page, "Ben")
    messages = page.locator("#messages .message")
    expect(messages.last).to_contain_text("reach 3")
    page.locator("#text").focus()
    while not page.evaluate("document.activeElement.closest('.message')"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Home")
    for message in messages.all():
        expect(message).to_be_focused()
        tab_to(page, message.get_by_role("button", name="Reply"))
        page.keyboard.press("ArrowDown")
    tab_to(page, messages.last.get_by_role("button", name="React", exact=True))
    expect(messages.last.get_by_role("button", name="React", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(messages.last.get_by_role("button", name="React with 👍")).to_be_focused()
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(messages.last.locator(".picker")).to_have_count(0)
    expect(messages.last.get_by_role("button", name="React", exact=True)).to_be_focused()


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus; a reaction may come before."""
    for _ in range(3):
        if not wanted.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Tab")
    expect(wanted).to_be_focused()


@pytest.mark.parametrize("page", [{"viewport": PHONE}], indirect=True)
def test_rows_of_five_buttons_fit_a_phone(page: Page, playground: Playground) -> None:
    rows = [["1 drop", "1 next", "1 now"], ["Drop all", "Run what is on hold"], ["1", "2", "3", "4", "5"]]
    keyboard = [[{"text": text, "callback_data": text} for text in row] for row in rows]
    text = {"chat_id": CHIOMA, "text": "2 waiting"}
    other_bot(playground, "sendMessage", **text, reply_markup={"inline_keyboard": keyboard})
    open_chat(page, "Chioma")
    message = page.locator("#messages .message", has_text="2 waiting").last
    bubble = box(message.locator(".bubble"))
    for row in message.locator(".keyboard-row").all():
        keys = [box(key) for key in row.locator(".key").all()]
        assert len({key["y"] for key in keys}) == 1
        assert keys[0]["x"] == pytest.approx(bubble["x"], abs=1)
        assert keys[-1]["x"] + keys[-1]["width"] == pytest.approx(bubble["x"] + bubble["width"], abs=1)
        for key in row.locator(".key").all():
            assert key.evaluate("element => element.scrollWidth <= element.clientWidth"), "its words are cut"


# -- writing --


def test_files_are_shown_with_a_caption_before_they_go(page: Page, playground: Playground) -> None:
    open_chat(page, "Chioma")
    before = own_in_all(page, playground)
    page.locator("#text").fill("what I typed")
    page.locator("#files").set_input_files([photo("a.png"), photo("b.png"), photo("c.png")])
    dialog = page.locator("#sending")
    expect(dialog.locator(".chosen img")).to_have_count(3)
    expect(dialog.get_by_label("Caption")).to_have_value("what I typed")
    assert axe(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(own(page)).to_have_count(before)
    expect(page.locator("#text")).to_have_value("what I typed")
    page.locator("#files").set_input_files([photo("a.png"), photo("b.png"), photo("c.png")])
    dialog.get_by_role("button", name="Leave out b.png").click()
    expect(dialog.locator(".chosen")).to_have_count(2)
    dialog.get_by_label("Caption").press("Enter")
    expect(own(page).last.locator("img")).to_have_count(2)
    expect(own(page).last.locator(".body")).to_have_text("what I typed")
    expect(page.locator("#text")).to_have_value("")


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_what_is_pasted_or_dropped_is_shown_first(page: Page, playground: Playground, way: str) -> None:
    open_chat(page, "Chioma")
    before = own_in_all(page, playground)
    page.locator("#text").evaluate(
        """(element, way) => {
            const data = new DataTransfer();
            data.items.add(new File(["words"], "notes.txt", {type: "text/plain"}));
            const about = {bubbles: true, cancelable: true};
            if (way === "drop") element.dispatchEvent(new DragEvent("drop", {...about, dataTransfer: data}));
            else element.dispatchEvent(new ClipboardEvent("paste", {...about, clipboardData: data}));
        }""",
        way,
    )
    expect(page.locator("#sending .chosen")).to_contain_text("notes.txt")
    expect(own(page)).to_have_count(before)
    page.locator("#sending").get_by_role("button", name="Send").click()
    expect(own(page).last.locator(".file")).to_contain_text("notes.txt")


def test_a_refused_file_stays_in_the_preview(browser: Browser, playground: Playground) -> None:
    page = browser.new_page()  # one in whose console a refusal is no failure
    page.goto(playground.url)
    open_chat(page, "Chioma")
    page.locator("#files").set_input_files({**photo("broken.png"), "buffer": b"no picture"})
    page.locator("#sending").get_by_role("button", name="Send").click()
    expect(page.locator("#toast")).to_contain_text("IMAGE_PROCESS_FAILED")
    expect(page.locator("#sending .chosen")).to_contain_text("broken.png")
    page.context.close()


def test_a_long_text_goes_as_several_messages_and_no_character_is_lost(
    page: Page, playground: Playground
) -> None:
    open_chat(page, "Ben")
    # Behind the x there is nowhere to split but between two of them, and each is two units.
    text = "🎉word " * 1_500 + "x" + "🎉" * 3_000
    before = len(playground.get(f"playground/chats/{BEN}/messages"))
    page.locator("#text").fill(text)
    expect(page.locator("#length")).to_contain_text("goes as 5 messages")
    page.locator("#text").press("Enter")
    expect(page.locator("#length")).to_be_empty()
    sent = until(lambda: own_texts(playground, BEN, before, 5))
    assert "".join(sent).replace(" ", "") == text.replace(" ", "")
    assert all(len(one.encode("utf-16-le")) // 2 <= TEXT_UNITS_MAX for one in sent)


def own_in_all(page: Page, playground: Playground) -> int:
    """Count what a person has said before, once all of it is shown; an album is one."""
    chat_id = 1003
    said = [
        one for one in playground.get(f"playground/chats/{chat_id}/messages") if one["from"]["id"] == chat_id
    ]
    number = len({one.get("media_group_id", one["message_id"]) for one in said})
    expect(own(page)).to_have_count(number)
    return number


def own_texts(playground: Playground, chat_id: int, after: int, count: int) -> list[str]:
    """Return what a person has said since, once there are so many messages of theirs."""
    messages = playground.get(f"playground/chats/{chat_id}/messages")[after:]
    texts = [one["text"] for one in messages if one["from"]["id"] == chat_id]
    return texts if len(texts) == count else []


def test_an_empty_chat_suggests_what_to_try_until_somebody_writes(page: Page, playground: Playground) -> None:
    playground.post("playground/chats", chat_id=1_900, title="Nora")
    expect(page.locator("#people")).to_contain_text("Nora")
    become(page, "Nora")
    suggestions = page.locator("#suggestions")
    expect(suggestions.get_by_role("button")).not_to_have_count(0)
    assert axe(page) == []
    suggestions.get_by_role("button", name="hello", exact=True).click()
    expect(own(page).locator(".body")).to_have_text("hello")
    expect(suggestions).to_be_hidden()
    expect(bubbles(page)).to_have_text(["hello"])


def test_in_an_empty_group_the_bot_is_named(page: Page, playground: Playground) -> None:
    playground.post("playground/chats", chat_id=-2_900, title="Empty group")
    open_chat(page, "Empty group")
    page.locator("#suggestions").get_by_role("button", name="hello").click()
    expect(bubbles(page)).to_have_text(["hello"])
