"""Pure: parses a raw update (a dict) into a message, a pressed button, a moved chat, or nothing."""

import contextlib
import json
import re
from typing import Any

from tgbot.model import (
    COMMAND,
    Address,
    Arrival,
    BotId,
    ChatId,
    ChatMoved,
    CommandWords,
    Control,
    Edit,
    Message,
    MessageId,
    Raw,
    Unreadable,
    Update,
    UserId,
    session_key,
    whole,
)

# Sent with every poll: without it Telegram keeps what an earlier program asked for.
ALLOWED_UPDATES = (
    *("message", "edited_message", "callback_query", "stopped_message_generation", "my_chat_member"),
)

# Telegram counts in 32 bits. A greater number is not its own, and would confirm all updates to come.
UPDATE_ID_MAX = 2**31 - 1

# Service messages: events in a chat, not something a person says. All else is for the agent.
_SERVICE = frozenset(
    {
        *("new_chat_members", "left_chat_member", "chat_owner_left", "chat_owner_changed"),
        *("new_chat_title", "new_chat_photo", "delete_chat_photo", "pinned_message"),
        *("group_chat_created", "supergroup_chat_created", "channel_chat_created"),
        *("migrate_to_chat_id", "migrate_from_chat_id", "message_auto_delete_timer_changed"),
        *("successful_payment", "refunded_payment", "users_shared", "chat_shared", "web_app_data"),
        *("gift", "unique_gift", "gift_upgrade_sent", "connected_website", "write_access_allowed"),
        *("passport_data", "proximity_alert_triggered", "boost_added", "chat_background_set"),
        *("checklist_tasks_done", "checklist_tasks_added", "poll_option_added", "poll_option_deleted"),
        *("forum_topic_created", "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened"),
        *("general_forum_topic_hidden", "general_forum_topic_unhidden", "managed_bot_created"),
        *("direct_message_price_changed", "paid_message_price_changed"),
        *("giveaway_created", "giveaway_winners", "giveaway_completed"),
        *("suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined"),
        *("suggested_post_paid", "suggested_post_refunded", "video_chat_scheduled"),
        *("video_chat_started", "video_chat_ended", "video_chat_participants_invited"),
    }
)
# Made once: dumps() with separators makes one for each call. Parsed JSON has no cycles.
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_WORD = re.compile(r"\s*([A-Za-z]{1,32})[.,!…]*\s*")
# ASCII digits, and few: a button's data can be forged, and int() accepts what no column can hold.
_BUTTON = re.compile(r"[a-z_]+(?::[0-9]{1,18})*")


def rights_changed_in(raw: object) -> ChatId | None:
    """Find the chat in which the bot was blocked, muted or made a member; None if it is not that."""
    change = raw.get("my_chat_member") if isinstance(raw, dict) else None
    chat = change.get("chat") if isinstance(change, dict) else None
    found = chat.get("id") if isinstance(chat, dict) else None
    return ChatId(found) if type(found) is int else None


