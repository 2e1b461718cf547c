"""Judges nobody here wrote: other people's models of the Bot API, asked about what crosses the wire.

`judge_journal(server.world.journal)` takes every request a bot made and fails with a list of what is wrong:

- aiogram's method model (`aiogram.methods`) must take the parameters, without a field it doesn't know,
- teremok's rules (limits, keyboards, entities) must pass,
- Telegram's own text code (tdjson, offline) must take every text with its entities,
- aiogram's model of the result must take what the playground answered, again without an unknown field.

`judge_update(update)` and `judge_message(message)` do the last for what the playground emits by itself, and
ask python-telegram-bot as well.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import aiogram.methods
import aiogram.types
import tdjson
import telegram
from aiogram import Bot
from aiogram.methods.base import TelegramMethod
from pydantic import BaseModel, TypeAdapter, ValidationError
from teremok.validation import ApiRuleViolation, validate_method

# A bot that never connects: the models want one for their defaults.
_BOT = Bot("1:playground")
_TEXT_FIELDS = (("text", "entities"), ("caption", "caption_entities"))


def judge_journal(journal: Iterable[Mapping[str, Any]]) -> None:
    """Fail if a judge objects to any request in the journal, or to any answer."""
    wrong = [f"#{call['n']} {call['method']}: {reason}" for call in journal for reason in _judge_call(call)]
    assert not wrong, "\n".join(wrong)


def judge_update(update: dict[str, Any]) -> None:
    """Fail if an Update is not exactly what the models know."""
    _strict(aiogram.types.Update, update)
    assert telegram.Update.de_json(update, None).update_id == update["update_id"]


def judge_message(message: dict[str, Any]) -> None:
    """Fail if a Message is not exactly what the models know."""
    _strict(aiogram.types.Message, message)
    assert telegram.Message.de_json(message, None).message_id == message["message_id"]


def td_text_error(text: str, entities: list[dict[str, Any]]) -> str | None:
    """Return what Telegram's own code says against a text with entities, or None."""
    formatted = {"@type": "formattedText", "text": text, "entities": [_td_entity(one) for one in entities]}
    answer = td({"@type": "getMarkdownText", "text": formatted})
    return str(answer["message"]) if answer["@type"] == "error" else None


def td(request: dict[str, Any]) -> dict[str, Any]:
    """Run one of TDLib's offline functions."""
    answer: dict[str, Any] = json.loads(tdjson.td_execute(json.dumps(request).encode()) or b"{}")
    return answer


td({"@type": "setLogVerbosityLevel", "new_verbosity_level": 0})


def _judge_call(call: Mapping[str, Any]) -> list[str]:
    """Return what the judges have against one call."""
    name = call["method"]
    model = getattr(aiogram.methods, name[:1].upper() + name[1:], None)
    if model is None:
        return ["no such method"]
    params = {key: _with_files(value) for key, value in call["params"].items() if key != "attached"}
    try:
        method = _strict(model, params)
        if "rich_message" not in params:  # newer than teremok's rules, which ask for a text
            validate_method(_BOT, method)
        _judge_answer(model, call)
    except (ValidationError, ApiRuleViolation, AssertionError) as error:
        return [str(error)]
    return _judge_text(call["params"])


def _judge_answer(model: type[TelegramMethod[Any]], call: Mapping[str, Any]) -> None:
    if (call["response"] or {}).get("ok"):
        returned = TypeAdapter(model.__returning__).validate_python(
            call["response"]["result"], context={"bot": _BOT}
        )
        _known_only(returned)


def _judge_text(params: Mapping[str, Any]) -> list[str]:
    errors = [
        td_text_error(params[text], params.get(entities) or [])
        for text, entities in _TEXT_FIELDS
        if params.get(text)
    ]
    return [error for error in errors if error]


def _strict(model: type[BaseModel], raw: dict[str, Any]) -> Any:  # noqa: ANN401  an instance of the model
    parsed = model.model_validate(raw, context={"bot": _BOT})
    _known_only(parsed)
    return parsed


def _known_only(value: object) -> None:
    """Fail if a model, however deep, took a field it doesn't know: aiogram keeps those apart."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{type(value).__name__} does not know {sorted(value.model_extra)}"
        for name in type(value).model_fields:
            _known_only(getattr(value, name))
    elif isinstance(value, list | tuple):
        for item in value:
            _known_only(item)


def _with_files(value: object) -> object:
    """Return a journal's parameter with described uploads made files again."""
    if isinstance(value, dict) and value.keys() == {"file_name", "size"}:
        return aiogram.types.BufferedInputFile(b"", value["file_name"])
    return value


_TD_TYPES = {
    "mention": "Mention",
    "hashtag": "Hashtag",
    "cashtag": "Cashtag",
    "bot_command": "BotCommand",
    "url": "Url",
    "email": "EmailAddress",
    "phone_number": "PhoneNumber",
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "blockquote": "BlockQuote",
    "expandable_blockquote": "ExpandableBlockQuote",
    "text_mention": "MentionName",
    "custom_emoji": "CustomEmoji",
}


def _td_entity(entity: dict[str, Any]) -> dict[str, Any]:
    """Return a Bot API MessageEntity as TDLib names it."""
    return {
        "@type": "textEntity",
        "offset": entity["offset"],
        "length": entity["length"],
        "type": _td_type(entity),
    }


def _td_type(entity: dict[str, Any]) -> dict[str, Any]:
    if entity["type"] == "pre":
        language = entity.get("language")
        return (
            {"@type": "textEntityTypePreCode", "language": language}
            if language
            else {"@type": "textEntityTypePre"}
        )
    if entity["type"] == "text_link":
        return {"@type": "textEntityTypeTextUrl", "url": entity["url"]}
    return {"@type": f"textEntityType{_TD_TYPES[entity['type']]}"}
