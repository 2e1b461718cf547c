"""The types of `turn.context`: what a message carries besides its text.

What Telegram left out is "" for a text and None for a number.
"""

from dataclasses import dataclass
from typing import Literal

AttachmentKind = Literal["photo", "document", "voice", "audio", "video", "video_note", "animation", "sticker"]
OriginKind = Literal["user", "hidden_user", "chat", "channel"]
# Kinds of content without a type of their own here.
OtherKind = Literal["checklist", "game", "giveaway", "giveaway_winners", "invoice", "paid_media", "story"]

_IN_WORDS = {"voice": "voice message", "video_note": "video message"}

KB = 1_024
MB = 1_024 * KB


@dataclass(frozen=True, slots=True)
class User:
    """A person or a bot; `id` is 0 and `first_name` "" only if Telegram left them out.

    Where somebody writes in the name of a chat (an anonymous admin, a channel), it is that chat: its id,
    which is negative, and its title as `first_name`.
    """

    id: int = 0
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    language_code: str = ""
    is_bot: bool = False

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Origin:
    """Who first wrote a message: `id` is the user's or chat's, `message_id` that of the original message.

    `date` is the Unix time in seconds of the original, `signature` that of the author in a channel, or of an
    anonymous admin. Of a user who hides from forwards there is only the name.
    """

    kind: OriginKind
    name: str = ""
    id: int | None = None
    username: str = ""
    signature: str = ""
    message_id: int | None = None
    date: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with the message; `await turn.download(attachment)` gives its bytes.

    Of a photo it is the largest size. `unique_id` stays the same over time, `file_id` may not; `width` and
    `height` are in pixels, `emoji` is that of a sticker.
    """

    kind: AttachmentKind
    file_id: str
    unique_id: str = ""
    name: str = ""
    mime_type: str = ""
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: int | None = None
    emoji: str = ""

    @property
    def label(self) -> str:
        """The file's name, or without one its kind ("the photo", "the voice message")."""
        return self.name or f"the {_IN_WORDS.get(self.kind, self.kind)}"


@dataclass(frozen=True, slots=True)
class Link:
    """A link behind words of the text, which do not show the URL."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A shared contact; `user_id` is set for users of Telegram."""

    phone_number: str
    first_name: str = ""
    last_name: str = ""
    user_id: int | None = None
    vcard: str = ""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Location:
    """A point on the map, in degrees; `title` and `address` are those of a venue."""

    latitude: float
    longitude: float
    title: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll that was sent or forwarded."""

    question: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dice:
    """A throw of the dice, or of another game that `emoji` shows."""

    emoji: str
    value: int


@dataclass(frozen=True, slots=True)
class WebAppData:
    """What a Web App sent that the button with this text had opened. Anyone can send any data."""

    data: str
    button_text: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What any message can carry; `files` are in order, `rich_text` is the plain text of a rich message.

    `other` names content without a type here; `turn.message` has it as Telegram sent it.
    """

    files: tuple[Attachment, ...] = ()
    links: tuple[Link, ...] = ()
    rich_text: str = ""
    contact: Contact | None = None
    location: Location | None = None
    poll: Poll | None = None
    dice: Dice | None = None
    other: OtherKind | None = None


@dataclass(frozen=True, slots=True)
class Reply(Content):
    """The message that was replied to; `quote` is the part of it that was quoted.

    `external`: it is in another chat or topic, and Telegram shows a bot only the quote of its text.
    """

    origin: Origin | None = None
    text: str = ""
    quote: str = ""
    external: bool = False


@dataclass(frozen=True, slots=True)
class Context(Content):
    """All that a turn's message carries besides its text; of an album, what all its messages carry.

    `in_group`: others write in the chat, too; `overheard` is what they said to each other just before, a line
    "Name: words" each, where the settings want it. `via_bot` is the inline bot that made the message.
    `preview_url` is the URL of the link preview, if the sender chose it.
    """

    sender: User = User()
    in_group: bool = False
    overheard: tuple[str, ...] = ()
    reply: Reply | None = None
    forwarded_from: Origin | None = None
    via_bot: User | None = None
    web_app_data: WebAppData | None = None
    preview_url: str = ""


class DownloadError(Exception):
    """A file could not be fetched; the text names it, says why, and may be shown to the user."""

    @classmethod
    def too_large(cls, file: Attachment, max_bytes: int, size_bytes: int | None = None) -> "DownloadError":
        """Make the error of a file that is too large; `size_bytes` is None where it is unknown."""
        size = size_bytes or file.size_bytes
        found = f"is {size_words(size)}" if size else "is too large"
        return cls(f"{file.label} {found}; bots may download at most {size_words(max_bytes)}")


def size_words(size_bytes: int) -> str:
    """Write a size as Telegram's apps do, with 1,024 bytes in a kB: "900 bytes", "12 kB", "1.5 MB"."""
    if size_bytes < KB:
        return f"{size_bytes} bytes"
    if size_bytes < MB:
        return f"{size_bytes // KB} kB"
    return f"{size_bytes / MB:.1f} MB".replace(".0 ", " ")
