"""Bot API methods: what they do, and Telegram's words when they refuse."""

from typing import Any

import pytest

from tests.judges import judge_journal
from tests.playground.conftest import Client, Json
from tgbot.playground.server import PlaygroundServer

NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly "
    "the same as a current content and reply markup of the message"
)


@pytest.fixture
def message(server: PlaygroundServer, bot: Client) -> dict[str, Any]:
    return server.world.post_message(7, 7, "hello")


@pytest.fixture
async def sent(message: dict[str, Any], bot: Client) -> dict[str, Any]:
    result: dict[str, Any] = await bot.call("sendMessage", chat_id=7, text="hi")
    return result


async def test_a_sent_message_is_on_screen(
    server: PlaygroundServer, bot: Client, sent: dict[str, Any]
) -> None:
    assert [one["text"] for one in server.world.messages(7)] == ["hello", "hi"]
    assert sent["from"]["is_bot"]


async def test_form_json_and_query_mean_the_same(
    server: PlaygroundServer, bot: Client, message: Json
) -> None:
    entity = '[{"type":"bold","offset":0,"length":1}]'
    fields = {"chat_id": "7", "text": "x", "entities": entity, "disable_notification": "true"}
    url = f"/bot{bot.token}/sendMessage"
    answers = [
        await bot.http.post(url, data=fields),
        await bot.http.get(url, params=fields),
        await bot.http.post(url, json={"chat_id": 7, "text": "x", "entities": entity}),
        await bot.http.post(url, data=fields, files={"unused": b"x"}),
    ]
    assert [answer.json()["result"]["entities"][0]["type"] for answer in answers] == ["bold"] * 4


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"text": ""}, "message text is empty"),
        ({"text": " \n "}, "message text is empty"),
        ({"text": "😀" * 2049}, "message is too long"),
        ({"text": "x", "chat_id": 8}, "chat not found"),
        ({"text": "x", "txt": "x"}, 'unknown parameter "txt"'),
        ({"text": "x", "parse_mode": "HTML"}, 'unknown parameter "parse_mode"'),
        ({"text": "x", "reply_parameters": {"message_id": 99}}, "message to be replied not found"),
        ({"text": "x", "message_thread_id": 99}, "message thread not found"),
        ({"text": "x", "entities": [{"type": "bald", "offset": 0, "length": 1}]}, '"bald" is unknown'),
        (
            {"text": "x", "entities": [{"type": "bold", "offset": 0, "length": 2}]},
            "after the end of the text",
        ),
        (
            {"text": "😀", "entities": [{"type": "bold", "offset": 1, "length": 1}]},
            "middle of a UTF-16 symbol",
        ),
        (
            {"text": "x", "entities": [{"type": "text_link", "offset": 0, "length": 1}]},
            'needs the field "url"',
        ),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x"}]]}},
            "exactly one of the optional",
        ),
        (
            {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": "x" * 65}]]}},
            "BUTTON_DATA_INVALID",
        ),
    ],
)
async def test_send_message_refuses(bot: Client, message: Json, params: dict[str, Any], refusal: str) -> None:
    answer = await bot.raw("sendMessage", **({"chat_id": 7} | params))
    assert answer["error_code"] == 400
    assert refusal in answer["description"]


async def test_4096_utf16_units_are_taken(bot: Client, message: Json) -> None:
    assert await bot.call("sendMessage", chat_id=7, text="😀" * 2048)


async def test_overlapping_entities_are_refused(bot: Client, message: Json) -> None:
    entities = [{"type": "bold", "offset": 0, "length": 3}, {"type": "italic", "offset": 2, "length": 3}]
    assert "overlap" in await bot.refused("sendMessage", chat_id=7, text="hello", entities=entities)


async def test_white_space_is_trimmed_and_entities_move_along(bot: Client, message: Json) -> None:
    entities = [{"type": "bold", "offset": 2, "length": 4}]
    sent = await bot.call("sendMessage", chat_id=7, text="  hi  ", entities=entities)
    assert (sent["text"], sent["entities"]) == ("hi", [{"type": "bold", "offset": 0, "length": 2}])


async def test_a_reply_shows_what_it_answers(bot: Client, message: dict[str, Any]) -> None:
    reply = {"message_id": message["message_id"], "quote": "ell"}
    sent = await bot.call("sendMessage", chat_id=7, text="x", reply_parameters=reply)
    assert sent["reply_to_message"]["text"] == "hello"
    assert sent["quote"] == {"text": "ell", "position": 1, "is_manual": True}