def parse(bot_id: BotId, username: str | None, raw: Raw) -> Arrival | None:
    """Parse a raw update; None for what needs no row.

    `username` is the bot's own, None while unknown. A malformed update becomes Unreadable, so that it harms
    only itself. Raises KeyError or TypeError without a usable `update_id`, and RecursionError if it is nested
    too deep, so that it cannot even be stored.
    """
    # ASCII, because a lone surrogate, legal in a JSON escape, cannot be stored as UTF-8.
    update = Update(bot_id, _integer(raw["update_id"]), _ENCODER.encode(raw))
    try:
        if "message" in raw:
            return _message(update, username, raw)
        if "edited_message" in raw:
            return _edit(update, username, raw["edited_message"])
        if "callback_query" in raw:
            return _button(update, raw["callback_query"])
        if "stopped_message_generation" in raw:
            return _stopped_draft(update, raw["stopped_message_generation"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return Unreadable(update, *where(raw))
    return None


def update_id(raw: object) -> int | None:
    """Find the id of a raw update; None if it has none that can be stored and confirmed."""
    found = raw.get("update_id") if isinstance(raw, dict) else None
    return found if type(found) is int and 0 < found <= UPDATE_ID_MAX else None


def where(raw: Raw) -> tuple[ChatId | None, int | None]:
    """Find the chat and topic of a malformed update, so that its sender can be notified; None if unknown."""
    chat_id = topic_id = None
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        message = raw.get("message") or raw["callback_query"]["message"]
        chat_id = ChatId(_integer(message["chat"]["id"]))
        topic_id = _topic_id(message)
    return chat_id, topic_id


def _message(update: Update, username: str | None, raw: Raw) -> Message | ChatMoved | None:
    message = raw["message"]
    if not isinstance(message, dict):
        raise TypeError("not an object")
    if "migrate_to_chat_id" in message or "migrate_from_chat_id" in message:
        return _chat_moved(update, message)
    # On behalf of a chat (a channel, an anonymous admin) the sender is made up: no user whose access counts.
    if "from" not in message or "sender_chat" in message or message["from"].get("is_bot"):
        return None
    if not _SERVICE.isdisjoint(message):
        return None
    if not isinstance(message.get("text", ""), str) or not isinstance(message.get("caption", ""), str):
        raise TypeError("not a text")
    address = _address(update.bot_id, message, message["from"])
    if _is_for_another_bot(username, message.get("text", "")):
        return None
    return Message(update, address, _join_key(message, address.user_id), _command(update, address, raw))


def _edit(update: Update, username: str | None, message: Raw) -> Edit | None:
    raw = {"update_id": update.update_id, "message": message}
    found = _message(update._replace(raw=_ENCODER.encode(raw)), username, raw)
    return Edit(found) if isinstance(found, Message) else None


def _chat_moved(update: Update, message: Raw) -> ChatMoved:
    """Read the service message of the old chat, or of the new one; whichever comes first counts."""
    here = ChatId(_integer(message["chat"]["id"]))
    if "migrate_to_chat_id" in message:
        return ChatMoved(update, here, ChatId(_integer(message["migrate_to_chat_id"])))
    return ChatMoved(update, ChatId(_integer(message["migrate_from_chat_id"])), here)


def _is_for_another_bot(username: str | None, text: str) -> bool:
    command = COMMAND.match(text)
    addressee = command[2] if command else None
    return bool(addressee and username and addressee.lower() != username.lower())


def _command(update: Update, address: Address, raw: Raw) -> CommandWords | None:
    """Read a text as a command; whether there is one of that name is for the caller to find out."""
    text = raw["message"].get("text", "")
    if word := _WORD.fullmatch(text):
        return CommandWords(word[1].lower(), slash=False)
    command = COMMAND.match(text)
    if command is None:
        return None
    name, start = command[1].lower(), command.end()
    if start == len(text):
        return CommandWords(name)
    if name == "start":  # a deep link: its payload is for the agent
        return None
    behind = Message(_behind(update, raw, start), address)
    return CommandWords(name, behind, text=whole(text[start:]).strip())


def _behind(update: Update, raw: Raw, start: int) -> Update:
    """Make the update of a message whose text begins at `start`, behind a command.

    Each character that is cut off is one UTF-16 unit, the unit of entities, so `start` fits both.
    """
    message: Raw = {**raw["message"], "text": raw["message"]["text"][start:]}
    if "entities" in message:
        message["entities"] = [_moved(e, start) for e in message["entities"] if _end(e) > start]
    return update._replace(raw=_ENCODER.encode({**raw, "message": message}))


def _moved(entity: dict[str, Any], start: int) -> dict[str, Any]:
    offset = max(0, entity["offset"] - start)
    return {**entity, "offset": offset, "length": _end(entity) - start - offset}


def _end(entity: dict[str, Any]) -> int:
    return _integer(entity["offset"]) + _integer(entity["length"])


def _join_key(message: Raw, user_id: UserId) -> str | None:
    """Make the key that messages of one turn share: same album, same sender, in reply to the same message."""
    if "media_group_id" not in message:
        return None
    target = message["reply_to_message"]["message_id"] if "reply_to_message" in message else None
    return _ENCODER.encode([message["media_group_id"], user_id, target])


def _button(update: Update, query: Raw) -> Control | None:
    if "message" not in query:
        return None
    address = _address(update.bot_id, query["message"], query["from"])
    data = query.get("data", "")
    name, *args = data.split(":") if _BUTTON.fullmatch(data) else [""]
    return Control(update, address, name, tuple(map(int, args)), str(query["id"]))


def _stopped_draft(update: Update, stopped: Raw) -> Control:
    """Read Telegram's own stop button of a draft: only private chats have drafts, and the id is a row's."""
    chat = stopped["chat"]
    where = {"chat": chat, "message_id": 0, "message_thread_id": stopped.get("message_thread_id")}
    topic = {"is_topic_message": True} if stopped.get("message_thread_id") else {}
    address = _address(update.bot_id, where | topic, {"id": chat["id"]})
    return Control(update, address, "stop", (_integer(stopped["draft_id"]),))


def _address(bot_id: BotId, message: Raw, sender: Raw) -> Address:
    chat_id = ChatId(_integer(message["chat"]["id"]))
    topic_id = _topic_id(message)
    return Address(
        session_key(bot_id, chat_id, topic_id),
        chat_id,
        UserId(_integer(sender["id"])),
        MessageId(_integer(message["message_id"])),
        topic_id,
    )


def _integer(value: object) -> int:
    if type(value) is not int or abs(value) >= 2**63:  # the exact type, because True is an int, too
        raise TypeError("not an id")
    return value


def _topic_id(message: Raw) -> int | None:
    return _integer(message["message_thread_id"]) if message.get("is_topic_message") else None
