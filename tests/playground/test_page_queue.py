"""The queue's card on the page: it lists what waits, its buttons act, and it goes when nothing waits."""

import pytest
from playwright.sync_api import Page, expect

from tests.playground.browsing import PHONE, axe, bubbles, open_chat, picture, say

STATES = "#messages .mine .state"


@pytest.mark.parametrize("page", [{}, {"viewport": PHONE}], indirect=True, ids=["desktop", "phone"])
def test_what_waits_is_a_card_with_buttons(page: Page) -> None:
    open_chat(page, "Ben" if page.viewport_size == PHONE else "Ada")  # the playground is the same
    for text in (
        "sleep 600 plan the trip",
        "book the train",
        "and a table for two",
        "what will the weather be?",
    ):
        say(page, text)
    card = bubbles(page).filter(has_text="waiting:")
    expect(card).to_have_text(
        "3 waiting:\n1. “book the train”\n2. “and a table for two”\n3. “what will the weather be?”"
    )
    expect(page.locator("#messages .reactions").filter(has_text="👀")).to_have_count(3)
    page.mouse.move(0, 0)
    if page.viewport_size != PHONE:
        picture(page.locator("#conversation"), "card")
    assert axe(page) == []
    page.get_by_role("button", name="3 next").click()
    expect(card).to_have_text(
        "3 waiting:\n1. “what will the weather be?”\n2. “book the train”\n3. “and a table for two”"
    )
    page.get_by_role("button", name="3 drop").click()
    page.get_by_role("button", name="2 now").click()
    expect(page.locator(STATES)).to_have_text(["stopped", "done", "dropped", "done"])
    expect(card).to_have_count(0)
    expect(bubbles(page)).to_have_text(["book the train", "what will the weather be?"])
