"""Agents that the real process imports by name."""

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from tgbot.turns.agent import (
    AgentTurn,
    Album,
    Choice,
    DownloadError,
    Event,
    File,
    Progress,
    Question,
    Replacement,
)


async def moody(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Obeys `die`, `raise` and `wait for FILE`; answers anything else with its attempt."""
    if turn.text == "die":
        os.kill(os.getpid(), 9)
    if turn.text == "raise":
        raise RuntimeError("the agent's own secret, 42:playground-secret")
    if turn.text.startswith("wait for "):
        await _exists(Path(turn.text.split()[2]))
    yield f"{turn.text} (attempt {turn.attempt})"


async def _exists(gate: Path) -> None:
    while not gate.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it; nothing to await
        await asyncio.sleep(0.01)


async def quick(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Answers `re: <text>` after a very short while."""
    await asyncio.sleep(0.02)
    yield f"re: {turn.text}"


async def talkative(_: AgentTurn) -> AsyncGenerator[str, None]:
    """Says 2,000 words."""
    yield " ".join(f"word{n}" for n in range(2000))


async def stubborn(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Ignores its cancellation."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    yield turn.text


async def obedient(turn: AgentTurn) -> AsyncGenerator[Event, None]:
    """Yields what a Dictation says, when it says it; the message is the path of its file."""
    path = Path(f"{turn.text}.{turn.attempt}")
    await _exists(path)
    with path.open() as lines:  # noqa: ASYNC230 - a few bytes
        while True:
            line = lines.readline()
            if not line.endswith("\n"):
                lines.seek(lines.tell() - len(line))
                await asyncio.sleep(0.005)
                continue
            kind, *words = json.loads(line)
            if kind == "end":
                return
            yield _EVENTS[kind](*words)


def _words(text: str) -> str:
    return text


def _file(name: str, path: str, kind: str, caption: str) -> File:
    return File(name, Path(path).read_bytes(), kind, caption)  # type: ignore[arg-type] # the test names a FileKind


def _album(*files: tuple[str, str, str, str]) -> Album:
    return Album([_file(*file) for file in files])


def _question(text: str, *labels: str) -> Question:
    return Question(text, text, tuple(Choice(label, label) for label in labels))


_EVENTS: dict[str, Callable[..., Event]] = {
    "words": _words,
    "progress": Progress,
    "replacement": Replacement,
    "file": _file,
    "album": _album,
    "question": _question,
}


class Dictation:
    """The test's side of `obedient`: what it must yield in one attempt at the turn for `message`."""

    def __init__(self, folder: Path, name: str = "dictation", attempt: int = 1) -> None:
        self.message = str(folder / name)
        self._folder = folder
        self._path = Path(f"{self.message}.{attempt}")

    def words(self, *pieces: str) -> "Dictation":
        for piece in pieces:
            self._say("words", piece)
        return self

    def progress(self, line: str) -> "Dictation":
        return self._say("progress", line)

    def replacement(self, text: str) -> "Dictation":
        return self._say("replacement", text)

    def file(self, name: str, content: bytes, kind: str = "document", caption: str = "") -> "Dictation":
        return self._say("file", name, self._put(name, content), kind, caption)

    def album(self, *files: File) -> "Dictation":
        said = [(file.name, self._put(file.name, file.content), file.kind, file.caption) for file in files]
        return self._say("album", *said)

    def question(self, text: str, *labels: str) -> "Dictation":
        return self._say("question", text, *labels)

    def fail(self) -> None:
        """Yield what no agent may: the turn fails."""
        self._say("nonsense")

    def end(self) -> None:
        self._say("end")

    def _put(self, name: str, content: bytes) -> str:
        path = self._folder / f"content of {name}"
        path.write_bytes(content)
        return str(path)

    def _say(self, *event: object) -> "Dictation":
        with self._path.open("a") as lines:
            lines.write(json.dumps(event) + "\n")
        return self


async def patient(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Answers at its own pace in a few words or a few messages; the same text at every attempt."""
    dice = random.Random(turn.text)
    for piece in answer_to(turn.text).split(" "):
        yield piece + " "
        if dice.random() < PAUSES:
            await asyncio.sleep(dice.random() * 0.1)


PAUSES = 0.02


def answer_to(text: str) -> str:
    """What `patient` answers: mostly one message, sometimes three."""
    dice = random.Random(text)
    return " ".join(f"{text}/{n}" for n in range(1500 if dice.random() < 0.1 else dice.randint(1, 60)))


async def reader(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Says what it was sent: the prompt, the payload of a link, and each file's size or why it is missing."""
    yield f"{turn.prompt}\n\npayload: {turn.start_payload}"
    for file in turn.context.files:
        try:
            content = await turn.download(file)
        except DownloadError as error:
            yield f"\n\n{error}"
        else:
            yield f"\n\n{file.label}: {len(content)} bytes"


async def fragile_reader(turn: AgentTurn) -> AsyncGenerator[str, None]:
    """Says how each file begins and how long it is; a first attempt at `die` dies when it has read them."""
    files = [*turn.context.files, *(turn.context.reply.files if turn.context.reply else ())]
    contents = [await turn.download(file) for file in files]
    if turn.text == "die" and turn.attempt == 1:
        os.kill(os.getpid(), 9)
    yield f"attempt {turn.attempt} of {turn.text}:"
    for content in contents:
        yield f" {content.hex()[:8]} {len(content)} bytes"
