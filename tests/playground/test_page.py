"""The page in a real browser: what a person sees, with the real bot behind it."""

import re
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from tests.playground.browsing import (
    BOT_NAME,
    CHIOMA,
    EMMA,
    LONG,
    LONG_COUNT,
    OPTIONS,
    OTHER_BOT,
    PHONE,
    QUESTION,
    axe,
    bubbles,
    heard,
    open_chat,
    other_bot,
    picture,
    say,
    send_files,
)
from tests.playground.process import SLEEPER, Json, Playground, until
from tests.playground.test_methods import RICH
from tests.playground.test_people import PNG


def test_an_answer_streams_into_one_bubble(page: Page) -> None:
    open_chat(page, "Ada")
    text = "streaming " + " ".join(f"word{number}" for number in range(60))
    say(page, text)
    answer = page.locator(f"#messages .mine:has-text('{text}') ~ .message:not(.mine)")
    answer.evaluate("element => { element.marked = true; }")
    expect(answer.locator(".body")).to_have_text(text)
    assert answer.evaluate("element => element.marked"), "the bubble was built anew while it streamed"
    expect(page.locator("#messages .mine .state").last).to_have_text("done")


def test_stop_by_keyboard_alone_ends_the_turn(page: Page) -> None:
    open_chat(page, "Chioma")
    say(page, "sleep 600 too long")
    expect(page.locator("#messages .mine .state").last).to_have_text("running")
    page.locator("#text").press_sequentially("/st")
    expect(page.locator("#commands li")).not_to_have_count(0)
    names = page.locator("#commands li b").all_text_contents()
    for _ in range(names.index("/stop")):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .mine", has_text="sleep 600").locator(".state")).to_have_text("stopped")


@pytest.mark.parametrize("page", [{"viewport": {"width": 1280, "height": 940}}], indirect=True)
def test_kill_in_the_middle_of_a_turn_loses_nothing(page: Page) -> None:
    open_chat(page, "Ben")
    asked = ["sleep 4 the first", "the second", "the third"]
    say(page, asked[0])
    expect(page.locator("#messages .mine .state")).to_have_text("running")
    for text in asked[1:]:
        say(page, text)
    expect(page.locator("#messages .mine .state")).to_have_text(["running", "waits", "waits"])
    expect(page.locator("#guard")).to_contain_text("This chat is working on row")
    page.locator("#kill").click()
    expect(page.locator("#life-detail")).to_contain_text("ended by kill -9")
    expect(page.locator("#messages .mine .state")).to_have_text(["interrupted", "waits", "waits"])
    say(page, "the fourth, while it was dead")
    expect(page.locator(".typing")).to_have_count(0)  # as at Telegram, that outlives the bot for 5 s
    picture(page, "kill")
    page.locator("#start").click()
    answered = [*asked, "the fourth, while it was dead"]
    expect(bubbles(page)).to_have_text(answered)
    expect(page.locator("#messages .mine .state")).to_have_text(["done · try 2", "done", "done", "done"])
    expect(page.locator("#counts div", has_text="waits").locator("dd")).to_have_text("0")
    expect(page.locator("#messages .mine .reactions")).to_have_text(["👌"] * 4)
    picture(page, "recovery")


def test_a_payment_of_the_demo_that_a_kill_interrupted_is_asked_about(
    browser: Browser, tmp_path: Path
) -> None:
    playground = Playground(tmp_path)
    page = browser.new_context(**OPTIONS).new_page()
    page.goto(playground.url)
    try:
        say(page, "remember that Ann is my sister")
        expect(bubbles(page).last).to_contain_text("Noted.")
        say(page, "pay 20 € to Ann")
        page.get_by_role("button", name="Allow", exact=True).click()
        expect(bubbles(page).last).to_contain_text("Paying 20 € to Ann")
        page.locator("#kill").click()
        expect(page.locator("#life-detail")).to_contain_text("ended by kill -9")
        page.locator("#start").click()
        skip = page.get_by_role("button", name="Skip", exact=True)
        expect(skip).to_be_visible()
        expect(page.locator("#messages .mine .state")).to_have_text(["done", "asks · try 3"])
        expect(page.locator(".typing")).to_have_count(0)
        assert axe(page) == []
        picture(page.locator("#conversation"), "demo")
        skip.click()
        expect(bubbles(page).last).to_contain_text("I leave it as it is")
        expect(page.locator("#messages .mine .state").last).to_have_text("done · try 4")
        expect(bubbles(page).filter(has_text="It may have run")).to_contain_text("→ Skip")
        expect(bubbles(page).filter(has_text="Paid 20 €")).to_have_count(0)
    finally:
        page.context.close()
        playground.end()


