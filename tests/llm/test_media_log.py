"""The log has no bytes, and what it has becomes complete again, or words, whoever wrote it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    BinaryImage,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextContent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from tests.llm.files import JPEG, PDF, png
from tgbot.agents.llm import media_log
from tgbot.agents.llm.media_log import named, restored, stripped
from tgbot.agents.llm.sight import NO_PDFS, NO_PICTURES, Sight
from tgbot.turns.agent import Attachment, DownloadError

PHOTO = Attachment("photo", "file:id/1", "unique:id")
SEES = Sight(pictures=True, documents=True)
REPORT = Attachment("document", "D", "d")


class Chat:
    """Has the files that are kept; `asked` are those that somebody wanted."""

    def __init__(self) -> None:
        self.files = {PHOTO.file_id: JPEG, REPORT.file_id: PDF}
        self.asked: list[str] = []

    async def fetch(self, file: Attachment) -> bytes:
        self.asked.append(file.file_id)
        if file.file_id not in self.files:
            raise DownloadError(f"{file.label} could not be downloaded.")
        return self.files[file.file_id]


@pytest.fixture
def chat() -> Chat:
    return Chat()


def asks(*content: UserContent) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(list(content))])


def photo(number: int) -> BinaryContent:
    return named(Attachment("photo", str(number), f"u{number}"), "image/png", png(number, 1))


def through_json(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Strip, write as the log does, and read again."""
    written = ModelMessagesTypeAdapter.dump_json(stripped(messages), exclude_none=True)
    for content in (JPEG, PDF, png()):
        assert content[:20].hex() not in written.hex()
    assert '"data":"' not in written.decode().replace('"data":""', "")
    return ModelMessagesTypeAdapter.validate_json(written)


