"""Each kind of update that the Bot API knows, once, to the real process: nothing crashes, all is counted."""

import re
from pathlib import Path
from typing import Any

import pytest
from aiogram.types import Update

from tests.waiting import eventually
from tests.whole_bot.process import TOKEN, BotProcess, Person
from tgbot.playground.bots import Bot
from tgbot.playground.server import PlaygroundServer
from tgbot.telegram import outcomes

DOCUMENT = (Path(__file__).parents[2] / "docs" / "updates.md").read_text()
GROUP = -1_000_000_000_005
ANN = {"id": 7, "is_bot": False, "first_name": "Ann"}
CHAT = {"id": 7, "type": "private", "first_name": "Ann"}
CHANNEL = {"id": -1_000_000_000_009, "type": "channel", "title": "News"}
MESSAGE = {"message_id": 900, "date": 1, "chat": CHAT, "from": ANN, "text": "never answered"}
POST = {"message_id": 901, "date": 1, "chat": CHANNEL, "sender_chat": CHANNEL, "text": "never answered"}
REACTED = {"chat": CHAT, "message_id": 900, "date": 1}
THUMB_DOWN = {"type": "emoji", "emoji": "👎"}
POLL = {"id": "1", "question": "?", "options": [], "total_voter_count": 0, "is_closed": True}

# As the Bot API 10.3 has them.
UPDATES: dict[str, dict[str, Any]] = {
    "message": {**MESSAGE, "text": "hello"},
    "edited_message": {**MESSAGE, "edit_date": 2},
    "channel_post": POST,
    "edited_channel_post": {**POST, "edit_date": 2},
    "business_connection": {"id": "b", "user": ANN, "user_chat_id": 7, "date": 1, "is_enabled": True},
    "business_message": {**MESSAGE, "business_connection_id": "b"},
    "edited_business_message": {**MESSAGE, "business_connection_id": "b", "edit_date": 2},
    "deleted_business_messages": {"business_connection_id": "b", "chat": CHAT, "message_ids": [900]},
    "guest_message": {**MESSAGE, "guest_query_id": "g"},
    "message_reaction": {**REACTED, "user": ANN, "old_reaction": [], "new_reaction": [THUMB_DOWN]},
    "message_reaction_count": {**REACTED, "reactions": []},
    "inline_query": {"id": "i", "from": ANN, "query": "never answered", "offset": ""},
    "chosen_inline_result": {"result_id": "r", "from": ANN, "query": "never answered"},
    "callback_query": {"id": "c", "from": ANN, "chat_instance": "1", "message": MESSAGE, "data": "stop:1"},
    "shipping_query": {"id": "s", "from": ANN, "invoice_payload": "p", "shipping_address": {}},
    "pre_checkout_query": {"id": "p", "from": ANN, "currency": "EUR", "total_amount": 1},
    "purchased_paid_media": {"from": ANN, "paid_media_payload": "p"},
    "poll": POLL,
    "poll_answer": {"poll_id": "1", "user": ANN, "option_ids": [0]},
    "my_chat_member": {"chat": CHAT, "from": ANN, "date": 1},
    "chat_member": {"chat": CHAT, "from": ANN, "date": 1},
    "chat_join_request": {"chat": CHANNEL, "from": ANN, "user_chat_id": 7, "date": 1},
    "chat_boost": {"chat": CHANNEL, "boost": {}},
    "removed_chat_boost": {"chat": CHANNEL, "boost_id": "b", "remove_date": 1},
    "managed_bot": {"user": ANN, "bot": {"id": 9, "is_bot": True, "first_name": "B"}},
    "subscription": {"user": ANN},
    "stopped_message_generation": {"chat": CHAT, "draft_id": 1},
}
# Posts run a turn only where the settings name their channel.
POSTS = ("channel_post", "edited_channel_post")
IGNORED = [kind for kind, outcome in outcomes.OF_UPDATE.items() if outcome == "ignore" or kind in POSTS]
TOPIC_OF_CHANNEL = {"direct_messages_topic": {"topic_id": 1, "user": ANN}}
IGNORED_MESSAGES: dict[str, dict[str, Any]] = {
    "on_behalf_of_a_chat": {"sender_chat": CHANNEL},
    "of_a_bot": {"from": {"id": 9, "is_bot": True, "first_name": "B"}},
    "service": {"pinned_message": {}},
    "direct_messages": TOPIC_OF_CHANNEL,
    "for_another_bot": {"text": "/stop@another_bot"},
    "not_addressed": {"chat": {"id": GROUP, "type": "supergroup", "title": "Friends"}},
}


def test_each_kind_that_aiogram_knows_has_an_outcome_and_is_sent_here() -> None:
    known = set(Update.model_fields) - {"update_id"}
    assert set(outcomes.OF_UPDATE) == known == set(UPDATES)
    assert set(IGNORED_MESSAGES) == set(outcomes.IGNORED_MESSAGES)


def test_the_document_says_the_same_as_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (run|act|ignore) \|", DOCUMENT, re.MULTILINE)
    assert rows == list(outcomes.OF_UPDATE.items())
    counted = re.findall(r"^\| `message\.(\w+)` \|", DOCUMENT, re.MULTILINE)
    assert counted == list(outcomes.IGNORED_MESSAGES)


async def test_each_kind_of_update_is_confirmed_and_the_ignored_ones_are_counted(
    bot: BotProcess, ann: Person, wire: PlaygroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bot, "wants", lambda *_: True)  # also what it did not ask for
    bot.gets_sane_updates = False
    bot.setting(group_activation="mention")
    wire.world.make_chat(7, "Ann")
    wire.world.make_chat(GROUP, "Friends")
    await bot.start()
    for kind, content in UPDATES.items():
        wire.world.inject_update({kind: content})
    for fields in IGNORED_MESSAGES.values():
        wire.world.inject_update({"message": {**MESSAGE, **fields}})
    wire.world.inject_update({"of_a_kind_to_come": {}})
    ann.says("the last")
    await ann.sees_among("the last")
    await eventually(lambda: not wire.world.bot(TOKEN).updates, "the offset is behind all of them")
    for kind in (*IGNORED, *(f"message.{name}" for name in IGNORED_MESSAGES), "unknown"):
        assert bot.log.count(f"intake.ignored kind={kind} count=1\n") == 1, kind
    assert bot.log.count("intake.ignored") == len(IGNORED) + len(IGNORED_MESSAGES) + 1
    assert not [line for line in bot.log.splitlines() if "Traceback" in line or "unreadable" in line]
    assert not [said for said in ann.sees if "never answered" in said]
