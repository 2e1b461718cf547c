"""Editing and deleting: whose message, which kinds, and Telegram's words when it refuses."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.playground.conftest import Client, Json
from tests.playground.test_methods import NOT_MODIFIED, RICH
from tests.playground.test_people import PNG
from tgbot.playground.files import Upload
from tgbot.playground.server import PlaygroundServer

ADA, GROUP, SUPERGROUP = 7, -5, -1_000_000_000_005
KEYBOARD = {"inline_keyboard": [[{"text": "Stop", "callback_data": "stop"}]]}
BEYOND = 99

Message = dict[str, Any]
Send = Callable[[str], Awaitable[Message]]
Refusal = Callable[[Message, str, dict[str, Json]], Awaitable[str]]


@pytest.fixture
def files(server: PlaygroundServer) -> dict[str, str]:
    """One file of each kind, by its id, for a bot to send."""
    png, ogg, txt = (
        Upload("a.png", "image/png", PNG),
        Upload("a.ogg", "audio/ogg", b"x"),
        Upload("a.txt", "text/plain", b"x"),
    )
    server.world.post_message(ADA, ADA, "hello")
    kept = {
        "photo": server.world.keep_file("photo", png),
        "voice": server.world.keep_file("voice", ogg),
        "document": server.world.keep_file("document", txt),
    }
    return {kind: stored.file_id for kind, stored in kept.items()}


@pytest.fixture
def send(bot: Client, files: dict[str, str]) -> Send:
    """Send a message of a kind to Ada as the bot; of an album, return its second picture."""

    async def send(kind: str) -> Message:
        photo = {"type": "photo", "media": files["photo"]}
        calls: dict[str, dict[str, Json]] = {
            "Message": {"text": "hi"},
            "RichMessage": {"rich_message": {"html": RICH}},
            "Photo": {"photo": files["photo"], "caption": "dot"},
            "Document": {"document": files["document"]},
            "Voice": {"voice": files["voice"]},
            "MediaGroup": {"media": [photo, photo | {"caption": "dot"}]},
        }
        sent = await bot.call(f"send{kind}", chat_id=ADA, **calls[kind])
        made: Message = sent[1] if isinstance(sent, list) else sent
        return made

    return send


EDITS: list[tuple[str, dict[str, Json]]] = [
    ("editMessageText", {"text": "x"}),
    ("editMessageReplyMarkup", {"reply_markup": KEYBOARD}),
    ("editMessageCaption", {"caption": "x"}),
    ("editMessageMedia", {"media": {"type": "photo"}}),
]


@pytest.fixture
def refusal(bot: Client, files: dict[str, str]) -> Refusal:
    """Return what an edit of a message is refused with; media is the file that `send` sends, too."""

    async def refusal(place: Message, method: str, params: dict[str, Json]) -> str:
        if "media" in params:
            params = {"media": params["media"] | {"media": files["photo"]}}
        return await bot.refused(method, **place, **params)

    return refusal


@pytest.mark.parametrize(("method", "params"), EDITS)
async def test_an_edit_of_an_unknown_id_is_not_found(
    refusal: Refusal, method: str, params: dict[str, Json]
) -> None:
    refused = await refusal({"chat_id": ADA, "message_id": BEYOND}, method, params)
    assert refused == "Bad Request: message to edit not found"


@pytest.mark.parametrize(("method", "params"), EDITS)
async def test_a_message_of_somebody_else_cannot_be_edited(
    server: PlaygroundServer, refusal: Refusal, method: str, params: dict[str, Json]
) -> None:
    for chat_id in (ADA, GROUP, SUPERGROUP):
        theirs = server.world.post_message(chat_id, ADA, "mine")
        refused = await refusal({"chat_id": chat_id, "message_id": theirs["message_id"]}, method, params)
        assert refused == "Bad Request: message can't be edited"


@pytest.mark.parametrize(
    ("kind", "method", "same"),
    [
        ("Message", "editMessageText", {"text": "hi"}),
        ("RichMessage", "editMessageText", {"rich_message": {"html": RICH}}),
        ("Photo", "editMessageCaption", {"caption": "dot"}),
        ("Photo", "editMessageMedia", {"media": {"type": "photo", "caption": "dot"}}),
        ("MediaGroup", "editMessageMedia", {"media": {"type": "photo", "caption": "dot"}}),
    ],
)
async def test_an_edit_that_changes_nothing_is_refused(
    send: Send, refusal: Refusal, kind: str, method: str, same: dict[str, Json]
) -> None:
    place = {"chat_id": ADA, "message_id": (await send(kind))["message_id"]}
    assert await refusal(place, method, same) == NOT_MODIFIED


@pytest.mark.parametrize("kind", ["Message", "RichMessage", "Photo", "Document", "Voice", "MediaGroup"])
async def test_the_keyboard_of_any_message_can_be_set_and_taken_away_and_nothing_else_changes(
    server: PlaygroundServer, bot: Client, send: Send, kind: str
) -> None:
    sent = await send(kind)
    place = {"chat_id": ADA, "message_id": sent["message_id"]}
    assert await bot.refused("editMessageReplyMarkup", **place) == NOT_MODIFIED
    marked = await bot.call("editMessageReplyMarkup", **place, reply_markup=KEYBOARD)
    assert marked == sent | {"reply_markup": KEYBOARD, "edit_date": marked["edit_date"]}
    assert await bot.refused("editMessageReplyMarkup", **place, reply_markup=KEYBOARD) == NOT_MODIFIED
    bare = await bot.call("editMessageReplyMarkup", **place)
    assert bare == sent | {"edit_date": bare["edit_date"]}
    assert server.world.messages(ADA)[-1] == bare | {"reactions": []}


@pytest.mark.parametrize("chat_id", [ADA, GROUP, SUPERGROUP])
async def test_an_unknown_message_to_delete_is_not_found(
    server: PlaygroundServer, bot: Client, chat_id: int
) -> None:
    server.world.post_message(chat_id, ADA, "hello")
    refused = await bot.refused("deleteMessage", chat_id=chat_id, message_id=BEYOND)
    assert refused == "Bad Request: message to delete not found"


async def test_a_bot_may_delete_what_a_person_wrote_to_it_in_private(
    server: PlaygroundServer, bot: Client
) -> None:
    theirs = server.world.post_message(ADA, ADA, "hello")
    assert await bot.call("deleteMessage", chat_id=ADA, message_id=theirs["message_id"])
    assert server.world.messages(ADA) == []


@pytest.mark.parametrize("chat_id", [GROUP, SUPERGROUP])
async def test_in_a_group_a_bot_deletes_its_own_messages_only(
    server: PlaygroundServer, bot: Client, chat_id: int
) -> None:
    theirs = server.world.post_message(chat_id, ADA, "hello")["message_id"]
    own = (await bot.call("sendMessage", chat_id=chat_id, text="hi"))["message_id"]
    refusal = "Bad Request: message can't be deleted for everyone"
    assert await bot.refused("deleteMessage", chat_id=chat_id, message_id=theirs) == refusal
    assert await bot.refused("deleteMessages", chat_id=chat_id, message_ids=[own, theirs]) == refusal
    assert [one["text"] for one in server.world.messages(chat_id)] == ["hello", "hi"]
    assert await bot.call("deleteMessages", chat_id=chat_id, message_ids=[own, own, BEYOND])
    assert [one["text"] for one in server.world.messages(chat_id)] == ["hello"]
