"""Model messages as the log keeps them: without bytes, which are files of the chat and can be had again."""

import operator
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, cast, get_args
from urllib.parse import quote, unquote

from pydantic_ai.messages import (
    BaseToolReturnPart,
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelRequest,
    TextPart,
    UserContent,
    UserPromptPart,
)

from tgbot.agents.llm.sight import Sight
from tgbot.agents.llm.sniff import PDF, PICTURES
from tgbot.turns.context import MB, Attachment, AttachmentKind, DownloadError
from tgbot.turns.prompt import KINDS

TURNS_MAX = 3  # the newest ones that had files
FILES_MAX = 11  # an album, and what it replies to. (Of more than 20 pictures Anthropic wants smaller ones.)
EARLIER_BYTES_MAX = 6 * MB  # beside those of the turn that runs: `media.TURN_BYTES_MAX`

GONE = "not available any more"

_MARK = "telegram"
_KINDS = {"image": "Picture", "audio": "Recording", "video": "Video"}  # of what no person sent

Fetch = Callable[[Attachment], Awaitable[bytes]]
Change = Callable[[BinaryContent], BinaryContent | str]


def named(file: Attachment, media_type: str, content: bytes) -> BinaryContent:
    """Make the content of a file that somebody sent; by its identifier alone the file can be had again."""
    ids = [quote(one, safe="") for one in (file.unique_id, file.file_id)]
    return BinaryContent(content, media_type=media_type, identifier=":".join([_MARK, file.kind, *ids]))


def stripped(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Take out the bytes."""
    return [_changed(message, _emptied) for message in messages]


async def restored(
    messages: Sequence[ModelMessage], fetch: Fetch, sight: Sight, bytes_max: int = EARLIER_BYTES_MAX
) -> list[ModelMessage]:
    """Put the bytes of the newest turns in again, as far as there is room; other files become words.

    `fetch` gives a file's bytes, or raises DownloadError. What a tool or the model itself made is words, too:
    nobody has its bytes any more; and what this model cannot take, because an earlier one could. Never
    raises, whatever the log held.
    """
    found = await _fetched(messages, fetch, sight, bytes_max)

    def change(content: BinaryContent) -> BinaryContent | str:
        match found.get(id(content)):
            case bytes(data):
                return _with(content, data)
            case str(reason):
                return f"[{_what(content)}: {reason}]"
        return f"[{_what(content)}, seen earlier]"

    return [_changed(message, change) for message in messages]


async def restored_prompt(
    prompt: Sequence[UserContent], fetch: Fetch, sight: Sight, bytes_max: int
) -> list[UserContent]:
    """Do the same for one prompt, which is to be answered again."""
    [message] = await restored([ModelRequest([UserPromptPart(prompt)])], fetch, sight, bytes_max)
    part = message.parts[0]
    assert isinstance(part, UserPromptPart), "it is that one"
    content = part.content
    return [content] if isinstance(content, str) else list(content)


async def _fetched(
    messages: Sequence[ModelMessage], fetch: Fetch, sight: Sight, room: int
) -> dict[int, bytes | str]:
    """Fetch the newest files; by the id of the content, with a reason where the model cannot have it."""
    turns = filter(None, map(_files_of, reversed(messages)))
    newest = chain.from_iterable(islice(turns, TURNS_MAX))
    found: dict[int, bytes | str] = {}
    for content in islice(newest, FILES_MAX):
        data = await _for_model(content, fetch, sight)
        size_bytes = len(data) if isinstance(data, bytes) else 0
        if size_bytes <= room:
            found[id(content)] = data
            room -= size_bytes
    return found


async def _for_model(content: BinaryContent, fetch: Fetch, sight: Sight) -> bytes | str:
    """Give the bytes of a file, or the reason why the model cannot have it."""
    kind = content.media_type
    if reason := sight.refusal_unseen(kind):
        return reason
    data = content.data or await _again(content, fetch)
    if not data:
        return GONE
    return (sight.refusal(kind, data) if kind in {PDF, *PICTURES} else None) or data


def _files_of(message: ModelMessage) -> list[BinaryContent]:
    """List what of a message has bytes, or can have them again."""
    contents: list[BinaryContent] = []

    def note(content: BinaryContent) -> BinaryContent:
        contents.append(content)
        return content

    _changed(message, note)
    return [content for content in contents if content.data or _file_of(content)]


async def _again(content: BinaryContent, fetch: Fetch) -> bytes | None:
    file = _file_of(content)
    try:
        return await fetch(file) if file else None
    except DownloadError:
        return None


def _file_of(content: BinaryContent) -> Attachment | None:
    """Read what `named` wrote; None if it was not that."""
    mark, _, rest = content.identifier.partition(":")
    kind, *ids = rest.split(":")
    if mark != _MARK or kind not in get_args(AttachmentKind) or len(ids) != 2:  # noqa: PLR2004 - as written
        return None
    unique_id, file_id = map(unquote, ids)
    return Attachment(cast("AttachmentKind", kind), file_id, unique_id, mime_type=content.media_type)


def _what(content: BinaryContent) -> str:
    file = _file_of(content)
    return KINDS.get(file.kind, "File") if file else _KINDS.get(content.media_type.partition("/")[0], "File")


def _emptied(content: BinaryContent) -> BinaryContent:
    return _with(content, b"")


def _with(content: BinaryContent, data: bytes) -> BinaryContent:
    more = content.vendor_metadata
    return BinaryContent(
        data, media_type=content.media_type, identifier=content.identifier, vendor_metadata=more
    )


def _changed(message: Any, change: Change) -> Any:  # noqa: ANN401 - a ModelMessage, of either class
    """Change each binary content, wherever it is; what has none stays the same object."""
    parts = [_changed_part(part, change) for part in message.parts]
    same = all(map(operator.is_, parts, message.parts))
    return message if same else replace(message, parts=parts)


def _changed_part(part: Any, change: Change) -> Any:  # noqa: ANN401 - any part of a message
    match part:
        case UserPromptPart():
            content = _changed_value(part.content, change)
            return part if content is part.content else replace(part, content=content)
        case BaseToolReturnPart():
            content, more = _changed_value(part.content, change), _changed_value(part.metadata, change)
            same = content is part.content and more is part.metadata
            return part if same else replace(part, content=content, metadata=more)
        case FilePart():
            made = change(part.content)
            return replace(part, content=made) if isinstance(made, BinaryContent) else TextPart(made)
    return part


def _changed_value(value: Any, change: Change) -> Any:  # noqa: ANN401 - whatever a tool returns
    match value:
        case BinaryContent():
            return change(value)
        case list() | tuple():
            items = [_changed_value(item, change) for item in value]
            return value if all(map(operator.is_, items, value)) else items
        case Mapping():
            fields = {name: _changed_value(field, change) for name, field in value.items()}
            return value if all(map(operator.is_, fields.values(), value.values())) else fields
    return value
