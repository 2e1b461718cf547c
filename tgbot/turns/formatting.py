"""Formats what an agent said as the contents of an answer; a long answer in a thread."""

import asyncio
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tgbot import render
from tgbot.model import Album, File, KeptAlbum, KeptFile
from tgbot.render import Text
from tgbot.store import parts
from tgbot.store.parts import Asked, Rich
from tgbot.turns.agent import Question
from tgbot.turns.answer import LiveAnswer, Piece

REST_FILE = "answer.md"
REST_CAPTION = "The rest of the answer."
LONG_CHARACTERS = 8_000
PARTS_MAX = 8  # of one answer; the rest comes as a file
QUESTION_CHARACTERS = 3_000  # leaves room for the line that says what was answered
THREADS = ThreadPoolExecutor(4, thread_name_prefix="formatting")


@dataclass(frozen=True, slots=True)
class Said:
    """What a turn has said from its part number `first` on; what comes before is on screen already."""

    first: int = 0
    contents: Sequence[parts.Said] = ()


def asked(question: Question) -> Asked:
    """Format a question; what is too long for one message with a line of room is cut."""
    text = render.preview(question.text[:QUESTION_CHARACTERS]) or Text("?")
    return Asked(question.key, text, question.choices)


async def formatted(answer: LiveAnswer, *, rich: bool = False) -> Said:
    """Format what was said so far; with `rich` as rich messages, where possible."""
    if answer.length <= LONG_CHARACTERS:
        return _contents(answer, rich=rich)
    formatting = functools.partial(_contents, answer, rich=rich)
    return await asyncio.get_running_loop().run_in_executor(THREADS, formatting)


def _contents(answer: LiveAnswer, *, rich: bool) -> Said:
    first, segments = answer.rest()
    if answer.closed and segments and isinstance(segments[-1], str):
        segments[-1] = render.settled(segments[-1])  # it was cut off in mid-word
    room = max(1, PARTS_MAX - (first - answer.turn.first_part))
    contents = [content for segment in segments for content in _of_segment(segment, room, rich=rich)]
    return Said(first, contents)


def _of_segment(segment: Piece, parts_max: int, *, rich: bool) -> list[parts.Said]:
    """Format Markdown; what is too long for a chat becomes a file."""
    if isinstance(segment, File | KeptFile | KeptAlbum | Album):
        return [segment]
    if rich and render.rich(segment):
        return [Rich(segment)]
    parts, rest = render.overflow(segment, parts_max)
    return [*parts, *([File(REST_FILE, rest.encode(), caption=REST_CAPTION)] if rest else [])]
