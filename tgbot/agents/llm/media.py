"""Makes what came with a message into content for a model, or into words where the model cannot take it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath

from pydantic_ai.messages import UserContent

from tgbot.agents.llm import media_log, sniff
from tgbot.agents.llm.sight import NO_PICTURES, Sight
from tgbot.turns.agent import AgentTurn, Attachment, DownloadError
from tgbot.turns.context import MB, size_words
from tgbot.turns.prompt import described, field, quoted

# Of one turn, in all. With what is given back of earlier turns (see `media_log`) it is 30 MB in base64, and a
# request of Anthropic's has 32 MB at most.
TURN_BYTES_MAX = 16 * MB
TEXT_MAX_CHARACTERS = 100_000  # of one turn, in all: about 25,000 tokens
TEXT_BYTES_MAX = 4 * (TEXT_MAX_CHARACTERS + 1)  # no encoding takes more for them and one beyond
AT_ONCE = 4  # files: a recording has up to 20 MB in memory

HEARD = frozenset({"voice", "audio", "video_note"})
WATCHED = frozenset({"video", "animation"})
# Some servers go by a file's name alone, and know .ogg, but neither .oga nor .opus.
SUFFIXES = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "video/mp4": "mp4",
    "video/webm": "webm",
}

NO_VIDEOS = "videos cannot be watched here"
NO_SOUND = "recordings cannot be heard here: no model for transcriptions is set"
NOT_TRANSCRIBED = "it could not be transcribed"
NO_WORDS = "no words were heard in it"
UNREADABLE = "this kind of file cannot be read here; text, PDF, JPEG, PNG, WebP and GIF can"
TOO_MUCH = f"not read, because the files of one message may have {size_words(TURN_BYTES_MAX)} in all"
TOO_LONG = f"not read, because {TEXT_MAX_CHARACTERS:,} characters of the files before it were"

Transcribe = Callable[[str, bytes], Awaitable[str]]
Say = Callable[[str], None]


class NotTranscribedError(Exception):
    """A recording could not be transcribed; the log has the reason."""


async def contents(
    turn: AgentTurn, sight: Sight, transcribe: Transcribe | None, say: Say
) -> list[UserContent]:
    """Make the prompt of a turn: its text, then what each file holds, those of the replied-to message first.

    What the model cannot take is words that say so. `transcribe` gives the words of a recording, by a file's
    name and content, or raises NotTranscribedError. `say` gets a sentence for the user about each file that
    was lost on the way: it may help to send it again.
    """
    read = await _Reader(turn, sight, transcribe, say).read(_files(turn))
    return _joined([turn.prompt, *read])


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the message, or of the one that it replies to."""

    attachment: Attachment
    replied: bool

    @property
    def label(self) -> str:
        where = "In the replied-to message: " if self.replied else ""
        return f"{where}{described(self.attachment)}"

    def note(self, reason: str) -> str:
        return f"[{self.label}: {reason}]"

    def text(self, words: str) -> str:
        return f"[{self.label}, its text:]\n{words}\n[End of the file]"

    def transcript(self, words: str) -> str:
        where = "In the replied-to message: transcript" if self.replied else "Transcript"
        return quoted(f"{where} of {field(self.attachment.label)}", words)


@dataclass(frozen=True, slots=True)
class _Long:
    """Words of any length; `framed` puts a label to those of them that there is room for."""

    words: str
    framed: Callable[[str], str]


