"""How each kind of part is sent, edited in, recognized on screen, and what takes its place when refused."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from tgbot import render
from tgbot.model import KeptFile, MessageId, Part, Raw
from tgbot.render import Text
from tgbot.store.parts import OnePart
from tgbot.telegram.client import Upload

DUPLICATE = " (possibly a duplicate)"


class Request(NamedTuple):
    """A method of the Bot API, and the parameters that hold the content."""

    method: str
    content: dict[str, object]


class Kind:
    """One kind of part. `uploads` are the contents of its files: one, or those of its album."""

    editable = True  # a message of text can be edited into it

    def send(self, part: Part, uploads: Sequence[Upload]) -> Request:
        """Make the request that sends it as a new message."""
        raise NotImplementedError

    def edit(self, part: Part, uploads: Sequence[Upload]) -> Request:
        """Make the request that turns a message on screen into it."""
        raise NotImplementedError

    def is_shown_by(self, part: Part, message: Raw) -> bool:
        """Whether a message of ours, of an id that we do not know, is this part."""
        raise NotImplementedError

    def plainer(self, part: Part) -> Sequence[OnePart]:
        """Choose what to show instead of a refused part; empty if there is nothing plainer."""
        raise NotImplementedError


class _Text(Kind):
    def send(self, part: Part, uploads: Sequence[Upload]) -> Request:
        return self.edit(part, uploads)._replace(method="sendMessage")

    def edit(self, part: Part, _uploads: Sequence[Upload]) -> Request:
        text = (part.text or "") + (DUPLICATE if part.duplicate else "")
        entities = json.loads(part.entities) if part.entities else None
        no_preview = {"is_disabled": True}
        content = {"text": text, "entities": entities, "link_preview_options": no_preview}
        return Request("editMessageText", content)

    def is_shown_by(self, part: Part, message: Raw) -> bool:
        return _same(message.get("text"), part.text)

    def plainer(self, part: Part) -> Sequence[OnePart]:
        return [Text(part.text or "")] if part.entities else []


class _Rich(Kind):
    def send(self, part: Part, uploads: Sequence[Upload]) -> Request:
        return self.edit(part, uploads)._replace(method="sendRichMessage")

    def edit(self, part: Part, _uploads: Sequence[Upload]) -> Request:
        markdown = (part.text or "") + (f"\n\n{DUPLICATE.strip()}" if part.duplicate else "")
        return Request("editMessageText", {"rich_message": render.rich(markdown)})

    def is_shown_by(self, _part: Part, message: Raw) -> bool:
        return "rich_message" in message

    def plainer(self, part: Part) -> Sequence[OnePart]:
        return render.render(part.text or "")


class _File(Kind):
    def __init__(self, name: str) -> None:
        self._name = name  # of the parameter; the method is sendPhoto for photo

    def send(self, _part: Part, uploads: Sequence[Upload]) -> Request:
        [upload] = uploads
        content: dict[str, object] = {self._name: upload, "caption": upload.caption}
        return Request(f"send{self._name.capitalize()}", content)

    def edit(self, _part: Part, uploads: Sequence[Upload]) -> Request:
        [upload] = uploads
        return Request("editMessageMedia", {"media": upload})

    def is_shown_by(self, part: Part, message: Raw) -> bool:
        # Telegram may make an audio or an animation of a document.
        return not {"text", "rich_message"} & message.keys() and _same(message.get("caption"), part.text)

    def plainer(self, part: Part) -> Sequence[OnePart]:
        assert part.file_id is not None
        caption, name = part.text or "", part.file_name or "file"
        if part.kind != "document":
            return [KeptFile(name, part.file_id, caption=caption)]
        return [Text(f"{caption}\n\n(The file {name} cannot be shown here.)".strip())]


class _Voice(_File):
    editable = False


class _Album(Kind):
    editable = False

    def send(self, _part: Part, uploads: Sequence[Upload]) -> Request:
        return Request("sendMediaGroup", {"media": list(uploads)})

    def is_shown_by(self, part: Part, message: Raw) -> bool:
        return "media_group_id" in message and _same(message.get("caption"), part.text)


_FILES: dict[str, Kind] = {"photo": _File("photo"), "document": _File("document"), "voice": _Voice("voice")}
_KINDS: dict[str, Kind] = {"rich": _Rich()} | _FILES
_TEXT, _ALBUM = _Text(), _Album()


def kind_of(part: Part) -> Kind:
    """Find the strategy of a part."""
    return _ALBUM if part.album is not None else _KINDS.get(part.kind, _TEXT)


def is_shown_by(part: Part, message: Raw) -> bool:
    """Whether a message of ours, of an id that we do not know, is what was sent of this part."""
    if part.sent_text is not None:  # first words, which have become something else since
        return _same(message.get("text"), part.sent_text)
    return kind_of(part).is_shown_by(part, message)


def upload(part: Part, content: bytes) -> Upload:
    """Make the parameter of a part's file."""
    kind = part.kind if part.kind in {"photo", "voice"} else "document"
    caption = (part.text or "") + (DUPLICATE if part.duplicate else "")
    return Upload(kind, part.file_name or "file", content, caption or None)


def place(part: Part, reply_to: MessageId | None) -> dict[str, Any]:
    """Make the parameters that say where a new message goes, and how loudly."""
    reply = {"message_id": reply_to, "allow_sending_without_reply": True} if reply_to else None
    return {
        "chat_id": part.chat_id,
        "message_thread_id": part.topic_id,
        "reply_parameters": reply,
        "disable_notification": part.silent or None,
    }


def buttons(part: Part) -> Any:  # noqa: ANN401 - a Bot API InlineKeyboardMarkup, or None
    """Make the keyboard below a part."""
    return json.loads(part.buttons) if part.buttons else None


def _same(shown: object, sent: str | None) -> bool:
    return (shown if isinstance(shown, str) else "").strip() == (sent or "").strip()
