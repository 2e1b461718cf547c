"""A chat and what stands on its screen now."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tgbot.playground.errors import ApiError, bad_request
from tgbot.playground.notifications import notification_text

SUPERGROUP_ID_MAX = -1_000_000_000_000  # ids from here down are supergroups, above it basic groups

Message = dict[str, Any]


@dataclass
class Chat:
    """One chat: `info` is its Bot API Chat object."""

    info: dict[str, Any]
    messages: OrderedDict[int, Message] = field(default_factory=OrderedDict)
    reactions: dict[int, dict[int, list[dict[str, Any]]]] = field(default_factory=dict)
    topics: dict[int, str] = field(default_factory=dict)
    blocked: bool = False  # the person blocked the bots, or an administrator removed them from the group
    muted: bool = False  # the bots may not write in this group
    draft: dict[str, Any] | None = None
    silent: set[int] = field(default_factory=set)  # messages sent without a notification
    notification: str | None = None  # what a phone showed last, whatever was edited or deleted since
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

    def add(self, message: Message, *, silent: bool) -> None:
        """Put a message on the screen; phones show a notification of a bot's, unless it is `silent`."""
        if silent:
            self.silent.add(message["message_id"])
        elif message["from"]["is_bot"] and not self._goes_on_with_album(message):
            self.notification = notification_text(message)
        self.messages[message["message_id"]] = message

    def _goes_on_with_album(self, message: Message) -> bool:
        last = next(reversed(self.messages.values()), {})
        return "media_group_id" in message and message["media_group_id"] == last.get("media_group_id")

    def remove(self, message_id: int) -> None:
        """Take a message and its reactions off the screen."""
        del self.messages[message_id]
        self.reactions.pop(message_id, None)
        self.silent.discard(message_id)

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

    def check_open(self) -> None:
        """Refuse in Telegram's words if the bots were blocked, or removed from here."""
        if self.blocked:
            by = "blocked by the user" if self.private else f"kicked from the {self.info['type']} chat"
            raise ApiError(403, f"Forbidden: bot was {by}")

    def check_writable(self) -> None:
        """Refuse in Telegram's words if an administrator has muted the bots here."""
        if self.muted:
            raise bad_request("not enough rights to send text messages to the chat")

    def newest_first(self, before: int | None, message_thread_id: int | None) -> Iterator[Message]:
        """Iterate over the messages, or those below an id, or those of one topic (0 is the General one)."""
        for message in reversed(self.messages.values()):
            in_time = before is None or message["message_id"] < before
            if in_time and message_thread_id in (None, message.get("message_thread_id", 0)):
                yield message

    def ids_in_topic(self, message_thread_id: int) -> list[int]:
        """Return the messages of a topic, with the one that made it."""
        self.thread(message_thread_id)
        return [message["message_id"] for message in self.newest_first(None, message_thread_id)]

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
        """Return a message as on screen: with `reactions`, `[{"user_id", "emoji"}]`, and `silent` or not."""
        silent = {"silent": True} if message["message_id"] in self.silent else {}
        return {**message, "reactions": self.reactions_of(message["message_id"]), **silent}

    def reactions_of(self, message_id: int) -> list[dict[str, Any]]:
        """Return who reacted to a message with what."""
        return [
            {"user_id": user_id, "emoji": one["emoji"]}
            for user_id, reaction in self.reactions.get(message_id, {}).items()
            for one in reaction
        ]

    def overview(self) -> dict[str, Any]:
        """Return the chat as it is listed.

        `{"id", "info", "topics", "blocked", "muted", "last_message"?, "draft"?, "notification"?}`: the last
        is what a phone's notification said when the bot's last message came that was to make one: one line.
        """
        last = {"last_message": next(reversed(self.messages.values()))} if self.messages else {}
        topics = [{"message_thread_id": one, "name": name} for one, name in self.topics.items()]
        draft = {"draft": self.shown_draft()} if self.shown_draft() else {}
        notification = {"notification": self.notification} if self.notification else {}
        about = {"id": self.id, "info": self.info, "topics": topics}
        rights = {"blocked": self.blocked, "muted": self.muted}
        return {**about, **rights, **last, **draft, **notification}


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
