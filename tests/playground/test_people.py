"""The people's side over HTTP, as a test in another language would use it."""

import pytest

from tests.playground.conftest import Client, Json
from tgbot.playground.server import PlaygroundServer

# The smallest PNG: 1 x 1 pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000005000165d1a1f50000000049454e44ae426082"
)


async def post(bot: Client, path: str, **fields: Json) -> Json:
    answer = await bot.http.post(f"/playground/{path}", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def get(bot: Client, path: str) -> Json:
    answer = await bot.http.get(f"/playground/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_whole_conversation_over_http(bot: Client) -> None:
    message = await post(bot, "messages", chat_id=7, user_id=7, text="/start now")
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    keyboard = {"inline_keyboard": [[{"text": "x", "callback_data": "d"}]]}
    sent = await bot.call("sendMessage", chat_id=7, text="hi", reply_markup=keyboard)
    callback_id = await post(
        bot, "press", chat_id=7, message_id=sent["message_id"], user_id=7, callback_data="d"
    )
    assert await get(bot, f"callbacks/{callback_id}") is None
    await bot.call("answerCallbackQuery", callback_query_id=callback_id, text="ok")
    assert await get(bot, f"callbacks/{callback_id}") == {"text": "ok"}
    assert [one["text"] for one in await get(bot, "chats/7/messages")] == ["/start now", "hi"]
    assert [chat["id"] for chat in await get(bot, "chats")] == [7]


async def test_the_journal_can_be_read_on_and_filtered(bot: Client) -> None:
    await bot.call("getUpdates")
    calls = (await get(bot, "journal"))["calls"]
    assert [call["method"] for call in calls] == ["getMe", "getUpdates"]
    assert (await get(bot, f"journal?after={calls[-1]['n']}")) == {"calls": [], "dropped": 0}
    assert len((await get(bot, "journal?method=-getUpdates"))["calls"]) == 1
    assert len((await get(bot, "journal?method=getUpdates"))["calls"]) == 1


async def test_a_raw_update_is_injected_as_it_is(bot: Client) -> None:
    await post(bot, "updates", message={"nonsense": True}, unheard_of=5)
    (update,) = await bot.call("getUpdates")
    assert (update["message"], update["unheard_of"]) == ({"nonsense": True}, 5)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("messages", {"chat_id": 7, "user_id": 7}, "text"),
        ("messages", {"chat_id": "7", "user_id": 7, "text": "x"}, "chat_id"),
        ("messages", {"chat_id": 7, "user_id": 8, "text": "x"}, "a private chat's id is its user's id"),
        ("messages", {"chat_id": 7, "user_id": 7, "text": "x", "txt": "x"}, "txt"),
        ("updates", {"update_id": 5}, "without update_id"),
        ("faults", {}, "list of fault rules"),
        ("messages", [], "JSON object"),
    ],
)
async def test_a_wrong_request_is_answered_with_what_is_wrong(
    bot: Client, path: str, body: Json, reason: str
) -> None:
    answer = await bot.http.post(f"/playground/{path}", json=body)
    assert answer.status_code == 400
    assert reason in answer.json()["description"]


async def test_a_persons_edit_reaches_the_bot(server: PlaygroundServer, bot: Client) -> None:
    await post(bot, "messages", chat_id=7, user_id=7, text="helo")
    await post(bot, "edits", chat_id=7, user_id=7, message_id=1, text="hello")
    update = (await bot.call("getUpdates"))[-1]
    assert update["edited_message"]["text"] == "hello"
    assert server.world.messages(7)[0]["text"] == "hello"


async def test_a_groups_members_are_everybody_and_the_first_person_owns_it(
    server: PlaygroundServer, bot: Client
) -> None:
    for user_id, name in {8: "Ben", 7: "Ada"}.items():
        await post(bot, "chats", chat_id=user_id, title=name)
    await post(bot, "chats", chat_id=-5, title="Trip")

    async def roles() -> set[tuple[str, str]]:
        listed = await get(bot, "chats/-5/members")
        return {(one["user"]["first_name"], one["status"]) for one in listed}

    assert await roles() == {("Ada", "creator"), ("Ben", "member"), ("Playground bot", "member")}
    server.world.mute(-5)
    assert ("Playground bot", "restricted") in await roles()


