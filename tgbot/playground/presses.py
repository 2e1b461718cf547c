"""Pressed inline buttons: the callback queries, and what the bots answered."""

import random
from collections import OrderedDict
from typing import Any

from tgbot.playground.chats import Message
from tgbot.playground.errors import ApiError, bad_request
from tgbot.playground.keyboards import CALLBACK_DATA_BYTES_MAX

PRESSES_MAX = 10_000  # kept; the answer to an older one comes too late, as at Telegram


class Presses:
    """The newest callback queries by id, each with its answer once that has come."""

    def __init__(self, numbers: random.Random) -> None:
        self._numbers = numbers
        self._answers: OrderedDict[str, dict[str, Any] | None] = OrderedDict()

    def add(self, person: dict[str, Any], message: Message, data: str) -> dict[str, Any]:
        """Return the CallbackQuery of a new press."""
        if not 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES_MAX:
            raise bad_request("BUTTON_DATA_INVALID")
        callback_id = str(self._numbers.getrandbits(63))
        self._answers[callback_id] = None
        if len(self._answers) > PRESSES_MAX:
            self._answers.popitem(last=False)
        place = {"message": message, "chat_instance": str(message["chat"]["id"])}
        return {"id": callback_id, "from": person, **place, "data": data}

    def answer(self, callback_id: str, answer: dict[str, Any]) -> None:
        """Record a bot's answer, `{"text"?, "show_alert"?, "url"?}`."""
        if callback_id not in self._answers:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        self._answers[callback_id] = answer

    def answer_to(self, callback_id: str) -> dict[str, Any] | None:
        """Return the bot's answer to a press; None before it came."""
        if callback_id not in self._answers:
            raise ApiError(404, "Not Found: no such callback query")
        return self._answers[callback_id]
