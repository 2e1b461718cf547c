"""What running turns have said so far: turns write it, delivery shows it. Only hints: nothing is kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from itertools import groupby

from tgbot.model import Album, ChatId, File, Turn
from tgbot.turns.agent import Event, Progress, Replacement

ANSWER_MAX_CHARACTERS = 200_000  # about 50 messages; an agent that never ends must not fill the memory
FILES_MAX = 50
CAPTION_MAX_CHARACTERS = 500  # of 1,024 UTF-16 units, of which a character takes one or two
ALBUM_MAX = 10  # files (Bot API, sendMediaGroup)
FILE_MAX_BYTES = 50_000_000  # what a bot may upload (Bot API, "Sending files")
CUT = "\n\n(The answer was cut here: it was longer than I can show.)"


class Reaction(Enum):
    """A mark on the user's own message; each is an emoji that bots may react with."""

    RECEIVED = "👀"
    WORKING = "✍"
    DONE = "👌"
    FAILED = "💔"


class LiveAnswer:
    """One turn's answer while it grows: Markdown and files in the order they came.

    `version` grows with each change that can be seen.
    """

    __slots__ = ("_files", "_pieces", "closed", "full", "length", "progress", "turn", "version")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.progress = ""
        self.version = 0
        self.full = False
        self.closed = False  # from its cancellation on, nothing that is said counts
        self._pieces: list[str | File | Album] = []
        self.length = 0
        self._files = 0

    def take(self, event: Event) -> None:
        """Add what the agent yielded. Raises TypeError for what no agent may yield."""
        if self.closed:
            return
        self.version += 1
        match event:
            case str():
                self.progress = ""
                self._say(event)
            case Progress():
                self.progress = event.line
            case Replacement():
                self._pieces = [piece for piece in self._pieces if not isinstance(piece, str)]
                self.length = 0
                self._say(event.text)
            case File():
                self._attach([event])
            case Album():
                self._attach(event.files)
            case _:
                raise TypeError(f"an agent can not yield a {type(event).__name__}")

    @property
    def text(self) -> str:
        """All the Markdown so far, without the files between."""
        return "".join(piece if isinstance(piece, str) else "\n\n" for piece in self._pieces)

    def segments(self) -> Iterator[str | File | Album]:
        """Give the Markdown between files, and the files, in order."""
        words: list[str] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                words.append(piece)
                continue
            if words:
                yield "".join(words)
            words = []
            yield piece
        if words:
            yield "".join(words)

    def _say(self, words: str) -> None:
        room = ANSWER_MAX_CHARACTERS - self.length
        if words:
            self._pieces.append(words[:room])
            self.length += len(words[:room])
        if len(words) > room:
            self._pieces.append(CUT)
            self.full = True

    def _attach(self, files: Sequence[File]) -> None:
        """Add files; what is said of them stands before them all."""
        sendable = [fit for file in files[: FILES_MAX - self._files] if (fit := self._fitting(file))]
        self._files += len(sendable)
        self.full = self.full or self._files >= FILES_MAX
        self._pieces += _grouped(sendable)

    def _fitting(self, file: File) -> File | None:
        """Say what can not go with the file; None if it can not go at all."""
        file = replace(file, name=_encodable(file.name), caption=_encodable(file.caption))
        if len(file.caption) > CAPTION_MAX_CHARACTERS:
            self._say(f"\n\n{file.caption}\n\n")
            file = replace(file, caption="")
        if len(file.content) > FILE_MAX_BYTES or not file.content:
            self._say(f"\n\n(The file {file.name} can not be sent: it is empty or larger than 50 MB.)\n\n")
            return None
        return file


def _grouped(files: Sequence[File]) -> Iterator[File | Album]:
    """Make albums as Telegram takes them: 10 at most, of one kind; no voice can be in one."""
    for kind, same in groupby(files, key=lambda file: file.kind):
        rest = list(same)
        most = 1 if kind == "voice" else ALBUM_MAX
        while rest:
            group, rest = rest[:most], rest[most:]
            yield Album(group) if len(group) > 1 else group[0]


def _encodable(text: str) -> str:
    """Replace lone surrogates: neither the database nor Telegram takes them."""
    return text.encode("utf-8", "replace").decode()


class Stage:
    """The turns that are speaking now; `on_change` is told the chat whenever there is something new."""

    def __init__(self, on_change: Callable[[ChatId], None]) -> None:
        self._on_change = on_change
        self._speaking: dict[ChatId, list[LiveAnswer]] = {}

    def enter(self, turn: Turn) -> LiveAnswer:
        """Give a turn the stage; it has to leave."""
        live = LiveAnswer(turn)
        self._speaking.setdefault(turn.chat_id, []).append(live)
        return live

    def leave(self, live: LiveAnswer) -> None:
        """Take a turn off the stage."""
        lives = self._speaking[live.turn.chat_id]
        lives.remove(live)
        if not lives:
            del self._speaking[live.turn.chat_id]

    @property
    def chats(self) -> int:
        """Count the chats in which turns speak now."""
        return len(self._speaking)

    def changed(self, live: LiveAnswer) -> None:
        """Hint that there is something new to show."""
        self._on_change(live.turn.chat_id)

    def speaking(self, chat_id: ChatId) -> list[LiveAnswer]:
        """List the turns that speak in a chat now: one, or one for each topic."""
        return self._speaking.get(chat_id, [])
