"""The whole durable line beside python-telegram-bot's pipeline, which keeps nothing."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from telegram import Update
from telegram.ext import Application, ApplicationBuilder, MessageHandler, filters

from bench import scene
from bench.figures import Figure, Times, at_least, speed_ratio
from tgbot.model import Raw
from tgbot.playground.server import PlaygroundServer

CHATS = 100
MESSAGES = 1000  # a sample
PAIRS = 11


def figures() -> Iterator[Figure]:
    # PTB's pipeline waits for nothing, ours for the disk: how fast that is, is no question of the code.
    ratio = asyncio.run(_ratio())
    yield at_least("whole durable line / PTB in memory, no-op handler, CPU", ratio.cpu, 0.5)


async def _ratio() -> Times:
    async with PlaygroundServer() as server:
        builder = ApplicationBuilder().token("1:playground").base_url(f"{server.url}/bot").updater(None)
        with scene.folder() as folder:
            async with builder.build() as application, scene.line(folder / "line.db") as line:
                return await _compare(line, application)


async def _compare(line: scene.Line, application: Application[Any, Any, Any, Any, Any, Any]) -> Times:
    application.add_handler(MessageHandler(filters.ALL, _ignore))

    async def in_memory(raws: Sequence[Raw]) -> None:
        for raw in raws:
            await application.process_update(Update.de_json(raw, application.bot))

    samples = ([scene.update(n % CHATS + 1) for n in range(MESSAGES)] for _ in range(PAIRS))
    return await speed_ratio(line.run, in_memory, samples)


async def _ignore(_update: object, _context: object) -> None:
    """Do nothing, as a handler."""
