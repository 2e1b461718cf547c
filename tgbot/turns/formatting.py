"""Formats what an agent said as the contents of an answer; a long answer in a thread."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

from tgbot import render
from tgbot.model import Album, File
from tgbot.store.outbox import Content, Rich
from tgbot.turns.answer import LiveAnswer

REST_FILE = "answer.md"
REST_CAPTION = "The rest of the answer."
LONG_CHARACTERS = 8_000
THREADS = ThreadPoolExecutor(4, thread_name_prefix="formatting")


async def formatted(answer: LiveAnswer, *, rich: bool = False) -> list[Content]:
    """Format what was said so far; with `rich` as rich messages, where possible."""
    if answer.length <= LONG_CHARACTERS:
        return _contents(answer, rich=rich)
    formatting = functools.partial(_contents, answer, rich=rich)
    return await asyncio.get_running_loop().run_in_executor(THREADS, formatting)


def _contents(answer: LiveAnswer, *, rich: bool) -> list[Content]:
    segments = list(answer.segments())
    if answer.closed and segments and isinstance(segments[-1], str):
        segments[-1] = render.settled(segments[-1])  # it was cut off in mid-word
    return [content for segment in segments for content in _of_segment(segment, rich=rich)]


def _of_segment(segment: str | File | Album, *, rich: bool) -> list[Content]:
    """Format Markdown; what is too long for a chat becomes a file."""
    if isinstance(segment, File | Album):
        return [segment]
    if rich and render.rich(segment):
        return [Rich(segment)]
    parts, rest = render.overflow(segment)
    return [*parts, *([File(REST_FILE, rest.encode(), caption=REST_CAPTION)] if rest else [])]