async def test_a_reply_to_nothing_is_sent_without_it_when_allowed(bot: Client, message: Json) -> None:
    reply = {"message_id": 99, "allow_sending_without_reply": True}
    assert "reply_to_message" not in await bot.call(
        "sendMessage", chat_id=7, text="x", reply_parameters=reply
    )


async def test_an_edit_replaces_text_and_keyboard(server: PlaygroundServer, bot: Client, sent: Json) -> None:
    keyboard = {"inline_keyboard": [[{"text": "Stop", "callback_data": "stop"}]]}
    place = {"chat_id": 7, "message_id": sent["message_id"]}
    await bot.call("editMessageText", **place, text="new", reply_markup=keyboard)
    assert server.world.messages(7)[-1]["reply_markup"] == keyboard
    assert await bot.refused("editMessageText", **place, text="new", reply_markup=keyboard) == NOT_MODIFIED
    await bot.call("editMessageText", **place, text="new")
    assert "reply_markup" not in server.world.messages(7)[-1]
    assert await bot.refused("editMessageText", **place, text=" new ") == NOT_MODIFIED


async def test_an_edit_is_refused_in_telegrams_words(
    bot: Client, message: Json, sent: dict[str, Any]
) -> None:
    edit = {"chat_id": 7, "text": "x"}
    assert (await bot.refused("editMessageText", **edit, message_id=99)).endswith("message to edit not found")
    assert (await bot.refused("editMessageText", **edit, message_id=1)).endswith("message can't be edited")
    own = {"chat_id": 7, "message_id": sent["message_id"]}
    assert (await bot.refused("editMessageText", **own, text="")).endswith("message text is empty")
    assert (await bot.refused("editMessageText", **own, text="x" * 4097)).endswith("MESSAGE_TOO_LONG")


async def test_a_keyboard_can_be_edited_alone(server: PlaygroundServer, bot: Client, sent: Json) -> None:
    place = {"chat_id": 7, "message_id": sent["message_id"]}
    assert await bot.refused("editMessageReplyMarkup", **place) == NOT_MODIFIED
    keyboard = {"inline_keyboard": [[{"text": "x", "url": "https://example.org"}]]}
    await bot.call("editMessageReplyMarkup", **place, reply_markup=keyboard)
    assert server.world.messages(7)[-1]["text"] == "hi"


async def test_deleted_messages_are_gone(server: PlaygroundServer, bot: Client, sent: dict[str, Any]) -> None:
    place = {"chat_id": 7, "message_id": sent["message_id"]}
    assert await bot.call("deleteMessage", **place) is True
    assert "to delete not found" in await bot.refused("deleteMessage", **place)
    assert await bot.call("deleteMessages", chat_id=7, message_ids=[1, 99]) is True
    assert server.world.messages(7) == []


async def test_a_reaction_is_one_emoji_of_the_list(
    server: PlaygroundServer, bot: Client, message: Json
) -> None:
    place = {"chat_id": 7, "message_id": 1}
    eyes = [{"type": "emoji", "emoji": "👀"}]
    await bot.call("setMessageReaction", **place, reaction=eyes)
    assert server.world.messages(7)[0]["reactions"] == [{"user_id": 1, "emoji": "👀"}]
    assert "REACTION_INVALID" in await bot.refused(
        "setMessageReaction", **place, reaction=[{"type": "emoji", "emoji": "🚀"}]
    )
    assert "REACTIONS_TOO_MANY" in await bot.refused("setMessageReaction", **place, reaction=eyes * 2)
    await bot.call("setMessageReaction", **place, reaction=[])
    assert server.world.messages(7)[0]["reactions"] == []


async def test_a_blocked_bot_gets_an_error_that_says_so(
    server: PlaygroundServer, bot: Client, message: Json
) -> None:
    server.world.block(7, blocked=True)
    answer = await bot.raw("sendMessage", chat_id=7, text="x")
    assert (answer["error_code"], answer["description"]) == (403, "Forbidden: bot was blocked by the user")
    server.world.block(7, blocked=False)
    await bot.call("sendMessage", chat_id=7, text="x")


async def test_an_unknown_method_is_404(bot: Client) -> None:
    answer = await bot.raw("sendMesage", chat_id=7)
    assert answer == {"ok": False, "error_code": 404, "description": "Not Found: method not found"}


async def test_commands_are_kept_by_scope(bot: Client) -> None:
    commands = [{"command": "stop", "description": "Stop the running turn"}]
    await bot.call("setMyCommands", commands=commands)
    assert await bot.call("getMyCommands") == commands
    assert await bot.call("getMyCommands", scope={"type": "all_private_chats"}) == []
    await bot.call("deleteMyCommands")
    assert await bot.call("getMyCommands") == []
    assert "BOT_COMMAND_INVALID" in await bot.refused(
        "setMyCommands", commands=[{**commands[0], "command": "A b"}]
    )


