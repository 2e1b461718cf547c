"""A chat and what stands on its screen now."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from tgbot.playground.errors import ApiError, bad_request

SUPERGROUP_ID_MAX = -1_000_000_000_000  # ids from here down are supergroups, above it basic groups

Message = dict[str, Any]


@dataclass
class Chat:
    """One chat: `info` is its Bot API Chat object."""

    info: dict[str, Any]
    messages: OrderedDict[int, Message] = field(default_factory=OrderedDict)
    reactions: dict[int, dict[int, list[dict[str, Any]]]] = field(default_factory=dict)
    topics: dict[int, str] = field(default_factory=dict)
    blocked: bool = False
    draft: dict[str, Any] | None = None
    upgraded_to: int | None = None  # the supergroup that it has become

    @property
    def id(self) -> int:
        """Return the chat's id."""
        return int(self.info["id"])

    @property
    def private(self) -> bool:
        """Tell whether this is one person's chat with the bot."""
        return bool(self.info["type"] == "private")

    def not_upgraded(self) -> "Chat":
        """Return this chat, or refuse in Telegram's words if it is a supergroup of another id by now."""
        if self.upgraded_to is not None:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise ApiError(400, text, migrate_to_chat_id=self.upgraded_to)
        return self

    def remove(self, message_id: int) -> None:
        """Take a message and its reactions off the screen."""
        del self.messages[message_id]
        self.reactions.pop(message_id, None)

    def message(self, message_id: int, refusal: str) -> Message:
        """Return a message on the screen, or refuse in Telegram's words for this method."""
        if message_id not in self.messages:
            raise bad_request(refusal)
        return self.messages[message_id]

    def thread(self, message_thread_id: int | None) -> dict[str, Any]:
        """Return the fields that put a message into a topic of a forum."""
        if message_thread_id is None:
            return {}
        if message_thread_id not in self.topics:
            raise bad_request("message thread not found")
        return {"message_thread_id": message_thread_id, "is_topic_message": True}

    def shown_draft(self) -> dict[str, Any] | None:
        """Return what the bot is writing, unless that has expired."""
        return self.draft if self.draft and self.draft["expires"] > time.time() else None

    def react(self, message_id: int, user_id: int, reaction: list[dict[str, Any]]) -> None:
        """Set what one user thinks of a message; an empty list takes it back."""
        of_message = self.reactions.setdefault(message_id, {})
        of_message.pop(user_id, None)
        if reaction:
            of_message[user_id] = reaction

    def shown(self, message: Message) -> Message:
        """Return a message as it stands on screen: with `reactions`, `[{"user_id", "emoji"}]`."""
        return {**message, "reactions": self.reactions_of(message["message_id"])}

    def reactions_of(self, message_id: int) -> list[dict[str, Any]]:
        """Return who reacted to a message with what."""
        return [
            {"user_id": user_id, "emoji": one["emoji"]}
            for user_id, reaction in self.reactions.get(message_id, {}).items()
            for one in reaction
        ]


def quoted(message: Message) -> Message:
    """Return a message as it appears inside a reply to it: without the message it replied to itself."""
    return {key: value for key, value in message.items() if key != "reply_to_message"}


def chat_info(chat_id: int, title: str | None = None, *, is_forum: bool = False) -> dict[str, Any]:
    """Return the Bot API Chat for an id: positive a person, negative a group."""
    if chat_id > 0:
        return {"id": chat_id, "type": "private", "first_name": title or f"Person {chat_id}"}
    if is_forum and chat_id > SUPERGROUP_ID_MAX:
        raise bad_request(f"a forum is a supergroup: its id is below {SUPERGROUP_ID_MAX}")
    kind = "supergroup" if chat_id <= SUPERGROUP_ID_MAX else "group"
    forum = {"is_forum": True} if is_forum else {}
    return {"id": chat_id, "type": kind, "title": title or f"Group {-chat_id}", **forum}
