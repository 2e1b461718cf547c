"""Telegram as a bot that dies at any step sees it: the updates, and what is on the screens."""

import json
from dataclasses import dataclass, field

from tests.house import raw_message
from tests.store.instance import pressed
from tgbot.delivery.chat_sender import PLACEHOLDER
from tgbot.model import ChatId, Part, Raw


@dataclass
class Bubble:
    """One message on a screen."""

    chat_id: ChatId
    text: str
    buttons: list[str] = field(default_factory=list)


class Telegram:
    """Delivers an update until a greater offset is asked for; shows what was sent, as it was last edited."""

    def __init__(self) -> None:
        self._unconfirmed: list[Raw] = []
        self._last_update_id = 100
        self._bubbles: dict[int, Bubble] = {}

    def hear(self, said: str, chat: int, **more: str) -> None:
        self._last_update_id += 1
        self._unconfirmed.append(raw_message(self._last_update_id, said, chat, **more))

    def press(self, label: str) -> None:
        """Press the newest button whose data starts with `label`."""
        found = [
            (message_id, bubble.chat_id, data)
            for message_id, bubble in self._bubbles.items()
            for data in bubble.buttons
            if data.startswith(label)
        ]
        message_id, chat_id, data = found[-1]
        self._last_update_id += 1
        self._unconfirmed.append(pressed(self._last_update_id, data, message_id, chat_id))

    def get_updates(self, offset: int) -> list[Raw]:
        self._unconfirmed = [raw for raw in self._unconfirmed if raw["update_id"] >= offset]
        return list(self._unconfirmed)

    def send_placeholder(self, chat_id: ChatId) -> int:
        message_id = 500 + len(self._bubbles)
        self._bubbles[message_id] = Bubble(chat_id, PLACEHOLDER)
        return message_id

    def edit(self, part: Part) -> None:
        assert part.message_id
        assert part.text
        bubble = self._bubbles[part.message_id]
        assert bubble.chat_id == part.chat_id
        bubble.text = part.text
        rows = json.loads(part.buttons)["inline_keyboard"] if part.buttons else []
        bubble.buttons = [button["callback_data"] for row in rows for button in row]

    def screen(self, chat: int) -> list[str]:
        """Read a chat from top to bottom, without placeholders."""
        return [b.text for b in self._bubbles.values() if b.chat_id == chat and b.text != PLACEHOLDER]

    @property
    def strays(self) -> int:
        """Count the placeholders that were never edited."""
        return sum(bubble.text == PLACEHOLDER for bubble in self._bubbles.values())
