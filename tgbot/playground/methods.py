"""What each Bot API method does, as Telegram does it, down to the words of its refusals."""

import time
from typing import Any

from tgbot.playground import text as texts
from tgbot.playground.bots import Bot
from tgbot.playground.chats import Chat, Message, quoted
from tgbot.playground.errors import bad_request
from tgbot.playground.keyboards import check_inline_keyboard, check_markup
from tgbot.playground.reactions import check_reaction
from tgbot.playground.registry import Params, method
from tgbot.playground.rich import rich_content
from tgbot.playground.world import World

CALLBACK_TEXT_MAX = 200  # https://core.telegram.org/bots/api#answercallbackquery
DELETE_MAX = 100  # https://core.telegram.org/bots/api#deletemessages
COMMANDS_MAX = 100  # https://core.telegram.org/bots/api#setmycommands
_CHAT_ACTIONS = (
    "typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker "
    "find_location record_video_note upload_video_note"
)
CHAT_ACTIONS = frozenset(_CHAT_ACTIONS.split())

TEXT = {"entities": list, "link_preview_options": dict}
SENT = {
    "message_thread_id": int,
    "disable_notification": bool,
    "protect_content": bool,
    "reply_parameters": dict,
    "reply_markup": dict,
}
ONE_MESSAGE = {"chat_id": int, "message_id": int}


# -- getting updates --


@method(
    "getUpdates",
    optional={"offset": int, "limit": int, "timeout": int, "allowed_updates": list},
)
async def get_updates(world: World, bot: Bot, params: Params) -> object:
    """Long poll."""
    bot.allow(params.get("allowed_updates"))
    # A fault may have held the call back until the world closed: it must not wait then.
    timeout_seconds = 0 if world.closing.is_set() else params.get("timeout", 0)
    return await bot.poll(params.get("offset", 0), params.get("limit", 100), timeout_seconds)


@method("getMe")
def get_me(_world: World, bot: Bot, _params: Params) -> object:
    """Return the bot's User, with what only getMe tells."""
    return {
        **bot.user,
        "can_join_groups": True,
        "can_read_all_group_messages": True,
        "supports_inline_queries": False,
    }


# -- messages --


@method("sendMessage", {"chat_id": int, "text": str}, {**TEXT, **SENT})
def send_message(world: World, bot: Bot, params: Params) -> object:
    """Send text."""
    chat = world.chat_to_send(params["chat_id"])
    content = text_content(params, "message is too long")
    return world.add_message(chat, bot.user, {**around(chat, params), **content}, silent=silent(params))


@method(
    "sendMessageDraft",
    {"chat_id": int, "draft_id": int},
    {"message_thread_id": int, "text": str, "entities": list, "can_stop": bool, "keep_on_stop": bool},
)
def send_message_draft(world: World, bot: Bot, params: Params) -> object:
    """Show text that is still being written, for 30 seconds or until the bot's next message."""
    chat = world.chat_to_send(params["chat_id"])
    if not chat.private:
        raise bad_request("drafts are for private chats only")
    if params["draft_id"] == 0:
        raise bad_request("draft_id must be non-zero")
    text, entities = texts.formatted(
        params.get("text", ""), params.get("entities") or [], texts.TEXT_UNITS_MAX, "message is too long"
    )
    draft = {"draft_id": params["draft_id"], "text": text, "entities": entities}
    can_stop = {"can_stop": params.get("can_stop", False)}
    world.set_draft(chat, bot, draft | can_stop | chat.thread(params.get("message_thread_id")))
    return True


@method("sendRichMessage", {"chat_id": int, "rich_message": dict}, SENT)
def send_rich_message(world: World, bot: Bot, params: Params) -> object:
    """Send a rich message."""
    chat = world.chat_to_send(params["chat_id"])
    content = rich_content(params["rich_message"])
    return world.add_message(chat, bot.user, {**around(chat, params), **content}, silent=silent(params))


@method("editMessageText", ONE_MESSAGE, {"text": str, "rich_message": dict, **TEXT, "reply_markup": dict})
def edit_message_text(world: World, bot: Bot, params: Params) -> object:
    """Replace the text of a message of the bot's own, by text or by a rich message."""
    chat = world.chat_to_send(params["chat_id"])
    old = own_message(chat, bot, params["message_id"])
    if "text" not in old and "rich_message" not in old:
        raise bad_request("there is no text in the message to edit")
    if params.get("rich_message"):
        content = rich_content(params["rich_message"])
    else:
        content = text_content({"text": "", **params}, "MESSAGE_TOO_LONG")
    return replace(world, chat, old, content | inline_keyboard(params))