def data(messages: Sequence[ModelMessage]) -> list[bytes | str]:
    """What is in the prompts, files by their bytes."""
    parts = [part for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    items = [
        item for part in parts for item in ([part.content] if isinstance(part.content, str) else part.content)
    ]
    return [item.data if isinstance(item, BinaryContent) else str(item) for item in items]


async def test_bytes_are_taken_out_and_put_in_again(chat: Chat) -> None:
    messages: list[ModelMessage] = [
        asks("What is this?", named(PHOTO, "image/jpeg", JPEG), named(REPORT, "application/pdf", PDF)),
        ModelResponse(parts=[TextPart("A plan.")]),
    ]
    read = through_json(messages)
    assert data(read) == ["What is this?", b"", b""]
    assert await restored(read, chat.fetch, SEES) == messages
    assert chat.asked == [PHOTO.file_id, REPORT.file_id]


async def test_what_has_no_files_stays_the_same_object(chat: Chat) -> None:
    messages: list[ModelMessage] = [
        ModelRequest(
            parts=[UserPromptPart("hello"), UserPromptPart(["a", TextContent("b", metadata={"c": 1})])]
        ),
        ModelResponse(parts=[TextPart("hi"), ToolCallPart("look", {"at": ["x", {"y": None}]})]),
        ModelRequest(parts=[ToolReturnPart("look", {"seen": ["x", {"y": (1, 2)}]}, metadata=[1])]),
        asks(ImageUrl("https://example.org/a.png")),
    ]
    for changed in (stripped(messages), await restored(messages, chat.fetch, SEES)):
        assert all(new is old for new, old in zip(changed, messages, strict=True))


async def test_the_files_of_the_newest_turns_are_put_in_again_and_older_ones_are_words(chat: Chat) -> None:
    chat.files = {str(n): png(n, 1) for n in range(1, 6)}
    messages = [message for n in range(1, 6) for message in (asks(photo(n)), asks("and?"))]
    read = await restored(through_json(messages), chat.fetch, SEES)
    seen = ["[Photo, seen earlier]"] * 2 + [png(n, 1) for n in (3, 4, 5)]
    assert data(read)[::2] == seen
    assert chat.asked == ["5", "4", "3"]


async def test_what_this_model_does_not_take_is_words_and_is_not_fetched(chat: Chat) -> None:
    messages = [asks(named(PHOTO, "image/jpeg", JPEG), named(REPORT, "application/pdf", PDF))]
    blind = Sight(pictures=False, documents=False)
    read = await restored(through_json(messages), chat.fetch, blind)
    assert data(read) == [f"[Photo: {NO_PICTURES}]", f"[File: {NO_PDFS}]"]
    assert chat.asked == []


async def test_a_picture_that_is_too_large_for_this_model_is_words(chat: Chat) -> None:
    read = through_json([asks(named(PHOTO, "image/jpeg", JPEG))])
    [words] = data(
        await restored(read, chat.fetch, Sight(pictures=True, documents=True, picture_bytes_max=9))
    )
    assert "takes pictures of at most 9 bytes" in str(words)


async def test_an_album_is_one_turn(chat: Chat) -> None:
    chat.files = {str(n): png(n, 1) for n in range(1, 9)}
    messages = [asks(photo(n), photo(n + 1)) for n in (1, 3, 5, 7)]
    read = await restored(through_json(messages), chat.fetch, SEES)
    assert data(read) == ["[Photo, seen earlier]"] * 2 + [png(n, 1) for n in range(3, 9)]


async def test_no_more_files_come_back_than_a_provider_takes(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_log, "FILES_MAX", 3)
    chat.files = {str(n): png(n, 1) for n in range(1, 5)}
    read = await restored(
        through_json([asks(photo(1), photo(2)), asks(photo(3), photo(4))]), chat.fetch, SEES
    )
    assert data(read) == [png(1, 1), "[Photo, seen earlier]", png(3, 1), png(4, 1)]


async def test_no_more_bytes_come_back_than_there_is_room_for(chat: Chat) -> None:
    chat.files = {str(n): png(1, 1).ljust(size, b"x") for n, size in enumerate((50, 70, 100), start=1)}
    read = await restored(through_json([asks(photo(n)) for n in (1, 2, 3)]), chat.fetch, SEES, 160)
    assert data(read) == [chat.files["1"], "[Photo, seen earlier]", chat.files["3"]]


async def test_a_file_that_is_gone_is_words_and_costs_nothing_else(chat: Chat) -> None:
    chat.files = {"2": png(2, 1)}
    read = await restored(through_json([asks("a", photo(1)), asks("b", photo(2))]), chat.fetch, SEES)
    assert data(read) == ["a", "[Photo: not available any more]", "b", png(2, 1)]


async def test_the_same_file_in_an_old_and_a_new_turn_is_bytes_in_the_new_one_alone(chat: Chat) -> None:
    old = named(PHOTO, "image/jpeg", JPEG)
    messages = [asks(old), *(asks(photo(n)) for n in (1, 2)), asks(named(PHOTO, "image/jpeg", JPEG))]
    chat.files |= {str(n): png(n, 1) for n in (1, 2)}
    read = await restored(through_json(messages), chat.fetch, SEES)
    assert data(read) == ["[Photo, seen earlier]", png(1, 1), png(2, 1), JPEG]


async def test_what_a_tool_returned_is_words_later_wherever_it_is(chat: Chat) -> None:
    picture = BinaryImage(png(), media_type="image/png")
    sound = BinaryContent(b"OggS", media_type="audio/ogg")
    messages: list[ModelMessage] = [
        ModelRequest(
            parts=[
                ToolReturnPart("draw", picture, "1", metadata={"raw": picture}),
                ToolReturnPart("more", ["two", picture, {"deep": [sound]}], "2"),
            ]
        )
    ]
    read = through_json(messages)
    first, second = (await restored(read, chat.fetch, SEES))[0].parts
    assert isinstance(first, ToolReturnPart)
    assert isinstance(second, ToolReturnPart)
    assert first.content == "[Picture, seen earlier]"
    assert second.content == ["two", "[Picture, seen earlier]", {"deep": ["[Recording, seen earlier]"]}]
    assert chat.asked == []


async def test_a_photo_that_a_tool_gave_again_comes_back(chat: Chat) -> None:
    part = ToolReturnPart("last_photo", named(PHOTO, "image/jpeg", JPEG), "1")
    [read] = await restored(through_json([ModelRequest(parts=[part])]), chat.fetch, SEES)
    assert isinstance(read.parts[0], ToolReturnPart)
    [file] = read.parts[0].files
    assert isinstance(file, BinaryContent)
    assert file.data == JPEG


async def test_a_picture_that_the_model_made_is_words_later(chat: Chat) -> None:
    drawn = FilePart(BinaryImage(png(), media_type="image/png"), id="1", provider_name="openai")
    [read] = await restored(through_json([ModelResponse(parts=[TextPart("Here:"), drawn])]), chat.fetch, SEES)
    assert [part.content for part in read.parts if isinstance(part, TextPart)] == [
        "Here:",
        "[Picture, seen earlier]",
    ]


def written(content: dict[str, Any]) -> list[ModelMessage]:
    """Messages as some version wrote them, with this content."""
    part = {"part_kind": "user-prompt", "content": ["look", {"kind": "binary", **content}]}
    return ModelMessagesTypeAdapter.validate_json(json.dumps([{"kind": "request", "parts": [part]}]))


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        (None, "[Picture, seen earlier]"),
        ("", "[Picture, seen earlier]"),
        ("a1b2c3", "[Picture, seen earlier]"),
        ("telegram", "[Picture, seen earlier]"),
        ("telegram:photo", "[Picture, seen earlier]"),
        ("telegram:photo:a:b:c", "[Picture, seen earlier]"),
        ("telegram:hologram:a:b", "[Picture, seen earlier]"),
        ("telegram:photo:%ff%:", "[Photo: not available any more]"),
        ("telegram:sticker:a:b", "[File: not available any more]"),
    ],
)
async def test_a_file_that_another_version_named_is_words(
    chat: Chat, identifier: str | None, words: str
) -> None:
    messages = written({"data": "", "media_type": "image/png", "identifier": identifier})
    assert data(await restored(messages, chat.fetch, SEES)) == ["look", words]


async def test_bytes_that_another_version_left_in_are_taken_as_they_are(chat: Chat) -> None:
    messages = written({"data": "aGVsbG8=", "media_type": "text/x-odd"})
    assert data(await restored(messages, chat.fetch, SEES)) == ["look", b"hello"]
    assert data(stripped(messages)) == ["look", b""]
