"""Collects what running turns have said so far: agents write, delivery reads. None of it is on disk."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from tgbot.model import Album, ChatId, File, KeptAlbum, KeptFile, RowId, Turn, whole
from tgbot.turns.agent import Event, InsteadOf, Progress, Question, Replacement

ANSWER_MAX_CHARACTERS = 200_000  # about 50 messages; an agent that never ends must not fill the memory
FILES_MAX = 50
CAPTION_MAX_CHARACTERS = 500  # Telegram allows 1,024 UTF-16 units, and a character takes one or two
ALBUM_MAX = 10  # files (Bot API, sendMediaGroup)
FILE_MAX_BYTES = 50_000_000  # what a bot may upload (Bot API, "Sending files")
CUT = "\n\n(The answer was cut here: it was longer than I can show.)"


class Reaction(Enum):
    """What the bot shows on the user's own message; each is an emoji that bots may react with."""

    RECEIVED = "👀"
    CHANGED = "🫡"
    WORKING = "✍"
    DONE = "👌"
    FAILED = "💔"


class Growing(NamedTuple):
    """The part of an answer that grows now: its Markdown and number, and whether no files are in it."""

    text: str
    number: int
    pieces: int
    replaced: int
    only_text: bool


Piece = str | File | KeptFile | KeptAlbum | Album


class LiveAnswer:
    """One turn's answer while it is written: Markdown and files in the order they came.

    The agent's thread writes it while the bot's own loop reads it. Of a long answer the beginning is complete
    on screen already, and cut off here: `first` is the number of the part that grows now, `opening` the text
    of the first part then. `asks` are the questions that the turn ends with; `replaces` is the row whose
    answer this one takes the place of.
    `version` grows with each visible change; `said_at` is when there was something to show for the first time
    (by the monotonic clock, None before); `noticed`: the loop was notified of the latest changes and has not
    looked yet.
    """

    __slots__ = (
        "_files",
        "_lock",
        "_pieces",
        "_replaced",
        "asks",
        "closed",
        "first",
        "full",
        "length",
        "noticed",
        "opening",
        "progress",
        "replaces",
        "said_at",
        "turn",
        "version",
    )

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.progress = ""
        self.version = 0
        self.full = False
        self.closed = False  # after its cancellation nothing that the agent says counts
        self.said_at: float | None = None
        self.noticed = False
        self.length = 0
        self.first = turn.first_part
        self.opening = ""
        self.asks: tuple[Question, ...] = ()
        self.replaces: RowId | None = None
        self._files = 0
        self._replaced = 0
        self._pieces: list[Piece] = []
        self._lock = threading.Lock()

    def take(self, event: Event) -> None:
        """Add what the agent yielded. Raises TypeError if it is no Event."""
        with self._lock:
            if not self.closed:
                self._take(event)

    def _take(self, event: Event) -> None:
        self.version += 1
        match event:
            case str():
                self.progress = ""
                self._say(event)
            case Progress():
                self.progress = event.line
                self._note_time()
            case Replacement():
                self._pieces = [piece for piece in self._pieces if not isinstance(piece, str)]
                self.length, self.first = 0, self.turn.first_part
                self.opening = ""
                self._replaced += 1
                self._say(event.text)
            case File() | Album():
                self._attach(event)
            case KeptFile() | KeptAlbum():
                self._pieces.append(event)
            case Question():
                self.asks += (event,)
            case InsteadOf():
                self.replaces = event.row_id
            case _:
                raise TypeError(f"an agent cannot yield a {type(event).__name__}")

    @property
    def text(self) -> str:
        """The Markdown of the part that grows now, without the files in between."""
        return self.growing().text

    def growing(self) -> "Growing":
        """Look at the part that grows now."""
        with self._lock:
            pieces, first, replaced = list(self._pieces), self.first, self._replaced
        text = whole("".join(piece if isinstance(piece, str) else "\n\n" for piece in pieces))
        whole_text = all(isinstance(piece, str) for piece in pieces)
        return Growing(text, first, len(pieces), replaced, whole_text)

    def cut(self, growing: "Growing", shown: str, rest: str) -> None:
        """Cut off a part that is complete now: as `shown` on screen, `rest` goes on in the next part.

        Not if it was replaced meanwhile.
        """
        with self._lock:
            if self._replaced == growing.replaced:
                self.opening = self.opening or shown
                self._pieces[: growing.pieces] = [rest] if rest else []
                self.first = growing.number + 1

    def rest(self) -> tuple[int, list[Piece]]:
        """Give the number of the first part that is not complete on screen, and all from there on.

        That is the Markdown between files, and the files, in order.
        """
        with self._lock:
            pieces, first = list(self._pieces), self.first
        segments: list[Piece] = []
        for is_text, group in groupby(pieces, key=lambda piece: isinstance(piece, str)):
            same = list(group)
            segments += [whole("".join(map(str, same)))] if is_text else same
        return first, segments

    def _say(self, words: str) -> None:
        room = ANSWER_MAX_CHARACTERS - self.length
        if words:
            self._pieces.append(words[:room])
            self.length += len(words[:room])
        if words.strip():
            self._note_time()
        if len(words) > room:
            self._pieces.append(CUT)
            self.full = True

    def _note_time(self) -> None:
        self.said_at = time.monotonic() if self.said_at is None else self.said_at

    def _attach(self, said: File | Album) -> None:
        files = said.files if isinstance(said, Album) else [said]
        sent = sendable(files[: FILES_MAX - self._files])
        self._say(sent.words)
        self._files += sent.total
        self.full = self.full or self._files >= FILES_MAX
        self._pieces += sent.groups


