"""Pure: parses a raw update (a dict) into a message, a pressed button, a moved chat, or nothing."""

import contextlib
import json
import re
from typing import Any

from tgbot import together
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
    GroupSessions,
    Message,
    MessageId,
    Raw,
    Unreadable,
    Update,
    UserId,
    session_key,
    whole,
)
from tgbot.telegram import addressed, outcomes
from tgbot.telegram.addressed import Me

# Telegram counts in 32 bits. A greater number is not its own, and would confirm all updates to come.
UPDATE_ID_MAX = 2**31 - 1

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


def left_chat_in(raw: object) -> ChatId | None:
    """Find the chat that the bot left, or was removed from; None if it is not that."""
    change = raw.get("my_chat_member") if isinstance(raw, dict) else None
    member = change.get("new_chat_member") if isinstance(change, dict) else None
    left = isinstance(member, dict) and member.get("status") in {"left", "kicked"}
    return rights_changed_in(raw) if left else None


def parse(bot_id: BotId, username: str | None, raw: Raw, sessions: GroupSessions = "chat") -> Arrival | None:
    """Parse a raw update; None for what needs no row.

    `username` is the bot's own, None while unknown. A malformed update becomes Unreadable, so that it harms
    only itself. Raises KeyError or TypeError without a usable `update_id`, and RecursionError if it is nested
    too deep, so that it cannot even be stored.
    """
    # ASCII, because a lone surrogate, legal in a JSON escape, cannot be stored as UTF-8.
    update = Update(bot_id, _integer(raw["update_id"]), _ENCODER.encode(raw))
    try:
        if "message" in raw:
            return _message(update, Me(bot_id, username), raw, sessions)
        if "edited_message" in raw:
            return _edit(update, Me(bot_id, username), raw["edited_message"], sessions)
        if "callback_query" in raw:
            return _button(update, raw["callback_query"], sessions)
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


def _message(update: Update, me: Me, raw: Raw, sessions: GroupSessions) -> Message | ChatMoved | None:
    message = raw["message"]
    if not isinstance(message, dict):
        raise TypeError("not an object")
    if "migrate_to_chat_id" in message or "migrate_from_chat_id" in message:
        return _chat_moved(update, message)
    if outcomes.why_ignored(message):
        return None
    if not isinstance(message.get("text", ""), str) or not isinstance(message.get("caption", ""), str):
        raise TypeError("not a text")
    address = _address(update.bot_id, message, message["from"], sessions)
    plain = message if address.private else addressed.without_name(me, message)
    if _is_for_another_bot(me.username, plain.get("text", "")):
        return None
    if plain is not message:
        raw = {**raw, "message": together.shortened(message, plain)}
        update = update._replace(raw=_ENCODER.encode(raw))
    return Message(
        update,
        address,
        _join_key(message, address.user_id),
        _command(update, address, raw),
        addressed=address.private or _is_for_bot(me, message, plain),
    )


def _is_for_bot(me: Me, message: Raw, plain: Raw) -> bool:
    is_command = COMMAND.match(plain.get("text", "")) is not None
    return is_command or addressed.replies_to(me.bot_id, message) or addressed.mentions(me, message)


def _edit(update: Update, me: Me, message: Raw, sessions: GroupSessions) -> Edit | None:
    raw = {"update_id": update.update_id, "message": message}
    found = _message(update._replace(raw=_ENCODER.encode(raw)), me, raw, sessions)
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
    key = _join_key(raw["message"], address.user_id)
    behind = Message(_behind(update, raw, start), address, key)
    return CommandWords(name, behind, text=whole(text[start:]).strip())


def _behind(update: Update, raw: Raw, start: int) -> Update:
    """Make the update of a message whose text begins at `start`, behind a command.

    Each character that is cut off is one UTF-16 unit, the unit of entities, so `start` fits both.
    """
    message: Raw = {**raw["message"], "text": raw["message"]["text"][start:]}
    if "entities" in message:
        message["entities"] = [_moved(e, start) for e in message["entities"] if _end(e) > start]
    message = together.shortened(raw["message"], message)
    return update._replace(raw=_ENCODER.encode({**raw, "message": message}))


def _moved(entity: dict[str, Any], start: int) -> dict[str, Any]:
    offset = max(0, entity["offset"] - start)
    return {**entity, "offset": offset, "length": _end(entity) - start - offset}


def _end(entity: dict[str, Any]) -> int:
    return _integer(entity["offset"]) + _integer(entity["length"])


def _join_key(message: Raw, user_id: UserId) -> str | None:
    """Make the key that messages of one turn share: same album, same sender, in reply to the same message.

    What was forwarded at once has one key, whatever it is.
    """
    if "media_group_id" not in message or together.is_forwarded(message):
        return together.join_key(message, user_id)
    target = message["reply_to_message"]["message_id"] if "reply_to_message" in message else None
    return _ENCODER.encode([message["media_group_id"], user_id, target])


def _button(update: Update, query: Raw, sessions: GroupSessions) -> Control | None:
    if "message" not in query:
        return None
    address = _address(update.bot_id, query["message"], query["from"], sessions)
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


def _address(bot_id: BotId, message: Raw, sender: Raw, sessions: GroupSessions = "chat") -> Address:
    chat_id, user_id = ChatId(_integer(message["chat"]["id"])), UserId(_integer(sender["id"]))
    topic_id = _topic_id(message)
    of_user = user_id if sessions == "user" and chat_id < 0 else None
    return Address(
        session_key(bot_id, chat_id, topic_id, of_user),
        chat_id,
        user_id,
        MessageId(_integer(message["message_id"])),
        topic_id,
    )


def _integer(value: object) -> int:
    if type(value) is not int or abs(value) >= 2**63:  # the exact type, because True is an int, too
        raise TypeError("not an id")
    return value


def _topic_id(message: Raw) -> int | None:
    return _integer(message["message_thread_id"]) if message.get("is_topic_message") else None
