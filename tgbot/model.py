"""Defines the types that the rooms pass to each other."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NewType

from tgbot import together

BotId = NewType("BotId", int)
ChatId = NewType("ChatId", int)
UserId = NewType("UserId", int)
MessageId = NewType("MessageId", int)
RowId = NewType("RowId", int)
PartId = NewType("PartId", int)
FileId = NewType("FileId", int)
InstanceId = NewType("InstanceId", int)
Token = NewType("Token", int)
SessionKey = NewType("SessionKey", str)

Raw = dict[str, Any]
# Which messages in a group run a turn: those with the bot's name, replies to it and commands; or all.
Activation = Literal["mention", "always"]
GroupSessions = Literal["chat", "user"]  # whether those in a group share a session

# In which chats people's reactions to the bot's messages act: the private ones, all, or none.
ReactionsIn = Literal["private", "all", "off"]

# What becomes of a message that comes while a turn runs in its session (`store.modes`).
Mode = Literal["queue", "collect", "interrupt", "steer"]
MODES: tuple[Mode, ...] = ("queue", "collect", "interrupt", "steer")

SUPERGROUPS_FROM = -1_000_000_000_000  # ids of supergroups and channels, from here down

# A message that begins with a command: its name, and the bot that it is for, if it says so.
COMMAND = re.compile(r"\s*/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]+))?[.,!…]*(?:\s+|$)")
_SESSION_USER = re.compile(r":u(-?[0-9]+)$")
_START = re.compile(r"/start(?:@\w+)?\s+([A-Za-z0-9_-]{1,64})\s*", re.IGNORECASE | re.ASCII)


def session_key(
    bot_id: BotId, chat_id: ChatId, topic_id: int | None = None, user_id: UserId | None = None
) -> SessionKey:
    """Name a session: one per chat, per topic of it, or per person there, of one bot.

    The bot id comes first, so that another token on the same database never runs this bot's rows; then the
    chat, so that all of a chat's sessions can move with it.
    """
    topic = "" if topic_id is None else f":{topic_id}"
    user = "" if user_id is None else f":u{user_id}"
    return SessionKey(f"{bot_id}:{chat_id}{topic}{user}")


def session_user(key: SessionKey) -> UserId | None:
    """Find whose a session is: of one person (or speaking chat) in a group; None if those there share it."""
    found = _SESSION_USER.search(key)
    return UserId(int(found[1])) if found else None


def box(chat_id: ChatId) -> int:
    """Name the sequence that numbers the messages of a chat (`schema.box_of` says the same in SQL).

    Private chats and basic groups of a bot share one, 0; a supergroup or channel has its own, its id.
    """
    return 0 if chat_id > SUPERGROUPS_FROM else chat_id


class Address(NamedTuple):
    """Where an update came from, and where its answer goes."""

    session_key: SessionKey
    chat_id: ChatId
    user_id: UserId
    message_id: MessageId
    topic_id: int | None = None

    @property
    def private(self) -> bool:
        """Whether this is a private chat: the id of a group is negative."""
        return self.chat_id > 0


class Update(NamedTuple):
    """One raw update: `raw` is its JSON, `update_id` unique per bot."""

    bot_id: BotId
    update_id: int
    raw: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message, to run a turn for.

    `join_key` is set where more may come that was sent together: an album, a text that was cut, forwarded
    messages; it is equal in messages of one person, in reply to the same message. `command`: how the message
    reads as a command, whether or not one of that name exists. `addressed`: it is for the bot; not everything
    that is said in a group is.
    """

    update: Update
    address: Address
    join_key: str | None = None
    command: "CommandWords | None" = None
    addressed: bool = True


@dataclass(frozen=True, slots=True)
class CommandWords:
    """`/name words`, or the one word `name` where `slash` is False; `name` is in lower case.

    `behind` is the message that the words behind the command make, None if there are none; `text` the words.
    """

    name: str
    behind: Message | None = None
    slash: bool = True
    text: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """A command or button that acts at once, beside the queue.

    `args` are the numbers in a button's data, empty for a typed command; `callback_id` is set for buttons,
    whose callback must be answered. `words`: those behind a command that reads them.
    """

    update: Update
    address: Address
    name: str
    args: tuple[int, ...] = ()
    callback_id: str | None = None
    words: str = ""

    @property
    def target(self) -> RowId | None:
        """The pending row that a button was drawn for; None for a typed command."""
        return RowId(self.args[0]) if self.args else None


@dataclass(frozen=True, slots=True)
class Edit:
    """A message as it is since its sender edited it; its update is written as if it had been sent so."""

    message: Message

    @property
    def update(self) -> Update:
        """The update of the edit."""
        return self.message.update

    @property
    def address(self) -> Address:
        """Where the message was sent."""
        return self.message.address


