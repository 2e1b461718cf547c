"""Strangers: what they hear, how they ask, how somebody becomes the owner, and how little of it is kept."""

import hmac
import io
import json
import os
import pty

import pytest

from tests.house import raw_message
from tests.store.instance import Instance, StartInstance
from tgbot.intake import pairing
from tgbot.model import BotId, UserId
from tgbot.store import allowed, schema, strangers
from tgbot.store.strangers import ASKING_MAX, STRANGERS_A_DAY, STRANGERS_A_MINUTE, Code

OWNER, STRANGER = 7, 8
CODE = "abcd-efgh-jkmn"
OWNS = "This bot is yours now."


@pytest.fixture
def private(start_instance: StartInstance) -> Instance:
    """A bot whose settings name its owner."""
    return start_instance(allowed_users=frozenset([UserId(OWNER)]))


@pytest.fixture
def unowned(start_instance: StartInstance) -> Instance:
    """A bot that nobody may talk to yet, and that has shown a code."""
    instance = start_instance(allowed_users=frozenset())
    instance.do(strangers.open_pairing, instance.owner.bot_id, pairing.stored(CODE))
    return instance


def last_answer(instance: Instance, chat: int) -> str:
    return instance.answers(chat)[-1]


def card_buttons(instance: Instance) -> dict[str, str]:
    """Map the labels of the newest card to their data."""
    [(found,)] = instance.rows(
        "SELECT buttons FROM outbox WHERE buttons IS NOT NULL ORDER BY id DESC LIMIT 1"
    )
    return {b["text"]: b["callback_data"] for row in json.loads(found)["inline_keyboard"] for b in row}


# What a stranger hears


def test_a_stranger_hears_once_who_they_are_and_how_to_ask(private: Instance) -> None:
    private.say("let me in", chat=STRANGER)
    private.say("please", "/help", chat=STRANGER)
    [said] = private.answers(STRANGER)
    assert "your user id is 8" in said
    assert "/pair" in said


def test_a_strangers_words_are_nowhere_in_the_database(private: Instance, unowned: Instance) -> None:
    for instance in (private, unowned):
        instance.say("my secret", "/pair secret", "/start secret", "secr-secr-secr", chat=STRANGER)
    kept = [str(row) for name in schema.metadata.tables for row in private.rows(f"SELECT * FROM {name}")]
    assert kept
    assert not [row for row in kept if "secr" in row]


def test_what_a_stranger_sends_that_cannot_be_read_is_not_stored(private: Instance) -> None:
    unreadable = {"message_id": 1, "chat": {"id": STRANGER}, "from": {"id": "eight"}, "text": "x"}
    private.receive({"update_id": 5, "message": unreadable})
    assert private.rows("SELECT 1 FROM pending") == []


def test_a_stranger_in_a_group_hears_nothing_and_leaves_nothing(private: Instance) -> None:
    private.say("hello", "/pair", "/help", chat=-5)
    assert private.rows("SELECT 1 FROM pending UNION ALL SELECT 1 FROM stranger") == []


def test_no_more_than_so_many_strangers_a_day_hear_anything(private: Instance) -> None:
    for first in range(100, 100 + STRANGERS_A_DAY, STRANGERS_A_MINUTE):
        for user in range(first, first + STRANGERS_A_MINUTE):
            private.say("hello", chat=user)
        private.rows("UPDATE stranger SET replied_at = replied_at - 61 RETURNING 1")
    assert private.say("hello", chat=99).replied == set()
    private.rows("UPDATE stranger SET replied_at = replied_at - 86400 RETURNING 1")
    assert private.say("hello", chat=99).replied == {99}


# Asking


def test_pair_gives_the_owner_a_card_and_the_stranger_one_line(private: Instance) -> None:
    received = private.say(
        "/pair", chat=STRANGER, **{"from": {"id": 8, "first_name": "Ben", "username": "b"}}
    )
    assert received.replied == {OWNER, STRANGER}
    assert private.answers(OWNER) == ["Ben @b (8) asks to talk to me."]
    assert list(card_buttons(private)) == ["Allow", "Deny"]
    assert "asked the owner" in last_answer(private, STRANGER)


def test_who_was_allowed_by_the_card_hears_so_and_may_talk(private: Instance) -> None:
    private.say("hello", "/pair", chat=STRANGER)
    received = private.press(card_buttons(private)["Allow"])
    assert received.replied == {OWNER, STRANGER}
    assert last_answer(private, OWNER) == "Ann (8) may talk to me now."
    assert last_answer(private, STRANGER) == "You may talk to me now."
    assert private.start("hello", chat=STRANGER).allowed