def test_another_agent_is_chosen_in_the_page(page: Page, playground: Playground) -> None:
    choice = page.get_by_label("Agent")
    expect(choice).to_have_value(SLEEPER)
    assert choice.locator("option").all_text_contents()[1:] == ["echo", SLEEPER]
    before = playground.bot_pid()
    try:
        choice.select_option("echo")
        expect(page.locator("#life")).to_contain_text(re.compile(f"running · pid (?!{before}$)"))
        expect(page.locator("#agent-hint")).to_contain_text("sleep 30")
        page.reload()
        expect(choice).to_have_value("echo")
    finally:
        playground.post(f"playground/agents/{SLEEPER}")
    expect(choice).to_have_value(SLEEPER)


def test_a_bot_that_cannot_start_says_why(browser: Browser, tmp_path: Path) -> None:
    playground = Playground(tmp_path, "--agent", "no_such_module:agent")
    try:
        page = browser.new_page()
        page.goto(playground.url)
        expect(page.locator("#life-detail")).to_contain_text("ended by itself, status 2")
        expect(page.locator("#lines")).to_be_visible()
        expect(page.locator("#lines")).to_contain_text("No module named 'no_such_module'")
        page.get_by_label("Agent").select_option("echo")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("#life")).to_contain_text("running")
        page.context.close()
    finally:
        playground.end()


def test_topics_are_conversations_of_their_own(page: Page) -> None:
    open_chat(page, "# Releases")
    say(page, "@playground1_bot when is the next one")
    expect(bubbles(page)).to_have_text(["when is the next one"])
    open_chat(page, "# Support")
    expect(page.locator("#messages .message")).to_have_count(0)
    expect(page.locator("#messages .service")).to_have_text("Topic “Support”")


def test_in_a_group_people_take_turns(page: Page) -> None:
    open_chat(page, "Weekend trip")
    page.locator("#as").select_option("Ben")
    say(page, "I book the train")
    expect(page.locator("#messages .mine .body")).to_have_text(["I book the train"])
    page.locator("#as").select_option("Ada")
    expect(page.locator("#messages .message:not(.mine) .sender").first).to_have_text("Ben")


FORMATTED = """Sorting in Python

Use sorted() for a new list, and list.sort() to sort in place. Both are stable.
by_length = sorted(words, key=len)
by_length.reverse()
Sorts are guaranteed to be stable.
More in the Sorting HOW TO. And the answer to the riddle: a towel. 🎉"""
ENTITIES = [
    ("bold", "Sorting in Python", {}),
    ("code", "sorted()", {}),
    ("code", "list.sort()", {}),
    ("italic", "stable", {}),
    ("pre", "by_length = sorted(words, key=len)\nby_length.reverse()", {"language": "python"}),
    ("blockquote", "Sorts are guaranteed to be stable.", {}),
    ("text_link", "Sorting HOW TO", {"url": "https://docs.python.org/3/howto/sorting.html"}),
    ("spoiler", "a towel", {}),
]


def entities() -> list[dict[str, Json]]:
    def units(text: str) -> int:
        return len(text.encode("utf-16-le")) // 2

    return [
        {"type": kind, "offset": units(FORMATTED[: FORMATTED.index(part)]), "length": units(part), **more}
        for kind, part, more in ENTITIES
    ]


def test_entities_become_formatting(page: Page, playground: Playground) -> None:
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text=FORMATTED, entities=entities())
    open_chat(page, "Chioma")
    body = page.locator("#messages .body", has_text="Sorting").last
    expect(body.locator("strong")).to_have_text("Sorting in Python")
    expect(body.locator("code")).to_have_text(["sorted()", "list.sort()", re.compile("by_length = ")])
    expect(body.locator("pre[data-language=python]")).to_contain_text("by_length.reverse()")
    expect(body.locator("blockquote")).to_have_text("Sorts are guaranteed to be stable.")
    expect(body.locator("em")).to_have_text("stable")
    expect(body.get_by_role("link", name="Sorting HOW TO")).to_have_attribute("rel", "noopener noreferrer")
    body.get_by_role("button", name="Hidden text").press("Enter")
    expect(body.locator(".spoiler.shown")).to_have_text("a towel")


