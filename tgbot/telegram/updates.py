"""Pure: parses a raw update (a dict) into a message, a button, a reaction, a moved chat, or nothing."""

import contextlib
import json
import re
from collections.abc import Collection
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
    Reacted,
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
_MESSAGES = ("message", "edited_message", "channel_post", "edited_channel_post")
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


def parse(
    bot_id: BotId,
    username: str | None,
    raw: Raw,
    sessions: GroupSessions = "chat",
    speakers: Collection[ChatId] = (),
) -> Arrival | None:
    """Parse a raw update; None for what needs no row.

    `username` is the bot's own, None while unknown; `speakers` are the chats in whose name somebody may
    write (an anonymous admin, a channel), as if the chat were a user. A malformed update becomes Unreadable,
    so that it harms only itself. Raises KeyError or TypeError without a usable `update_id`, and
    RecursionError if it is nested too deep, so that it cannot even be stored.
    """
    # ASCII, because a lone surrogate, legal in a JSON escape, cannot be stored as UTF-8.
    update = Update(bot_id, _integer(raw["update_id"]), _ENCODER.encode(raw))
    try:
        if kind := next((kind for kind in _MESSAGES if kind in raw), None):
            said = _as_message(raw, kind)
            update_of_it = update if said is raw else update._replace(raw=_ENCODER.encode(said))
            found = _message(update_of_it, Me(bot_id, username), said, sessions, speakers)
            return _edit(found) if kind.startswith("edited") else found
        return _control(update, raw, sessions)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Unreadable(update, *where(raw))


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


def _as_message(raw: Raw, kind: str) -> Raw:
    """Write an edit, or a channel's post, as the update of a message: that is what is stored and read."""
    if kind == "message":
        return raw
    message = raw[kind]
    if kind.endswith("channel_post"):  # whoever of its admins wrote it
        message = {**message, "sender_chat": message["chat"]}
    return {"update_id": raw["update_id"], "message": message}


def _edit(found: Message | ChatMoved | None) -> Edit | None:
    return Edit(found) if isinstance(found, Message) else None


def _message(
    update: Update, me: Me, raw: Raw, sessions: GroupSessions, speakers: Collection[ChatId]
) -> Message | ChatMoved | None:
    message = raw["message"]
    if not isinstance(message, dict):
        raise TypeError("not an object")
    if "migrate_to_chat_id" in message or "migrate_from_chat_id" in message:
        return _chat_moved(update, message)
    if outcomes.why_ignored(message, speakers):
        return None
    if not isinstance(message.get("text", ""), str) or not isinstance(message.get("caption", ""), str):
        raise TypeError("not a text")
    address = _address(update.bot_id, message, message.get("sender_chat") or message["from"], sessions)
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


def _control(update: Update, raw: Raw, sessions: GroupSessions) -> Control | Reacted | None:
    if "callback_query" in raw:
        return _button(update, raw["callback_query"], sessions)
    if outcomes.REACTION in raw:
        return _reacted(update, raw[outcomes.REACTION])
    if "stopped_message_generation" in raw:
        return _stopped_draft(update, raw["stopped_message_generation"])
    return None


def _button(update: Update, query: Raw, sessions: GroupSessions) -> Control | None:
    if "message" not in query:
        return None
    address = _address(update.bot_id, query["message"], query["from"], sessions)
    data = query.get("data", "")
    name, *args = data.split(":") if _BUTTON.fullmatch(data) else [""]
    return Control(update, address, name, tuple(map(int, args)), str(query["id"]))


def _reacted(update: Update, change: Raw) -> Reacted | None:
    """Read which reactions are new; None without any, or if nobody knows who it was (an anonymous admin)."""
    if "user" not in change:
        return None
    before = _emoji(change["old_reaction"])
    new = tuple(emoji for emoji in _emoji(change["new_reaction"]) if emoji not in before)
    return Reacted(update, _address(update.bot_id, change, change["user"]), new) if new else None


def _emoji(reactions: list[Raw]) -> list[str]:
    return [str(one["emoji"]) for one in reactions if one["type"] == "emoji"]


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