def test_who_was_denied_by_the_card_may_not_talk_nor_ask_again(private: Instance) -> None:
    private.say("/pair", chat=STRANGER)
    private.press(card_buttons(private)["Deny"])
    assert last_answer(private, OWNER) == "Ann (8) may not talk to me."
    cards = len(private.answers(OWNER))
    assert private.say("hello", "/pair", chat=STRANGER).replied == set()
    assert len(private.answers(OWNER)) == cards


@pytest.mark.parametrize(("first", "second"), [("Allow", "Deny"), ("Deny", "Allow"), ("Allow", "Allow")])
def test_a_card_is_decided_once_also_when_pressed_twice(private: Instance, first: str, second: str) -> None:
    private.say("/pair", chat=STRANGER)
    buttons = card_buttons(private)
    private.press(buttons[first])
    before = private.answers(OWNER), private.answers(STRANGER), private.do(allowed.everyone, BotId(42))
    [(_, toast)] = private.press(buttons[second]).controls
    assert toast == "This button does nothing any more."
    assert before == (
        private.answers(OWNER),
        private.answers(STRANGER),
        private.do(allowed.everyone, BotId(42)),
    )


def test_a_card_works_after_a_restart(private: Instance, start_instance: StartInstance) -> None:
    private.say("/pair", chat=STRANGER)
    again = start_instance(allowed_users=frozenset([UserId(OWNER)]))
    again.press(card_buttons(again)["Allow"])
    assert again.start("hello", chat=STRANGER).allowed


def test_nobody_but_the_owner_decides_about_a_card(start_instance: StartInstance) -> None:
    """The button is forged: others see no card. Nor does it help to have been the owner."""
    instance = start_instance(allowed_users=frozenset([UserId(OWNER)]))
    instance.say("/pair", chat=STRANGER)
    data = card_buttons(instance)["Allow"]
    instance = start_instance(allowed_users=frozenset([UserId(9)]))
    instance.do(allowed.allow, BotId(42), OWNER, "user", None, UserId(9))
    [(_, toast)] = instance.press(data, chat=OWNER).controls
    assert toast == "Only the bot's owner can do this."
    assert instance.say("hello", chat=STRANGER).claimed == []


def test_a_stranger_who_asks_again_and_again_asks_once(private: Instance) -> None:
    for _ in range(3):
        private.say("/pair", "/pair", chat=STRANGER)
    assert len(private.answers(OWNER)) == 1
    assert len(private.answers(STRANGER)) == 1


def test_a_request_that_comes_again_asks_once(private: Instance) -> None:
    asking = raw_message(5, "/pair", STRANGER)
    private.receive(asking)
    private.receive(asking)
    assert (len(private.answers(OWNER)), len(private.answers(STRANGER))) == (1, 1)


def test_a_crowd_that_asks_gives_the_owner_few_cards_at_a_time(private: Instance) -> None:
    crowd = range(100, 100 + ASKING_MAX + 5)
    for user in crowd:
        private.say("/pair", chat=user)
        private.rows("UPDATE stranger SET replied_at = replied_at - 61 RETURNING 1")
    assert len(private.answers(OWNER)) == ASKING_MAX
    private.press(card_buttons(private)["Deny"])
    private.say("/pair", chat=crowd[-1])
    assert len([said for said in private.answers(OWNER) if "asks to" in said]) == ASKING_MAX


def test_what_a_name_says_cannot_break_out_of_its_card(private: Instance) -> None:
    name = "A\u202e\n(7)\ud83d" + "x" * 500
    private.say("/pair", chat=STRANGER, **{"from": {"id": 8, "first_name": name}})
    [said] = private.answers(OWNER)
    assert said.startswith("A (7)")
    assert said.endswith("(8) asks to talk to me.")
    assert len(said) < 120


def test_a_friend_who_need_not_ask_hears_so(private: Instance) -> None:
    private.say("/pair", chat=OWNER)
    assert private.answers(OWNER) == ["You may talk to me already."]


# Pairing