@dataclass(frozen=True, slots=True)
class Reacted:
    """A person put reactions on a message, the one of the `address`; `emoji` are those that are new."""

    update: Update
    address: Address
    emoji: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An update that could not be understood; `chat_id` and `topic_id` if at least those were found."""

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


Arrival = Message | Edit | Control | Reacted | Unreadable | ChatMoved


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
        """The number of crashes that makes a row a suspect: after one more it is given up."""
        return max(1, self.crashes_max - 1)


@dataclass(frozen=True, slots=True)
class Ownership:
    """A guard, named by its fencing token, and the row that it is held for."""

    token: Token
    row_id: RowId
    session_key: SessionKey


@dataclass(frozen=True, slots=True)
class Turn(Ownership):
    """One claimed row, with the rows that joined it.

    `attempt` is 1 at first, and more if earlier turns for the same row were interrupted, or asked something;
    `raws` are the updates that the turn is for, as JSON, in order: one, or several that joined. `first_part`
    is the number of the part that the answer begins with: behind what was said before the last question.
    `allowed`: at the claim the database said that the sender may talk, whatever the settings say.
    `received_at` is Unix time in seconds, and like `update_id` that of the row.
    """

    address: Address
    attempt: int
    raws: tuple[str, ...]
    first_part: int = 0
    allowed: bool = False
    update_id: int = 0
    received_at: float = 0.0

    @property
    def bot_id(self) -> BotId:
        """Telegram's id of the bot."""
        return BotId(int(self.session_key.partition(":")[0]))

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
        """The raw Bot API Message, as Telegram sent it; the first of several."""
        return self.messages[0]

    @property
    def messages(self) -> list[Raw]:
        """All raw Messages of the turn, in order: one, or those sent together; of a text in pieces, one."""
        return together.merged([json.loads(raw)["message"] for raw in self.raws])

    @property
    def text(self) -> str:
        """The text or caption, in an album the first one there is; "" when there is none.

        Of several messages that were collected or forwarded each is marked: "[1 of 3]" above its text.
        """
        return numbered([text for group in together.grouped(self.messages) if (text := first_text(group))])


def numbered(texts: Sequence[str]) -> str:
    """Put the texts of several messages into one, "[1 of 3]" above each; one stays as it is."""
    if len(texts) <= 1:
        return "".join(texts)
    return "\n\n".join(f"[{number} of {len(texts)}]\n{text}" for number, text in enumerate(texts, start=1))


def first_text(messages: Sequence[Raw]) -> str:
    """Find the first text or caption in the messages of an album, "" if there is none."""
    return next(filter(None, map(message_text, messages)), "")


def message_text(message: Raw) -> str:
    """Find the text or caption of a raw Message, "" if it has neither."""
    return whole(message.get("text") or message.get("caption") or "")


def whole(text: str) -> str:
    """Join the halves of split characters (an emoji in two pieces); a half without the other is "\ufffd".

    A JSON escape can carry such a lone surrogate; UTF-8, the database and Telegram cannot. A NUL becomes a
    space, as Telegram has it: PostgreSQL cannot hold one.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", " ")


def start_payload(message: Raw) -> str | None:
    """Find the payload of the deep link (t.me/bot?start=PAYLOAD) that a raw Message came from.

    None if it came from none. Anyone can type one: a payload proves nothing.
    """
    start = _START.fullmatch(message.get("text") or "")
    return start[1] if start else None


@dataclass(frozen=True, slots=True)
class Button:
    """One inline button: `data` comes back in the callback, 64 bytes at most."""

    label: str
    data: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to a question: the label of its button, and the value that the agent gets."""

    label: str
    value: str


FileKind = Literal["document", "photo", "voice"]
# `notice` answers what no turn runs for, `card` lists what waits, `ping` says that an answer is there,
# `surplus` has to disappear.
PartKind = Literal["text", "rich", "reply", "notice", "card", "ping", "document", "photo", "voice", "surplus"]


@dataclass(frozen=True, slots=True)
class File:
    """A file to show after the words before it."""

    name: str
    content: bytes
    kind: FileKind = "document"
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Album:
    """Files to show as one group; Telegram takes 2 to 10 of one kind, so more become several albums."""

    files: Sequence[File]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file whose content is in the database, as the file `file_id`."""

    name: str
    file_id: FileId
    kind: FileKind = "document"
    caption: str = ""


@dataclass(frozen=True, slots=True)
class KeptAlbum:
    """An album whose files are in the database."""

    files: Sequence[KeptFile]


@dataclass(frozen=True, slots=True)
class Part:
    """One Telegram message of an answer, as the outbox holds it.

    Without `ready_at` (Unix time in seconds) its turn may add to it; without `message_id` it is not known to
    be on screen. `text` is a file's caption, and the Markdown of a rich message; `entities` and `buttons` are
    JSON. The parts of one album have the same `album`, the original number of its first part.
    While it is sent, its message id is larger than `floor`, and smaller than `ceiling` if that is known;
    `sent_text` is what was sent, where `text` has changed since. `tries` counts how often it failed though
    other requests succeeded; a `duplicate` may be on screen twice.
    """

    part_id: PartId
    row_id: RowId
    number: int
    kind: PartKind
    state: str
    chat_id: ChatId
    topic_id: int | None
    reply_to: MessageId | None
    silent: bool
    message_id: MessageId | None
    text: str | None
    entities: str | None
    buttons: str | None
    file_name: str | None
    file_id: FileId | None
    album: int | None
    ready_at: float | None
    floor: MessageId | None
    ceiling: MessageId | None
    sent_text: str | None
    duplicate: bool
    tries: int