def test_rich_messages_are_shown_as_such(page: Page, playground: Playground) -> None:
    other_bot(playground, "sendRichMessage", chat_id=CHIOMA, rich_message={"html": RICH})
    open_chat(page, "Chioma")
    body = page.locator("#messages .rich .body").last
    expect(body.locator("li li")).to_have_text("two")
    expect(body.get_by_role("columnheader")).to_have_text("a")
    expect(body.locator("pre")).to_have_text(["print(1)", "x^2"])
    assert body.locator("blockquote").inner_text() == "quote\nof two lines"


def test_what_a_bot_sends_is_never_html(page: Page, playground: Playground) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    link = {"type": "text_link", "offset": 0, "length": 4, "url": "javascript:alert(1)"}
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text=hostile, entities=[link])
    open_chat(page, "Chioma")
    last = page.locator("#messages .body").last
    expect(last).to_have_text(hostile)
    assert last.locator("a, img, script").count() == 0


def test_a_button_press_reaches_the_bot_and_its_answer_is_shown(page: Page, playground: Playground) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Again", "callback_data": "again"}]]}
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text="a button", reply_markup=keyboard)
    open_chat(page, "Chioma")
    page.get_by_role("button", name="Again").last.click()
    query = heard(playground, "callback_query")
    assert query["data"] == "again"
    other_bot(playground, "answerCallbackQuery", callback_query_id=query["id"], text="Once more!")
    expect(page.locator("#toast")).to_have_text("Once more!")


def test_a_draft_shows_and_can_be_stopped(page: Page, playground: Playground) -> None:
    open_chat(page, "Chioma")
    other_bot(playground, "sendMessageDraft", chat_id=CHIOMA, draft_id=7, text="still thin", can_stop=True)
    draft = page.locator(".draft")
    expect(draft.locator(".body")).to_have_text("still thin")
    other_bot(
        playground, "sendMessageDraft", chat_id=CHIOMA, draft_id=7, text="still thinking", can_stop=True
    )
    expect(draft.locator(".body")).to_have_text("still thinking")
    playground.post("bot3:playground/sendMessage", chat_id=CHIOMA, text="another bot's words")
    expect(bubbles(page).last).to_have_text("another bot's words")
    draft.get_by_role("button", name="Stop").click()
    assert heard(playground, "stopped_message_generation")["draft_id"] == 7
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text="thought")
    expect(draft).to_be_hidden()


def test_what_comes_while_a_chat_opens_is_in_its_place(page: Page, playground: Playground) -> None:
    held: list[Route] = []
    wanted = f"**/chats/{EMMA}/messages*"
    page.route(wanted, lambda route: held.append(route))  # noqa: PLW0108  a builtin can't be a handler

    def asked() -> bool:
        page.wait_for_timeout(10)  # the handler runs in a call to the page only
        return bool(held)

    open_chat(page, "Emma")
    until(asked)
    other_bot(playground, "sendMessage", chat_id=EMMA, text="came meanwhile")
    other_bot(playground, "sendMessageDraft", chat_id=EMMA, draft_id=8, text="being written")
    held[0].fulfill(json=[{**QUESTION, "reactions": []}])
    expect(page.locator("#messages .body")).to_have_text([QUESTION["text"], "came meanwhile"])
    expect(page.locator(".draft")).to_be_visible()
    message = playground.get(f"playground/chats/{EMMA}/messages")[-1]
    other_bot(playground, "deleteMessage", chat_id=EMMA, message_id=message["message_id"])
    expect(page.locator("#messages .body")).to_have_text([QUESTION["text"]])