async def test_pages_of_messages_go_backwards(server: PlaygroundServer, bot: Client) -> None:
    for number in range(10):
        server.world.post_message(7, 7, str(number))
    newest = await get(bot, "chats/7/messages?limit=3")
    assert [one["text"] for one in newest] == ["7", "8", "9"]
    older = await get(bot, f"chats/7/messages?limit=3&before={newest[0]['message_id']}")
    assert [one["text"] for one in older] == ["4", "5", "6"]


async def test_files_are_an_album_that_the_bot_can_download(bot: Client) -> None:
    parts = [("file", ("a.png", PNG, "image/png")), ("file", ("b.png", PNG, "image/png"))]
    form = {"chat_id": "7", "user_id": "7", "caption": "two"}
    assert (await bot.http.post("/playground/files", data=form, files=parts)).status_code == 200
    first, second = [update["message"] for update in await bot.call("getUpdates")]
    assert first["media_group_id"] == second["media_group_id"]
    assert (first["caption"], "caption" in second) == ("two", False)
    assert (first["photo"][0]["width"], first["photo"][0]["height"]) == (1, 1)
    file = await bot.call("getFile", file_id=first["photo"][0]["file_id"])
    assert (await bot.http.get(f"/file/bot{bot.token}/{file['file_path']}")).content == PNG


async def test_a_download_goes_on_from_the_byte_that_is_asked_for(bot: Client) -> None:
    """As Telegram's server lets it, so that what was cut off need not come from its start."""
    parts = [("file", ("a.png", PNG, "image/png"))]
    assert (
        await bot.http.post("/playground/files", data={"chat_id": "7", "user_id": "7"}, files=parts)
    ).is_success
    [update] = await bot.call("getUpdates")
    file = await bot.call("getFile", file_id=update["message"]["photo"][0]["file_id"])
    url = f"/file/bot{bot.token}/{file['file_path']}"
    answer = await bot.http.get(url, headers={"Range": "bytes=10-"})
    assert (answer.status_code, answer.content) == (206, PNG[10:])
    assert answer.headers["content-range"] == f"bytes 10-{len(PNG) - 1}/{len(PNG)}"
    beyond = await bot.http.get(url, headers={"Range": f"bytes={len(PNG)}-"})
    assert beyond.status_code == 416


async def test_a_person_sends_what_is_neither_text_nor_a_file(server: PlaygroundServer, bot: Client) -> None:
    said = await post(bot, "messages", chat_id=7, user_id=7, text="one two")
    contact = {"phone_number": "+49", "first_name": "Bob"}
    content = {"contact": contact, "quote": {"text": "two", "position": 4}}
    await post(bot, "contents", chat_id=7, user_id=7, content=content, reply_to_message_id=said["message_id"])
    message = (await bot.call("getUpdates"))[-1]["message"]
    assert (message["contact"], message["quote"]["text"]) == (contact, "two")
    assert (message["reply_to_message"]["text"], message["from"]["id"]) == ("one two", 7)
    assert server.world.messages(7)[-1]["contact"] == contact


@pytest.mark.parametrize(
    ("content", "reason"), [({}, "empty"), ({"text": "x", "from": {"id": 9}}, "from"), ({"date": 1}, "date")]
)
async def test_a_content_is_not_empty_and_says_nothing_of_whose_it_is(
    bot: Client, content: Json, reason: str
) -> None:
    body = {"chat_id": 7, "user_id": 7, "content": content}
    answer = await bot.http.post("/playground/contents", json=body)
    assert answer.status_code == 400
    assert reason in answer.json()["description"]


@pytest.mark.parametrize("kind", ["voice", "video_note", "sticker"])
async def test_a_file_of_a_kind_without_a_name_has_none(bot: Client, kind: str) -> None:
    form = {"chat_id": "7", "user_id": "7", "kind": kind}
    parts = [("file", ("a.bin", b"content", "application/octet-stream"))]
    assert (await bot.http.post("/playground/files", data=form, files=parts)).status_code == 200
    message = (await bot.call("getUpdates"))[-1]["message"]
    assert "file_name" not in message[kind]
    file = await bot.call("getFile", file_id=message[kind]["file_id"])
    assert (await bot.http.get(f"/file/bot{bot.token}/{file['file_path']}")).content == b"content"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        PlaygroundServer(host=host)