@method("editMessageReplyMarkup", ONE_MESSAGE, {"reply_markup": dict})
def edit_message_reply_markup(world: World, bot: Bot, params: Params) -> object:
    """Replace the inline keyboard of a message of the bot's own."""
    chat = world.chat_to_send(params["chat_id"])
    old = own_message(chat, bot, params["message_id"])
    kept = {key: old[key] for key in CONTENT if key in old and key != "reply_markup"}
    return replace(world, chat, old, kept | inline_keyboard(params))


@method("deleteMessage", ONE_MESSAGE)
def delete_message(world: World, bot: Bot, params: Params) -> object:
    """Delete one message."""
    chat = world.chat(params["chat_id"])
    _check_deletable(chat, bot, chat.message(params["message_id"], "message to delete not found"))
    world.delete_message(chat, params["message_id"])
    return True


@method("deleteMessages", {"chat_id": int, "message_ids": list})
def delete_messages(world: World, bot: Bot, params: Params) -> object:
    """Delete some messages, or none if one may not be deleted; those that are not there are skipped."""
    chat = world.chat(params["chat_id"])
    if not 1 <= len(params["message_ids"]) <= DELETE_MAX:
        raise bad_request(
            "message identifiers are not specified" if not params["message_ids"] else "too many messages"
        )
    there = [one for one in dict.fromkeys(params["message_ids"]) if one in chat.messages]
    for message_id in there:
        _check_deletable(chat, bot, chat.messages[message_id])
    for message_id in there:
        world.delete_message(chat, message_id)
    return True


def _check_deletable(chat: Chat, bot: Bot, message: Message) -> None:
    """Refuse what a bot without an administrator's rights may not delete: others' messages in a group."""
    if not chat.private and message["from"]["id"] != bot.id:
        raise bad_request("message can't be deleted for everyone")


@method("setMessageReaction", ONE_MESSAGE, {"reaction": list, "is_big": bool})
def set_message_reaction(world: World, bot: Bot, params: Params) -> object:
    """Set the bot's reaction to a message."""
    chat = world.chat_to_send(params["chat_id"])
    chat.message(params["message_id"], "message to react not found")
    reaction = check_reaction(params.get("reaction") or [])
    world.react(chat, params["message_id"], bot.id, reaction)
    return True


@method("sendChatAction", {"chat_id": int, "action": str}, {"message_thread_id": int})
def send_chat_action(world: World, bot: Bot, params: Params) -> object:
    """Show that the bot does something, for 5 seconds or until its next message."""
    chat = world.chat_to_send(params["chat_id"])
    if params["action"] not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    thread = chat.thread(params.get("message_thread_id"))
    world.emit("action", chat.id, bot_id=bot.id, action=params["action"], **thread)
    return True


@method(
    "answerCallbackQuery",
    {"callback_query_id": str},
    {"text": str, "show_alert": bool, "url": str, "cache_time": int},
)
def answer_callback_query(world: World, _bot: Bot, params: Params) -> object:
    """Answer a pressed button."""
    if len(params.get("text", "")) > CALLBACK_TEXT_MAX:
        raise bad_request("MESSAGE_TOO_LONG")
    answer = {key: params[key] for key in ("text", "show_alert", "url") if key in params}
    world.answer_callback(params["callback_query_id"], answer)
    return True


# -- commands --

SCOPE = {"scope": dict, "language_code": str}


@method("setMyCommands", {"commands": list}, SCOPE)
def set_my_commands(world: World, bot: Bot, params: Params) -> object:
    """Set the commands menu."""
    commands = params["commands"]
    if len(commands) > COMMANDS_MAX:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    bot.commands[_scope(params)] = [_command(command) for command in commands]
    _commands_changed(world, bot)
    return True


@method("getMyCommands", optional=SCOPE)
def get_my_commands(_world: World, bot: Bot, params: Params) -> object:
    """Return the commands menu of a scope."""
    return bot.commands.get(_scope(params), [])


@method("deleteMyCommands", optional=SCOPE)
def delete_my_commands(world: World, bot: Bot, params: Params) -> object:
    """Drop the commands menu of a scope."""
    bot.commands.pop(_scope(params), None)
    _commands_changed(world, bot)
    return True


