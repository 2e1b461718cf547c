"""Telegram as a bot that dies at any step sees it: the updates, and what is on the screens."""

import copy
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from tests.house import raw_message
from tests.store.instance import pressed
from tgbot.model import ChatId, MessageId, Raw, box
from tgbot.store.outbox import SURPLUS_TEXT
from tgbot.telegram.client import Upload
from tgbot.telegram.errors import MessageGoneError, NotModifiedError, NotOursError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED = b"no picture at all"  # in an album that Telegram does not take
_FILES = ("photo", "document", "voice")


class Telegram:
    """Delivers an update until a greater offset is asked for; shows what was sent, as it was last edited.

    Messages are numbered as Telegram does it: by box, in and out, and no id is used twice.
    """

    def __init__(self) -> None:
        self.asked: tuple[str, dict[str, Any]] | None = None  # what is about to be done
        self.changes = 0  # of what is on screen or unconfirmed
        self._unconfirmed: list[Raw] = []
        self._last_update_id = 100
        self._newest: Counter[int] = Counter()
        self._messages: dict[tuple[int, int], Raw] = {}  # each is replaced by an edit, never changed

    def copy(self) -> Self:
        """Make one in the same state."""
        other = copy.copy(self)
        other._unconfirmed = list(self._unconfirmed)
        other._newest = Counter(self._newest)
        other._messages = dict(self._messages)
        return other

    # What people do

    def hear(self, said: str, chat: int, **more: str) -> None:
        self._last_update_id += 1
        self.changes += 1
        message_id = self._number(chat)
        raw = raw_message(self._last_update_id, said, chat, message_id=message_id, **more)
        self._messages[box(ChatId(chat)), message_id] = raw["message"]
        self._unconfirmed.append(raw)

    def change(self, said: str, new: str) -> None:
        """Let somebody edit what they said."""
        self._last_update_id += 1
        self.changes += 1
        where, old = next(
            (where, one) for where, one in self._messages.items() if "from" in one and one["text"] == said
        )
        self._messages[where] = old | {"text": new, "edit_date": 2}
        self._unconfirmed.append({"update_id": self._last_update_id, "edited_message": self._messages[where]})

    def press(self, label: str) -> None:
        """Press the newest button whose data starts with `label`, if there is one."""
        found = [
            (message, data)
            for message in self._messages.values()
            for data in _buttons(message)
            if data.startswith(label)
        ]
        if found:
            message, data = found[-1]
            self.changes += 1
            self._last_update_id += 1
            update = pressed(self._last_update_id, data, message["message_id"], message["chat"]["id"])
            self._unconfirmed.append(update)

    # What people see

    def screen(self, chat: int) -> list[str]:
        """Read the bot's messages in a chat from top to bottom."""
        return [_seen(message) for message in self._ours() if message["chat"]["id"] == chat]

    @property
    def strays(self) -> int:
        """Count the messages that a settling has left: each "…", and each button that it marked one with."""
        return sum(
            message.get("text") == SURPLUS_TEXT or "settling" in _buttons(message) for message in self._ours()
        )

    # What bots ask for

    def get_updates(self, offset: int) -> list[Raw]:
        unconfirmed = [raw for raw in self._unconfirmed if raw["update_id"] >= offset]
        self.changes += unconfirmed != self._unconfirmed
        self._unconfirmed = unconfirmed
        return list(self._unconfirmed)

    def call(self, method: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - each method has its own
        """Do what a method of the Bot API does. Raises what the client makes of a refusal."""
        methods: dict[str, Callable[..., Any]] = {
            "sendMessage": self._send,
            "sendRichMessage": self._refuse,
            **dict.fromkeys(("sendPhoto", "sendDocument", "sendVoice"), self._send),
            "sendMediaGroup": self._send_album,
            "editMessageText": self._edit_text,
            "editMessageMedia": self._edit_media,
            "editMessageReplyMarkup": self._edit,
            "deleteMessage": self._delete,
        }
        self.asked = None
        answer = methods[method](**params)
        self.changes += 1
        return answer

    def _send(self, chat_id: ChatId, reply_markup: Any = None, **content: Any) -> Raw:  # noqa: ANN401 - JSON
        message_id = self._number(chat_id)
        shown = {name: _name(content[name]) for name in _content(content)}
        message = {"message_id": message_id, "chat": {"id": chat_id}, "reply_markup": reply_markup, **shown}
        self._messages[box(chat_id), message_id] = message
        return dict(message)

    def _send_album(self, chat_id: ChatId, media: list[Upload], **_: object) -> list[Raw]:
        if any(upload.content == REFUSED for upload in media):
            raise RefusedError("not an image")
        group = f"album {self._newest[box(chat_id)]}"
        return [
            self._send(chat_id, **{one.kind: one}, caption=one.caption, media_group_id=group) for one in media
        ]

    def _refuse(self, **_: object) -> Raw:
        raise RefusedError("Bad Request")

    def _edit_text(self, chat_id: ChatId, message_id: MessageId, text: str = "", **more: Any) -> Raw:  # noqa: ANN401 - JSON
        if "text" not in self._found(chat_id, message_id):
            raise RefusedError("there is no text in the message to edit")
        if "rich_message" in more:
            self._refuse()
        return self._edit(chat_id, message_id, more.get("reply_markup"), text=text)

    def _edit_media(self, chat_id: ChatId, message_id: MessageId, media: Upload, **more: Any) -> Raw:  # noqa: ANN401 - JSON
        content = {media.kind: media.name, "caption": media.caption}
        return self._edit(chat_id, message_id, more.get("reply_markup"), text=None, **content)

    def _edit(
        self,
        chat_id: ChatId,
        message_id: MessageId,
        reply_markup: Any = None,  # noqa: ANN401 - JSON
        **content: str | None,
    ) -> Raw:
        message = self._found(chat_id, message_id)
        edited = message | content | {"reply_markup": reply_markup}
        edited = {
            name: value for name, value in edited.items() if value is not None or name == "reply_markup"
        }
        if edited == message:
            raise NotModifiedError("message is not modified")
        self._messages[box(chat_id), message_id] = edited
        return dict(edited)

    def _delete(self, chat_id: ChatId, message_id: MessageId) -> bool:
        self._found(chat_id, message_id)
        del self._messages[box(chat_id), message_id]
        return True

    def _found(self, chat_id: ChatId, message_id: MessageId) -> Raw:
        message = self._messages.get((box(chat_id), message_id))
        if message is None or message["chat"]["id"] != chat_id:
            raise MessageGoneError("message to edit not found")
        if "from" in message:
            raise NotOursError("message can't be edited")
        return message

    def _number(self, chat: int) -> int:
        self._newest[box(ChatId(chat))] += 1
        return self._newest[box(ChatId(chat))]

    def _ours(self) -> list[Raw]:
        return [message for _, message in sorted(self._messages.items()) if "from" not in message]


def _content(params: dict[str, Any]) -> list[str]:
    known = ("text", "caption", "media_group_id", *_FILES)
    return [name for name in known if params.get(name) is not None]


def _name(value: str | Upload) -> str:
    return value.name if isinstance(value, Upload) else value


def _seen(message: Raw) -> str:
    kind = next((kind for kind in _FILES if kind in message), None)
    if kind is None:
        return str(message["text"])
    album = " of an album" if "media_group_id" in message else ""
    return f"[{kind}{album}] {message.get('caption', '')}".strip()


def _buttons(message: Raw) -> list[str]:
    markup = message.get("reply_markup") or {}
    rows = markup["inline_keyboard"] if markup else []
    return [button["callback_data"] for row in rows for button in row]
