"""The nouns: what the rooms hand to each other."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NewType

BotId = NewType("BotId", int)
ChatId = NewType("ChatId", int)
UserId = NewType("UserId", int)
MessageId = NewType("MessageId", int)
RowId = NewType("RowId", int)
PartId = NewType("PartId", int)
InstanceId = NewType("InstanceId", int)
Token = NewType("Token", int)
SessionKey = NewType("SessionKey", str)

Raw = dict[str, Any]

_START = re.compile(r"/start(?:@\w+)?\s+([A-Za-z0-9_-]{1,64})\s*", re.IGNORECASE | re.ASCII)


def session_key(bot_id: BotId, chat_id: ChatId, topic_id: int | None = None) -> SessionKey:
    """Name a session: one per chat, or per chat and topic, of one bot.

    The bot id leads, so that another token on the same database never runs this bot's rows.
    """
    return SessionKey(f"{bot_id}:{chat_id}" if topic_id is None else f"{bot_id}:{chat_id}:{topic_id}")


class Address(NamedTuple):
    """Where an update came from, and so where its answer goes."""

    session_key: SessionKey
    chat_id: ChatId
    user_id: UserId
    message_id: MessageId
    topic_id: int | None = None

    @property
    def private(self) -> bool:
        """Whether a person and the bot are alone there: a group's id is negative."""
        return self.chat_id > 0


class Update(NamedTuple):
    """One raw update: `raw` is its JSON, `update_id` unique per bot."""

    bot_id: BotId
    update_id: int
    raw: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something to run a turn for.

    `join_key` is equal in all that were sent together (an album), by one person, in reply to one message.
    `command`: how it reads as a command, if there is one of that name.
    """

    update: Update
    address: Address
    join_key: str | None = None
    command: "CommandWords | None" = None


@dataclass(frozen=True, slots=True)
class CommandWords:
    """`/name words`, or the one word `name` where `slash` is False; `name` is in lower case.

    `behind` is the message that the words behind the command make, None if there are none.
    """

    name: str
    behind: Message | None = None
    slash: bool = True


@dataclass(frozen=True, slots=True)
class Control:
    """A command or button that acts at once, beside the queue.

    `args` are the numbers that a button carries, none for a typed command; `callback_id` is set for
    buttons and wants an answer.
    """

    update: Update
    address: Address
    name: str
    args: tuple[int, ...] = ()
    callback_id: str | None = None

    @property
    def target(self) -> RowId | None:
        """The pending row that a button was drawn for; None for a typed command."""
        return RowId(self.args[0]) if self.args else None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An update that could not be understood; `chat_id` and `topic_id` if at least those were there."""

    update: Update
    chat_id: ChatId | None
    topic_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChatMoved:
    """A group became a supergroup: `chat_id` is its id from now on."""

    update: Update
    old_id: ChatId
    chat_id: ChatId
    topic_id: None = None


Arrival = Message | Control | Unreadable | ChatMoved


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one database, as the store sees it: who claims, and within which limits.

    `max_turns` run at once, over all sessions; `crashes_max` is how often a row may be running when the
    process dies.
    """

    bot_id: BotId
    instance_id: InstanceId
    max_turns: int
    crashes_max: int

    @property
    def suspect_crashes(self) -> int:
        """From so many crashes on a row is a suspect: one more, and it is given up."""
        return max(1, self.crashes_max - 1)


@dataclass(frozen=True, slots=True)
class Ownership:
    """A guard and the row that it is held for; every ending names its token."""

    token: Token
    row_id: RowId
    session_key: SessionKey


@dataclass(frozen=True, slots=True)
class Turn(Ownership):
    """One claimed row, with the rows that joined it.

    `attempt` is 1 at first and more when an earlier turn for the same row was interrupted; `raws` are
    the updates that the turn is for, as JSON, in order: one, or those of an album.
    """

    address: Address
    attempt: int
    raws: tuple[str, ...]

    @property
    def chat_id(self) -> ChatId:
        """Telegram's id of the chat."""
        return self.address.chat_id

    @property
    def user_id(self) -> UserId:
        """Telegram's id of the sender."""
        return self.address.user_id

    @property
    def message(self) -> Raw:
        """The raw Bot API Message, as Telegram sent it; of an album the first."""
        return self.messages[0]

    @property
    def messages(self) -> list[Raw]:
        """All raw Messages of the turn, in order: one, or those of an album (10 at most)."""
        return [json.loads(raw)["message"] for raw in self.raws]

    @property
    def text(self) -> str:
        """The text or caption, in an album the first one there is; "" when there is none."""
        return next(filter(None, map(message_text, self.messages)), "")


def message_text(message: Raw) -> str:
    """Find the text or caption of a raw Message, "" when it has neither."""
    return whole(message.get("text") or message.get("caption") or "")


def whole(text: str) -> str:
    """Join the halves of characters that came apart (an emoji in two pieces); what stays half is "\ufffd".

    A JSON escape can carry such a lone surrogate; neither UTF-8 nor the database nor Telegram can.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def start_payload(message: Raw) -> str | None:
    """Find what the deep link (t.me/bot?start=PAYLOAD) carried that a raw Message came from.

    None if it came from none. Anyone can type one: a payload proves nothing.
    """
    start = _START.fullmatch(message.get("text") or "")
    return start[1] if start else None


@dataclass(frozen=True, slots=True)
class Button:
    """One inline button: `data` comes back in the callback, 64 bytes at most."""

    label: str
    data: str


FileKind = Literal["document", "photo", "voice"]
PartKind = Literal["text", "rich", "reply", "ping", "document", "photo", "voice"]


@dataclass(frozen=True, slots=True)
class File:
    """A file to show after the words before it. A document or photo appears exactly once, a voice nearly."""

    name: str
    content: bytes
    kind: FileKind = "document"
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Album:
    """Files to show as one group; Telegram takes 2 to 10 photos, or documents, so more become several.

    Sent nearly exactly once: again, and marked, when no answer came.
    """

    files: Sequence[File]


@dataclass(frozen=True, slots=True)
class Part:
    """One Telegram message of an answer, as the outbox holds it.

    Without `ready_at` it is a placeholder, whose content is still to come; without `message_id` it
    is not on screen. `text` is a file's caption, and the Markdown of a rich message. The parts of one
    album have the same `album`, the number that its first one had at first.
    """

    part_id: PartId
    row_id: RowId
    number: int
    kind: PartKind
    state: str
    chat_id: ChatId
    topic_id: int | None
    reply_to: MessageId | None
    message_id: MessageId | None
    text: str | None
    entities: str | None
    buttons: str | None
    file_name: str | None
    file: bytes | None
    ready_at: float | None
    tries: int
    album: int | None