@pytest.mark.parametrize("said", [f"/start {CODE}", CODE, CODE.upper(), f" {CODE}\n"])
def test_who_sends_the_code_becomes_the_owner_and_nobody_after_them(unowned: Instance, said: str) -> None:
    unowned.say(said, "hello", chat=STRANGER)
    assert unowned.answers(STRANGER)[0].startswith(OWNS)
    assert unowned.states(STRANGER)["hello"] == "claimed"
    unowned.say(said, chat=9)
    assert not unowned.answers(9)[0].startswith(OWNS)
    assert unowned.do(allowed.owner_of, BotId(42)) == STRANGER


def test_a_code_that_comes_again_reaches_no_agent(unowned: Instance) -> None:
    code = raw_message(5, f"/start {CODE}", STRANGER)
    unowned.receive(code)
    assert unowned.receive(code).claimed == []


def test_a_group_cannot_be_the_owner(unowned: Instance) -> None:
    assert unowned.say(CODE, f"/start {CODE}", chat=-5).replied == set()
    assert unowned.do(allowed.owner_of, BotId(42)) is None


def test_five_wrong_codes_lock_a_user_out_for_good_and_nobody_else(
    unowned: Instance, start_instance: StartInstance
) -> None:
    for _ in range(pairing.WRONG_CODES_MAX):
        unowned.say("aaaa-aaaa-aaaa", chat=STRANGER)
    assert unowned.answers(STRANGER)[-2:] == [
        "This code is wrong.",
        "This code is wrong, too. I take no more codes from you.",
    ]
    assert unowned.say(CODE, chat=STRANGER).replied == set()
    again = start_instance(allowed_users=frozenset())
    again.do(strangers.open_pairing, BotId(42), pairing.stored(CODE))
    assert again.say(CODE, chat=STRANGER).replied == set(), "also after a restart, with a new code"
    again.say(CODE, chat=9)
    assert again.answers(9)[0].startswith(OWNS)


def test_a_wrong_code_that_comes_again_counts_once(unowned: Instance) -> None:
    wrong = raw_message(5, "aaaa-aaaa-aaaa", STRANGER)
    for _ in range(pairing.WRONG_CODES_MAX):
        unowned.receive(wrong)
    unowned.say(CODE, chat=STRANGER)
    assert last_answer(unowned, STRANGER).startswith(OWNS)


def test_words_are_no_wrong_code(unowned: Instance) -> None:
    for _ in range(pairing.WRONG_CODES_MAX + 1):
        unowned.say("hello", "/start", "/pair", "conversation", "a-b-c", chat=STRANGER)
    unowned.say(CODE, chat=STRANGER)
    assert last_answer(unowned, STRANGER).startswith(OWNS)


def test_a_code_counts_for_an_hour(unowned: Instance) -> None:
    unowned.do(strangers.open_pairing, BotId(42), Code(pairing.stored(CODE).code_hash, 1.0))
    unowned.say(CODE, chat=STRANGER)
    assert unowned.answers(STRANGER) == ["This code has expired. The bot shows a new one when it starts."]
    assert unowned.do(allowed.owner_of, BotId(42)) is None


def test_only_a_hash_of_the_code_is_stored_and_it_is_compared_in_constant_time(
    unowned: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CODE not in str(unowned.rows("SELECT * FROM pairing"))
    compared = []
    in_constant_time = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append(other)
        return in_constant_time(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    unowned.say("aaaa-aaaa-aaaa", chat=STRANGER)
    assert len(compared) == 1


def test_codes_differ_and_fit_into_a_deep_link() -> None:
    codes = {pairing.new_code() for _ in range(100)}
    assert len(codes) == 100
    for code in codes:
        assert pairing.code_in({"text": code}) == pairing.code_in({"text": f"/start {code}"}) == code


def test_the_invitation_has_the_link_the_code_and_a_picture_of_the_link() -> None:
    plain = pairing.invitation("the_bot", CODE, with_picture=False)
    assert any(f"https://t.me/the_bot?start={CODE}" in line for line in plain)
    assert any(line.endswith(f"this code: {CODE}") for line in plain)
    drawn = [line for line in pairing.invitation("the_bot", CODE, with_picture=True) if line not in plain]
    assert {character for line in drawn for character in line} == set("█▀▄ ")
    assert len({len(line) for line in drawn}) == 1


def test_a_picture_is_drawn_only_in_a_terminal_that_can_show_it() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        assert pairing.is_drawable(terminal)
        with os.fdopen(os.dup(theirs), "w", encoding="ascii") as old:
            assert not pairing.is_drawable(old)
    assert not pairing.is_drawable(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
