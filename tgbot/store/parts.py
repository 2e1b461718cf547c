"""What a part can hold, and how it is written into columns."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from tgbot.model import Album, Button, Choice, File, KeptAlbum, KeptFile, Part
from tgbot.render import Text
from tgbot.store.schema import outbox

ROW_CHARACTERS = 40  # of the labels of one row of buttons: a phone would cut more
CONTENT = ("kind", "text", "entities", "buttons", "file_name", "file_id", "album", "ready_at")

COLUMNS = (
    outbox.c.id.label("part_id"),
    outbox.c.pending_id.label("row_id"),
    outbox.c.part.label("number"),
    outbox.c.kind,
    outbox.c.state,
    outbox.c.chat_id,
    outbox.c.topic_id,
    outbox.c.reply_to,
    outbox.c.silent,
    outbox.c.message_id,
    outbox.c.text,
    outbox.c.entities,
    outbox.c.buttons,
    outbox.c.file_name,
    outbox.c.file_id,
    outbox.c.album,
    outbox.c.ready_at,
    outbox.c.floor,
    outbox.c.ceiling,
    outbox.c.sent_text,
    outbox.c.duplicate,
    outbox.c.tries,
)
PARTS = select(*COLUMNS)


@dataclass(frozen=True, slots=True)
class Rich:
    """An answer to show as one rich message (Bot API 10.1), or as texts if the server refuses it."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Ping:
    """A message that says the answer is there, for one that grew on screen: an edit sends no notification."""

    text: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A message with buttons below it."""

    text: Text
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with a button for each choice; the agent finds the answer under `key`."""

    key: str
    text: Text
    choices: tuple[Choice, ...]


OnePart = Text | KeptFile | Rich | Ping | Offer
Content = OnePart | KeptAlbum
Said = Content | File | Album  # as an agent says it: its files are not in the database yet


def numbered(contents: Sequence[Content], first: int) -> list[dict[str, Any]]:
    """Give the columns of each part, from the number `first` on; an album has a part for each file."""
    parts: list[dict[str, Any]] = []
    for content in contents:
        if isinstance(content, KeptAlbum):
            album = first + len(parts)
            parts += [columns(file) | {"album": album} for file in content.files]
        else:
            parts.append(columns(content))
    return [part | {"part": number} for number, part in enumerate(parts, start=first)]


def columns(content: OnePart, buttons: Sequence[Button] = ()) -> dict[str, Any]:
    """Give the columns of one part's content, which is final."""
    empty: dict[str, Any] = dict.fromkeys(CONTENT) | {"ready_at": time.time()}
    match content:
        case Text():
            return empty | {"kind": "text", **_text(content), "buttons": keyboard(buttons)}
        case Offer():
            return columns(content.text, content.buttons)
        case KeptFile():
            return empty | {
                "kind": content.kind,
                "text": content.caption or None,
                "file_name": content.name,
                "file_id": content.file_id,
            }
        case Rich():
            return empty | {"kind": "rich", "text": content.markdown}
        case Ping():
            return empty | {"kind": "ping", "text": content.text}


def keyboard(buttons: Sequence[Button]) -> str | None:
    """Make the JSON of the buttons below a message: in one row, or one below another where that is long."""
    row = [{"text": button.label, "callback_data": button.data} for button in buttons]
    if not row:
        return None
    fits = sum(len(button.label) for button in buttons) <= ROW_CHARACTERS
    return json.dumps({"inline_keyboard": [row] if fits else [[one] for one in row]})


def part_of(row: Sequence[Any]) -> Part:
    """Make a Part of a row of COLUMNS, which are in the order of its fields."""
    return Part(*row)


def _text(text: Text) -> dict[str, str | None]:
    return {"text": text.text, "entities": json.dumps(text.entities) if text.entities else None}
