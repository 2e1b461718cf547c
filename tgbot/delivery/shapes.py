"""Pure: how a part of an answer is sent, and what to show instead of one that Telegram refuses."""

import json
from collections.abc import Sequence

from tgbot import render
from tgbot.model import File, MessageId, Part
from tgbot.render import Text
from tgbot.store.outbox import OnePart
from tgbot.telegram.client import Upload

DUPLICATE = " (possibly a duplicate)"
TRIES_MAX = 2  # for a part that cannot be made by an edit


def made_by_edit(part: Part) -> bool:
    """Whether a placeholder can be edited into this part: then it appears exactly once."""
    return part.kind not in {"voice", "ping"} and part.album is None


def edit(part: Part) -> tuple[str, dict[str, object]]:
    """Choose the edit that turns a placeholder into this part: the method and its parameters."""
    if part.file is not None:
        return "editMessageMedia", {"media": upload(part)}
    no_preview = {"is_disabled": True}
    if part.kind == "rich":
        return "editMessageText", {"rich_message": render.rich(part.text or "")}
    entities = json.loads(part.entities) if part.entities else None
    return "editMessageText", {"text": part.text, "entities": entities, "link_preview_options": no_preview}


def upload(part: Part) -> Upload:
    """Make the parameter of a part's file; a second try says so in its caption, an album in its first."""
    assert part.file is not None
    kind = part.kind if part.kind in {"photo", "voice"} else "document"
    caption = (part.text or "") + (DUPLICATE if part.tries else "")
    return Upload(kind, part.file_name or "file", part.file, caption or None)


def reply_to(message_id: MessageId | None) -> dict[str, object] | None:
    """Make the `reply_parameters` for a message, which may be deleted by then."""
    return {"message_id": message_id, "allow_sending_without_reply": True} if message_id else None


def plainer(part: Part) -> Sequence[OnePart]:
    """Choose what to show instead of a refused part; empty if there is nothing plainer."""
    text, name, content = part.text or "", part.file_name or "file", part.file or b""
    match part.kind:
        case "voice" if part.tries < TRIES_MAX:
            return [File(name, content, caption=text)]
        case "rich" if part.message_id:
            return render.render(text)
        case "text" if part.message_id and part.entities:
            return [Text(text)]
        case "photo" if part.message_id:
            return [File(name, content, caption=text)]
        case "document" if part.message_id:
            return [Text(f"{text}\n\n(The file {name} cannot be shown here.)".strip())]
    return []