def _commands_changed(world: World, bot: Bot) -> None:
    bot.tell("settings")
    world.emit("commands", 0, bot_id=bot.id)


def _scope(params: Params) -> str:
    scope = params.get("scope") or {"type": "default"}
    return "/".join([*(str(scope[key]) for key in sorted(scope)), params.get("language_code", "")])


def _command(command: object) -> dict[str, str]:
    """Return a BotCommand, or refuse it: 1-32 characters a-z 0-9 _, description of 1-256."""
    if not isinstance(command, dict) or command.keys() != {"command", "description"}:
        raise bad_request("can't parse BotCommand: it has a command and a description")
    name = str(command["command"]).removeprefix("/")
    if not texts.COMMAND.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 1 <= len(command["description"]) <= texts.COMMAND_DESCRIPTION_MAX:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name, "description": command["description"]}


# -- shared by the methods that send and edit --

# The fields of a Message that an edit replaces as a whole.
CONTENT = (
    "text",
    "entities",
    "link_preview_options",
    "rich_message",
    "caption",
    "caption_entities",
    "reply_markup",
    "photo",
    "document",
    "audio",
    "video",
    "animation",
    "voice",
)


def text_content(params: Params, too_long: str) -> dict[str, Any]:
    """Return the text fields of a Message."""
    text, entities = texts.formatted(
        params["text"], params.get("entities") or [], texts.TEXT_UNITS_MAX, too_long
    )
    if not text:
        raise bad_request("message text is empty")
    content: dict[str, Any] = {"text": text}
    if entities:
        content["entities"] = entities
    if params.get("link_preview_options"):
        content["link_preview_options"] = params["link_preview_options"]
    return content


def around(chat: Chat, params: Params) -> dict[str, Any]:
    """Return the topic, the reply and the keyboard of a message to be sent, if the bot may write here."""
    chat.check_writable()
    markup = check_markup(params.get("reply_markup"))
    return {
        **chat.thread(params.get("message_thread_id")),
        **_reply(chat, params.get("reply_parameters")),
        **({"reply_markup": markup} if "inline_keyboard" in markup else {}),
    }


def silent(params: Params) -> bool:
    """Tell whether a message is to be sent without a notification."""
    return bool(params.get("disable_notification"))


def _reply(chat: Chat, reply: dict[str, Any] | None) -> dict[str, Any]:
    if not reply:
        return {}
    unknown = reply.keys() - {
        "message_id",
        "chat_id",
        "allow_sending_without_reply",
        "quote",
        "quote_position",
    }
    if unknown:
        raise bad_request(f'reply_parameters has no field "{min(unknown)}" here')
    if reply.get("chat_id", chat.id) != chat.id:
        raise bad_request("replies into other chats are not modelled")
    target = chat.messages.get(reply.get("message_id", 0))
    if target is None:
        if reply.get("allow_sending_without_reply"):
            return {}
        raise bad_request("message to be replied not found")
    return {"reply_to_message": quoted(target), **_quote(target, reply)}


def _quote(target: Message, reply: dict[str, Any]) -> dict[str, Any]:
    if not reply.get("quote"):
        return {}
    text = str(target.get("text") or target.get("caption") or "")
    at = text.find(reply["quote"])
    if at < 0:
        raise bad_request("QUOTE_TEXT_INVALID")
    return {"quote": {"text": reply["quote"], "position": texts.units(text[:at]), "is_manual": True}}


def inline_keyboard(params: Params) -> dict[str, Any]:
    """Return the keyboard of an edited message; none given takes the old one away, as at Telegram."""
    markup = check_inline_keyboard(params.get("reply_markup") or {})
    return {"reply_markup": markup} if markup.get("inline_keyboard") else {}


def own_message(chat: Chat, bot: Bot, message_id: int) -> Message:
    """Return a message that the bot may edit."""
    message = chat.message(message_id, "message to edit not found")
    if message["from"]["id"] != bot.id:
        raise bad_request("message can't be edited")
    return message


def replace(world: World, chat: Chat, old: Message, content: dict[str, Any]) -> Message:
    """Put new content in place of a message's old one."""
    if {key: old[key] for key in CONTENT if key in old} == content:
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly "
            "the same as a current content and reply markup of the message"
        )
    kept = {key: value for key, value in old.items() if key not in CONTENT}
    return world.change_message(chat, {**kept, **content, "edit_date": int(time.time())})