def test_the_list_of_chats_shows_what_a_phone_showed_last(page: Page, playground: Playground) -> None:
    open_chat(page, "Chioma")
    listed = page.locator("#chat-list .chat").filter(has=page.locator(".name", has_text=BOT_NAME))
    sent = other_bot(playground, "sendMessage", chat_id=CHIOMA, text="Sorted. Here is how")
    expect(listed.locator(".notification")).to_contain_text("Sorted. Here is how")
    place = {"chat_id": CHIOMA, "message_id": sent["message_id"]}
    other_bot(playground, "editMessageText", **place, text="Sorted in another way")
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text="ssh", disable_notification=True)
    expect(page.locator("#messages .message", has_text="ssh").locator(".meta")).to_contain_text("🔕")
    expect(page.locator("#messages .message", has_text="another way").locator(".meta")).not_to_contain_text(
        "🔕"
    )
    for _ in range(2):
        expect(listed.locator(".preview")).to_have_text("ssh")
        expect(listed.locator(".notification")).to_contain_text("Sorted. Here is how")
        page.reload()


def test_typing_is_shown_until_the_message_comes(page: Page, playground: Playground) -> None:
    open_chat(page, "Chioma")
    typing = page.locator(".typing")
    # It is shown for 5 s, so a bot says it again and again.
    until(lambda: other_bot(playground, "sendChatAction", chat_id=CHIOMA, action="typing") and typing.count())
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text="typed")
    expect(typing).to_have_count(0)


def test_reply_edit_and_reactions_by_keyboard(page: Page, playground: Playground) -> None:
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text="react to me")
    open_chat(page, "Chioma")
    target = page.locator("#messages .message:not(.mine)", has_text="react to me").last
    target.focus()
    page.keyboard.press("Tab")  # its tools come next
    expect(target.get_by_role("button", name="Reply")).to_be_focused()
    page.keyboard.press("Enter")
    say(page, "a replx")
    own = page.locator("#messages .mine", has_text="a repl").last
    expect(own.locator(".reply")).to_contain_text("react to me")
    page.locator("#text").press("ArrowUp")
    expect(page.locator("#about")).to_contain_text("Edit")
    say(page, "a reply")
    expect(own.locator(".body")).to_have_text("a reply")
    expect(own.locator(".reactions")).to_have_text("👌")
    target.hover()
    target.get_by_role("button", name="React", exact=True).click()
    target.get_by_role("button", name="React with 🎉").click()
    expect(target.locator(".reaction")).to_have_text("🎉")


def test_files_go_both_ways(page: Page, playground: Playground) -> None:
    open_chat(page, "Chioma")
    send_files(page, {"name": "dot.png", "mimeType": "image/png", "buffer": PNG})
    expect(page.locator("#messages .mine img.picture")).to_have_count(1)
    url = f"{playground.url}/{OTHER_BOT}/sendDocument"
    report: FilePayload = {"name": "report.md", "mimeType": "text/markdown", "buffer": b"# Report"}
    assert page.request.post(url, multipart={"chat_id": str(CHIOMA), "document": report}).ok
    link = page.locator("#messages a.file").last
    expect(link).to_contain_text("report.md")
    with page.expect_download() as download:
        link.click()
    assert Path(download.value.path()).read_text() == "# Report"


