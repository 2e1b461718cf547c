"""Pure: judges what came back over HTTP. A refusal by Telegram is an error; any other page is no answer."""

import json
import math
from http import HTTPStatus
from typing import Any

from tgbot.model import ChatId
from tgbot.telegram.errors import (
    BotApiError,
    ChatMigratedError,
    ConflictError,
    FloodedError,
    MessageGoneError,
    NotModifiedError,
    RefusedError,
    TokenRefusedError,
    UnreachableError,
)

REASON_MAX_CHARACTERS = 300
# The last one is the raw text from behind the Bot API server, while that still knows a deleted message.
GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
MAY_PASS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


def parse(payload: bytes) -> object:
    """Parse JSON; None if Python cannot. Broken UTF-8 spoils only the characters that it hits."""
    try:
        return json.loads(payload.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def is_success(answer: object) -> bool:
    """Whether this is a success from Telegram itself, with a result."""
    return isinstance(answer, dict) and answer.get("ok") is True and "result" in answer


def failure(status: int, payload: bytes) -> BotApiError:
    """Make the error for an HTTP answer that is no success.

    Only Telegram itself can refuse; the page of a gateway says nothing about what became of the call.
    """
    answer = parse(payload)
    if isinstance(answer, dict) and answer.get("ok") is False and type(answer.get("error_code")) is int:
        return _refusal(answer["error_code"], answer)
    return UnreachableError(f"not a Bot API answer: {status} {_kind(payload, answer)}")


def one_line(text: str) -> str:
    """Make a text short, one line, and storable: JSON may hold lone surrogates, UTF-8 may not."""
    return " ".join(text.encode("utf-8", "replace").decode().split())[:REASON_MAX_CHARACTERS]


def _refusal(code: int, answer: dict[str, Any]) -> BotApiError:
    text, parameters = _text(code, answer.get("description")), answer.get("parameters")
    if isinstance(parameters, dict):
        if (chat_id := _new_chat_id(parameters)) is not None:
            return ChatMigratedError(text, chat_id)
        if (seconds := _retry_after_seconds(parameters)) is not None:
            return FloodedError(seconds)
    if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
        return TokenRefusedError(
            "the Bot API server does not know this token: check TGBOT_TOKEN and TGBOT_API_URL"
        )
    if code == HTTPStatus.CONFLICT:
        return ConflictError(text)
    if HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR and code not in MAY_PASS:
        return _refused_for_good(text)
    return UnreachableError(text)


def _refused_for_good(text: str) -> RefusedError:
    lowered = text.lower()
    if "message is not modified" in lowered:
        return NotModifiedError(text)
    if any(words in lowered for words in GONE):
        return MessageGoneError(text)
    return RefusedError(text)


def _text(code: int, description: object) -> str:
    if isinstance(description, str) and description:
        return one_line(description)
    return f"error {code}"


def _new_chat_id(parameters: dict[str, Any]) -> ChatId | None:
    found = parameters.get("migrate_to_chat_id")
    return ChatId(found) if type(found) is int and abs(found) < 2**63 else None


def _retry_after_seconds(parameters: dict[str, Any]) -> float | None:
    found = parameters.get("retry_after")
    if not isinstance(found, int | float) or isinstance(found, bool):
        return None
    return float(found) if 0 < found < math.inf else None


def _kind(payload: bytes, answer: object) -> str:
    """Name the kind of a page by its content. Never its text: it may be long, or quote the URL."""
    page = payload.lstrip()
    if not page:
        return "empty"
    if page.startswith(b"<"):
        return "text/html"
    return "no JSON" if answer is None else "other JSON"