class Sendable(NamedTuple):
    """Files as Telegram accepts them, alone or in albums; what does not fit into them are `words` above."""

    words: str
    groups: list[File | Album]
    total: int  # files


def sendable(files: Sequence[File]) -> Sendable:
    """Make files fit: long captions stand above all of them, and so does a line for each that cannot be."""
    words, fitting = "", []
    for file in files:
        fit = replace(file, name=whole(file.name), caption=whole(file.caption))
        if len(fit.caption) > CAPTION_MAX_CHARACTERS:
            words += f"\n\n{fit.caption}\n\n"
            fit = replace(fit, caption="")
        if 0 < len(fit.content) <= FILE_MAX_BYTES:
            fitting.append(fit)
        else:
            words += f"\n\n(The file {fit.name} cannot be sent: it is empty or larger than 50 MB.)\n\n"
    return Sendable(words, list(_grouped(fitting)), len(fitting))


def _grouped(files: Sequence[File]) -> Iterator[File | Album]:
    """Make albums that Telegram accepts: 10 files at most, all of one kind, no voice messages."""
    for kind, same in groupby(files, key=lambda file: file.kind):
        rest = list(same)
        most = 1 if kind == "voice" else ALBUM_MAX
        while rest:
            group, rest = rest[:most], rest[most:]
            yield Album(group) if len(group) > 1 else group[0]


class LiveAnswers:
    """The answers being written now; `on_change` is called with the chat whenever there is something new."""

    def __init__(self, on_change: Callable[[ChatId], None]) -> None:
        self._on_change = on_change
        self._growing: dict[ChatId, list[LiveAnswer]] = {}

    def open(self, turn: Turn) -> LiveAnswer:
        """Begin a turn's answer; it must be closed."""
        answer = LiveAnswer(turn)
        self._growing.setdefault(turn.chat_id, []).append(answer)
        return answer

    def close(self, answer: LiveAnswer) -> None:
        """End an answer: its final form goes to the outbox."""
        answers = self._growing[answer.turn.chat_id]
        answers.remove(answer)
        if not answers:
            del self._growing[answer.turn.chat_id]

    @property
    def chats(self) -> int:
        """Count the chats in which answers are being written now."""
        return len(self._growing)

    def changed(self, answer: LiveAnswer) -> None:
        """Hint that there is something new to show."""
        self._on_change(answer.turn.chat_id)

    def in_chat(self, chat_id: ChatId) -> list[LiveAnswer]:
        """List the answers being written in a chat now: one, or one for each topic."""
        return self._growing.get(chat_id, [])
