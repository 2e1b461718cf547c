"""The whole bot with a model behind it, in the test's own process; one serves all tests of a module."""

import io
import itertools
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.llm.answers import Fixture
from tests.llm.model_server import ModelServer, model_server
from tests.llm.request import Request
from tests.running import running
from tests.whole_bot.process import TOKEN, Person
from tgbot import logs
from tgbot.agents.llm import names
from tgbot.agents.llm.agent import LlmAgent
from tgbot.config import Settings
from tgbot.playground.server import PlaygroundServer

SHAPES = ("openai-chat", "openai", "anthropic", "ollama")
KEY = "sk-proj-Zq81LmN04vTx"  # made up

_user_ids = itertools.count(1001)


@dataclass
class ModelBot:
    """A bot that runs, the server of its models, and what it has logged."""

    wire: PlaygroundServer
    server: ModelServer
    _log: io.StringIO
    _before: int = 0

    def person(self) -> Person:
        """Give somebody who has never talked to it."""
        return Person(self.wire, next(_user_ids))

    async def answers_by(self, *fixtures: Fixture) -> None:
        """Let its models answer by these from now on; `sent` and `log` begin here."""
        await self.server.answers_by(*fixtures)
        self._before = len(self.server.journal())
        self._log.seek(0)
        self._log.truncate()

    @property
    def sent(self) -> list[Request]:
        return self.server.journal()[self._before :]

    @property
    def log(self) -> str:
        return self._log.getvalue()


def model_settings(shape: str, server: ModelServer, **more: Any) -> Settings:  # noqa: ANN401 - as Settings has them
    url = server.url if shape == "anthropic" else server.openai_url
    model = f"{shape}:some-model"
    return Settings(token=TOKEN, agent="llm", model=model, model_url=url, model_key=KEY, **more)


@contextmanager
def logged(*secrets: str) -> Iterator[io.StringIO]:
    """Log as the process does, but to memory."""
    log, root = io.StringIO(), logging.getLogger()
    handler, level = logs.handler(log, *secrets), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield log
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@asynccontextmanager
async def model_bot(
    folder: Path,
    shape: str = "openai-chat",
    **more: Any,  # noqa: ANN401 - as Settings has them
) -> AsyncIterator[ModelBot]:
    """Run it; `folder` holds its database."""
    async with model_server() as server, PlaygroundServer(port=0) as wire:
        settings = model_settings(shape, server, **more)
        with logged(TOKEN, *names.secrets(settings)) as log:
            agent = LlmAgent(settings).run
            async with running(wire, folder / "tgbot.db", agent, allowed_users=None):
                yield ModelBot(wire, server, log)
