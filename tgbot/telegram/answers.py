"""Pure: judges what came back over HTTP. A refusal by Telegram is an error; any other page is no answer."""

import json
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
    NotNowError,
    NotOursError,
    RefusedError,
    TokenRefusedError,
    TopicGoneError,
    UnreachableError,
)

REASON_MAX_CHARACTERS = 300
# What a refusal means, by the words in it: lower case is the Bot API server's own text, CAPITALS are what it
# passes on raw from behind it (MESSAGE_ID_INVALID: while that still knows a deleted message).
MEANINGS: tuple[tuple[type[RefusedError], tuple[str, ...]], ...] = (
    (NotModifiedError, ("message is not modified",)),
    (MessageGoneError, ("message to edit not found", "message to delete not found", "MESSAGE_ID_INVALID")),
    (NotOursError, ("message can't be edited",)),
    (TopicGoneError, ("message thread not found", "TOPIC_CLOSED", "TOPIC_DELETED")),
    (
        NotNowError,
        (
            "bot was blocked by the user",
            "bot can't initiate conversation with a user",
            "bot was kicked from",
            "bot is not a member of",
            "not enough rights to send",
            "have no rights to send",
            "have no write access",
            "need administrator rights",
            "CHANNEL_PRIVATE",
            "CHAT_ADMIN_REQUIRED",
            "CHAT_RESTRICTED",
            "CHAT_SEND_",  # ..._PLAIN_FORBIDDEN, ..._PHOTOS_FORBIDDEN
            "CHAT_WRITE_FORBIDDEN",
            "USER_BANNED_IN_CHANNEL",
        ),
    ),
)
MAY_PASS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY)
# A server that says less, or nothing that can be read, must not make a busy loop of us; nor one that says
# more silence a chat for good.
RETRY_AFTER_SECONDS_MIN = 1.0
RETRY_AFTER_SECONDS_MAX = 86_400.0


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
    text, given = _text(code, answer.get("description")), answer.get("parameters")
    parameters = given if isinstance(given, dict) else {}
    if (chat_id := _new_chat_id(parameters)) is not None:
        return ChatMigratedError(text, chat_id)
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return FloodedError(_retry_after_seconds(parameters))
    if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
        return TokenRefusedError(
            "the Bot API server does not know this token: check TGBOT_TOKEN and TGBOT_API_URL"
        )
    if code == HTTPStatus.CONFLICT:
        return ConflictError(text)
    if HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR and code not in MAY_PASS:
        return _refused(text)
    return UnreachableError(text)


def _refused(text: str) -> RefusedError:
    lowered = text.lower()
    for meaning, phrases in MEANINGS:
        if any(phrase.lower() in lowered for phrase in phrases):
            return meaning(text)
    return RefusedError(text)


def _text(code: int, description: object) -> str:
    if isinstance(description, str) and description:
        return one_line(description)
    return f"error {code}"


def _new_chat_id(parameters: dict[str, Any]) -> ChatId | None:
    found = parameters.get("migrate_to_chat_id")
    return ChatId(found) if type(found) is int and abs(found) < 2**63 else None


def _retry_after_seconds(parameters: dict[str, Any]) -> float:
    found = parameters.get("retry_after")
    if not isinstance(found, int | float) or not found >= RETRY_AFTER_SECONDS_MIN:  # NaN is not
        return RETRY_AFTER_SECONDS_MIN
    return float(min(found, RETRY_AFTER_SECONDS_MAX))


def _kind(payload: bytes, answer: object) -> str:
    """Name the kind of a page by its content. Never its text: it may be long, or quote the URL."""
    page = payload.lstrip()
    if not page:
        return "empty"
    if page.startswith(b"<"):
        return "text/html"
    return "no JSON" if answer is None else "other JSON"