async def test_a_pressed_button_is_answered_once(server: PlaygroundServer, bot: Client, sent: Json) -> None:
    callback_id = server.world.press(7, sent["message_id"], 7, "stop")
    assert server.world.callback(callback_id) is None
    query = (await bot.call("getUpdates"))[-1]["callback_query"]
    assert (query["id"], query["data"], query["message"]["text"]) == (callback_id, "stop", "hi")
    await bot.call("answerCallbackQuery", callback_query_id=callback_id, text="Stopped")
    assert server.world.callback(callback_id) == {"text": "Stopped"}
    assert "query is too old" in await bot.refused("answerCallbackQuery", callback_query_id="0")


async def test_a_press_is_heard_by_the_bot_whose_message_it_is(
    server: PlaygroundServer, bot: Client, sent: Json
) -> None:
    other = Client(bot.http, "2:playground")
    await other.call("sendMessageDraft", chat_id=7, draft_id=5, text="thin", can_stop=True)
    server.world.press(7, sent["message_id"], 7, "stop")
    server.world.stop_draft(7)
    assert [list(update)[1] for update in await bot.call("getUpdates")] == ["message", "callback_query"]
    assert [list(update)[1] for update in await other.call("getUpdates")] == ["stopped_message_generation"]


async def test_typing_needs_a_known_action(bot: Client, message: Json) -> None:
    assert await bot.call("sendChatAction", chat_id=7, action="typing") is True
    assert "wrong parameter action" in await bot.refused("sendChatAction", chat_id=7, action="dancing")


async def test_messages_go_into_a_topic(server: PlaygroundServer, bot: Client) -> None:
    server.world.make_chat(-1_000_000_000_005, "Forum", is_forum=True)
    topic = server.world.make_topic(-1_000_000_000_005, 7, "Weather")
    server.world.post_message(-1_000_000_000_005, 7, "rain?", message_thread_id=topic)
    sent = await bot.call("sendMessage", chat_id=-1_000_000_000_005, text="no", message_thread_id=topic)
    assert (sent["message_thread_id"], sent["is_topic_message"]) == (topic, True)


async def test_a_draft_can_be_stopped_and_goes_when_the_message_comes(
    server: PlaygroundServer, bot: Client, message: Json
) -> None:
    await bot.call("sendMessageDraft", chat_id=7, draft_id=5, text="thin", can_stop=True)
    assert server.world.chats()[0]["draft"]["text"] == "thin"
    server.world.stop_draft(7)
    assert (await bot.call("getUpdates"))[-1]["stopped_message_generation"]["draft_id"] == 5
    await bot.call("sendMessage", chat_id=7, text="thinking done")
    assert "draft" not in server.world.chats()[0]


RICH = (
    '<h1>Head</h1><p>a <b>bold</b> <a href="https://example.org">link</a></p><ul><li>one<ul><li>two</li></ul></li></ul>'
    "<blockquote><p>quote<br/>of two lines</p></blockquote>"
    '<pre><code class="language-python">print(1)</code></pre>'
    "<table><tr><th>a</th></tr><tr><td>1</td></tr></table><hr/><tg-math-block>x^2</tg-math-block>"
)


async def test_a_rich_message_becomes_blocks(server: PlaygroundServer, bot: Client, sent: Json) -> None:
    place = {"chat_id": 7, "message_id": sent["message_id"]}
    edited = await bot.call("editMessageText", **place, rich_message={"html": RICH})
    blocks = edited["rich_message"]["blocks"]
    kinds = ["heading", "paragraph", "list", "blockquote", "pre", "table", "divider"]
    kinds.append("mathematical_expression")
    assert [block["type"] for block in blocks] == kinds
    assert blocks[2]["items"][0]["blocks"][1]["items"][0]["blocks"][0]["text"] == "two"
    assert "text" not in edited
    assert await bot.refused("editMessageText", **place, rich_message={"html": RICH}) == NOT_MODIFIED
    assert (await bot.call("sendRichMessage", chat_id=7, rich_message={"html": RICH}))["rich_message"]
    judge_journal(call for call in server.world.journal if call["status"] == 200)


@pytest.mark.parametrize("html", ["<p>open", "<script>x</script>", "</p>", "", "<p> </p>", "<b><p>x</p></b>"])
async def test_wrong_rich_html_is_refused(bot: Client, message: Json, html: str) -> None:
    assert "Bad Request" in await bot.refused("sendRichMessage", chat_id=7, rich_message={"html": html})