class _Reader:
    """Reads the files of one turn, as far as there is room."""

    def __init__(self, turn: AgentTurn, sight: Sight, transcribe: Transcribe | None, say: Say) -> None:
        self._turn = turn
        self._sight = sight
        self._transcribe = transcribe
        self._say = say
        self._bytes_left = TURN_BYTES_MAX
        self._characters_left = TEXT_MAX_CHARACTERS
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def read(self, files: list[_File]) -> list[UserContent]:
        """Give what each file holds, or a note, in order."""
        # In order, too: which of them there is room for must not depend on which comes first.
        useless = [self._useless(file.attachment) for file in files]
        arriving = map(self._arrived, files, useless)
        content: list[UserContent] = []
        for file, arrived in zip(files, await asyncio.gather(*arriving), strict=True):
            taken = self._fitting(file, arrived) if isinstance(arrived, _Long) else arrived
            alone = len(files) == 1 and not file.replied
            content += [taken] if alone or isinstance(taken, str) else [f"[{file.label}]", taken]
        return content

    def _useless(self, file: Attachment) -> str | None:
        """Say why a file need not be fetched, None if it must."""
        if file.kind == "photo" and not self._sight.pictures:
            return NO_PICTURES
        if file.kind in WATCHED:
            return NO_VIDEOS
        if file.kind in HEARD:
            return None if self._transcribe else NO_SOUND
        return None if self._has_room(file.size_bytes or 0) else TOO_MUCH

    async def _arrived(self, file: _File, useless: str | None) -> UserContent | _Long:
        if useless:
            return file.note(useless)
        async with self._slots:
            try:
                content = await self._turn.download(file.attachment)
            except DownloadError as error:
                self._say(_sentence(str(error), file.attachment))
                return file.note(str(error).rstrip("."))
            return await self._taken(file, content)

    async def _taken(self, file: _File, content: bytes) -> UserContent | _Long:
        kind = sniff.media_type(content) or ""
        if file.attachment.kind in HEARD or kind.startswith("audio/"):
            return await self._heard(file, content, kind)
        if not self._has_room(len(content) - (file.attachment.size_bytes or 0)):
            return file.note(TOO_MUCH)
        if kind in {sniff.PDF, *sniff.PICTURES}:
            refusal = self._sight.refusal(kind, content)
            return file.note(refusal) if refusal else media_log.named(file.attachment, kind, content)
        if kind or (text := sniff.text(content, TEXT_BYTES_MAX)) is None:
            return file.note(NO_VIDEOS if kind.startswith("video/") else UNREADABLE)
        return _Long(text, file.text)

    async def _heard(self, file: _File, content: bytes, kind: str) -> str | _Long:
        if not self._transcribe:
            return file.note(NO_SOUND)
        suffix = SUFFIXES.get(kind) or PurePath(file.attachment.name).suffix[1:] or "ogg"
        try:
            words = await self._transcribe(f"recording.{suffix}", content)
        except NotTranscribedError:
            lost = f"{file.attachment.label} could not be transcribed"
            self._say(_sentence(lost, file.attachment))
            return file.note(NOT_TRANSCRIBED)
        return _Long(words, file.transcript) if words else file.note(NO_WORDS)

    def _has_room(self, size_bytes: int) -> bool:
        """Take the room for so many bytes, if it is there."""
        if size_bytes > self._bytes_left:
            return False
        self._bytes_left -= max(size_bytes, 0)
        return True

    def _fitting(self, file: _File, long: _Long) -> str:
        """Cut words to the room that is left, and say so."""
        if not self._characters_left:
            return file.note(TOO_LONG)
        words = long.words[: self._characters_left]
        self._characters_left -= len(words)
        if len(words) == len(long.words):
            return long.framed(words)
        return f"{long.framed(words)}\n{file.note(f'only its first {len(words):,} characters were read')}"


def _files(turn: AgentTurn) -> list[_File]:
    """List a turn's files, without stickers: their emoji is in the prompt."""
    reply = turn.context.reply
    files = [_File(file, replied=True) for file in (reply.files if reply else ())]
    files += [_File(file, replied=False) for file in turn.context.files]
    return [file for file in files if file.attachment.kind != "sticker"]


def _joined(content: Iterable[UserContent]) -> list[UserContent]:
    """Join what is words in a row: a server for words alone may know nothing else."""
    joined: list[UserContent] = []
    for is_text, group in groupby(content, key=lambda one: isinstance(one, str)):
        same = list(group)
        joined += ["\n\n".join(filter(None, map(str, same)))] if is_text else same
    return joined


def _sentence(words: str, file: Attachment) -> str:
    """Write words that begin with a file's label as a sentence; a name keeps its case."""
    return (words if file.name else words[:1].upper() + words[1:]).rstrip(".") + "."
