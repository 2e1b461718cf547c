"""What running turns have said so far: turns write it, delivery shows it. Only hints: nothing is kept."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum

from tgbot.agent import Event, Progress, Replacement
from tgbot.model import ChatId, File, Turn

ANSWER_MAX_CHARACTERS = 200_000  # about 50 messages; an agent that never ends must not fill the memory
FILES_MAX = 50
CAPTION_MAX_CHARACTERS = 500  # of 1,024 UTF-16 units, of which a character takes one or two
FILE_MAX_BYTES = 50_000_000  # what a bot may upload (Bot API, "Sending files")
CUT = "\n\n(The answer was cut here: it was longer than I can show.)"


class Receipt(Enum):
    """A mark on the user's own message; each is an emoji that bots may react with."""

    RECEIVED = "👀"
    WORKING = "✍"
    DONE = "👌"
    FAILED = "💔"


class Live:
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
        self._pieces: list[str | File] = []
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
                self._pieces = [piece for piece in self._pieces if isinstance(piece, File)]
                self.length = 0
                self._say(event.text)
            case File():
                self._attach(event)
            case _:
                raise TypeError(f"an agent can not yield a {type(event).__name__}")

    @property
    def text(self) -> str:
        """All the Markdown so far."""
        return "".join(piece for piece in self._pieces if isinstance(piece, str))

    def segments(self) -> Iterator[str | File]:
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

    def _attach(self, file: File) -> None:
        file = replace(file, name=_encodable(file.name), caption=_encodable(file.caption))
        if len(file.caption) > CAPTION_MAX_CHARACTERS:
            self._say(f"\n\n{file.caption}\n\n")
            file = replace(file, caption="")
        if len(file.content) > FILE_MAX_BYTES or not file.content:
            self._say(f"\n\n(The file {file.name} can not be sent: it is empty or larger than 50 MB.)\n\n")
        else:
            self._pieces.append(file)
            self._files += 1
            self.full = self.full or self._files >= FILES_MAX


def _encodable(text: str) -> str:
    """Replace lone surrogates: neither the database nor Telegram takes them."""
    return text.encode("utf-8", "replace").decode()


class Stage:
    """The turns that are speaking now; `on_change` is told the chat whenever there is something new."""

    def __init__(self, on_change: Callable[[ChatId], None]) -> None:
        self._on_change = on_change
        self._speaking: dict[ChatId, list[Live]] = {}

    def enter(self, turn: Turn) -> Live:
        """Give a turn the stage; it has to leave."""
        live = Live(turn)
        self._speaking.setdefault(turn.chat_id, []).append(live)
        return live

    def leave(self, live: Live) -> None:
        """Take a turn off the stage."""
        lives = self._speaking[live.turn.chat_id]
        lives.remove(live)
        if not lives:
            del self._speaking[live.turn.chat_id]

    @property
    def chats(self) -> int:
        """Count the chats in which turns speak now."""
        return len(self._speaking)

    def changed(self, live: Live) -> None:
        """Hint that there is something new to show."""
        self._on_change(live.turn.chat_id)

    def speaking(self, chat_id: ChatId) -> list[Live]:
        """List the turns that speak in a chat now: one, or one for each topic."""
        return self._speaking.get(chat_id, [])