@pytest.mark.parametrize("page", [{"viewport": PHONE, "has_touch": True}], indirect=True)
def test_on_a_phone_one_pane_at_a_time(page: Page, playground: Playground) -> None:
    other_bot(playground, "sendMessage", chat_id=CHIOMA, text="word " * 100)
    expect(page.locator("#conversation")).to_be_hidden()
    open_chat(page, "Chioma")
    expect(page.locator("#chats")).to_be_hidden()
    expect(bubbles(page)).not_to_have_count(0)
    for part in ("html", "#scroller"):
        assert page.locator(part).evaluate("element => element.scrollWidth <= innerWidth")
    page.get_by_role("button", name=re.compile("The bot: ")).click()
    expect(page.locator("#kill")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#kill")).to_be_hidden()
    page.get_by_role("button", name="Back to the chats").click()
    expect(page.locator("#chats")).to_be_visible()


def test_ten_thousand_messages_are_a_page_at_a_time(page: Page, playground: Playground) -> None:
    open_chat(page, "Long")
    messages = page.locator("#messages > li[data-id]")
    expect(messages.last).to_contain_text(f"message {LONG_COUNT - 1}")
    assert messages.count() <= 100
    before = messages.first.get_attribute("data-id")
    page.locator("#scroller").evaluate("element => { element.scrollTop = 0; }")
    expect(messages.first).not_to_have_attribute("data-id", str(before))
    anchor = page.locator(f'#messages > li[data-id="{before}"]')
    expect(anchor).to_be_in_viewport()  # what was read stays in view while older messages come above it
    page.get_by_role("button", name="newest message").click()
    for number in range(300):
        other_bot(playground, "sendMessage", chat_id=LONG, text=f"new {number}")
    expect(messages.last).to_contain_text("new 299")
    expect(messages.last).to_be_in_viewport()
    assert messages.count() <= 260


def test_the_network_switch_sets_faults(page: Page, playground: Playground) -> None:
    def kinds() -> set[str]:
        return set(playground.get("playground/state")["faults"])

    def has_fault(kind: str) -> bool:
        return kind in kinds()

    try:
        for label, kind in (("Refusals", "429"), ("Slow", "delay"), ("Cuts", "cut_after")):
            page.get_by_label(label).check()
            until(partial(has_fault, kind))
        page.reload()
        expect(page.get_by_label("Cuts")).to_be_checked()
    finally:
        page.get_by_label("Fine").check()
        until(lambda: not kinds())


def test_an_answer_through_a_network_that_cuts_is_shown_once(page: Page, playground: Playground) -> None:
    open_chat(page, "Ada")
    cuts = [
        {"kind": "cut_after", "method": "editMessageText"},
        {"kind": "cut_before", "method": "sendMessage"},
    ]
    playground.send("playground/faults", [{**rule, "times": 1} for rule in cuts])
    say(page, "through a bad network")
    own = page.locator("#messages .mine", has_text="through a bad network")
    expect(own.locator(".state")).to_have_text("done")
    until(lambda: not playground.get("playground/state")["faults"])
    expect(bubbles(page).filter(has_text="through a bad network")).to_have_count(1)


def test_a_reload_shows_the_same_chat(page: Page) -> None:
    open_chat(page, "Chioma")
    say(page, "still here")
    # Sent, and answered: a reload may cut a request, and another test wants no word from the bot.
    expect(bubbles(page).last).to_have_text("still here")
    page.reload()
    expect(page.locator("#title")).to_have_text(BOT_NAME)
    expect(page.locator("#as")).to_have_value(str(CHIOMA))
    expect(page.locator("#messages .mine", has_text="still here")).to_have_count(1)


@pytest.mark.parametrize(
    "page",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": PHONE}],
    indirect=True,
    ids=["light", "dark", "phone"],
)
def test_pictures_of_formatting(page: Page, playground: Playground, request: pytest.FixtureRequest) -> None:
    if not playground.answers(EMMA):
        keyboard = {"inline_keyboard": [[{"text": "Shorter", "callback_data": "shorter"}]]}
        answer = {"text": FORMATTED, "entities": entities(), "reply_markup": keyboard}
        other_bot(playground, "sendMessage", chat_id=EMMA, reply_parameters={"message_id": 1}, **answer)
    open_chat(page, "Emma")
    expect(bubbles(page)).to_contain_text(["Sorting"])
    page.mouse.move(0, 0)
    picture(page, f"chat-{request.node.callspec.id}")


@pytest.mark.parametrize(
    "page",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"viewport": PHONE},
        {"viewport": PHONE, "color_scheme": "dark"},
    ],
    indirect=True,
    ids=["light", "dark", "phone", "phone-dark"],
)
def test_axe_finds_nothing(page: Page, playground: Playground) -> None:
    assert axe(page) == []
    keyboard = {"inline_keyboard": [[{"text": "Again", "callback_data": "again"}]]}
    place = {"chat_id": CHIOMA, "text": FORMATTED, "entities": entities(), "reply_markup": keyboard}
    sent = other_bot(playground, "sendMessage", **place)
    reaction = [{"type": "emoji", "emoji": "👍"}]
    other_bot(
        playground, "setMessageReaction", chat_id=CHIOMA, message_id=sent["message_id"], reaction=reaction
    )
    open_chat(page, "Chioma")
    expect(bubbles(page).last).to_contain_text("Sorting")
    assert axe(page) == []
    page.locator("#text").fill("/")
    expect(page.locator("#commands").get_by_role("option").first).to_be_visible()
    assert axe(page) == []
    page.locator("#text").press("Escape")
    if page.locator("#toggle-panel").is_visible():
        page.locator("#toggle-panel").click()
        assert axe(page) == []
