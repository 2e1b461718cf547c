"""The agent that answers with a model; it imports what that needs when the process has begun."""

import asyncio
import contextlib
import importlib
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tgbot.agents.llm import names
from tgbot.agents.llm.tools import Function
from tgbot.config import Settings, environment, wrong_setting
from tgbot.turns.agent import AgentError, AgentTurn, Event

if TYPE_CHECKING:
    from tgbot.agents.llm.assistant import Assistant
    from tgbot.agents.llm.tools.servers import Server

HEAVY = "tgbot.agents.llm.assistant"
FOR_SERVERS = "tgbot.agents.llm.tools.mcp"


class LlmAgent:
    """Runs turns through the model that the settings name, or that the chat has chosen."""

    def __init__(self, settings: Settings) -> None:
        """Read what the settings name. Raises ConfigError: one line says what is wrong."""
        names.check(settings)
        self._settings = settings
        self._functions = _functions(settings.tools) if settings.tools else {}
        self._servers = _servers(settings.mcp) if settings.mcp else []
        self._assistants: WeakKeyDictionary[asyncio.AbstractEventLoop, Assistant] = WeakKeyDictionary()

    def change(self, settings: Settings) -> None:
        """Go by these from the next turn on. Raises ConfigError: then the old ones stay."""
        names.check(settings)
        self._settings = settings

    def prepare(self) -> None:
        """Begin to import the libraries, beside whatever else the process does: it takes seconds."""
        threading.Thread(target=self._warm_up, daemon=True, name="import").start()

    def _warm_up(self) -> None:
        heavy = self._import()
        with contextlib.suppress(Exception):  # what is wrong with it the first turn says
            heavy.models.make(self._settings.model, self._settings)

    async def run(self, turn: AgentTurn) -> AsyncGenerator[Event, None]:
        """Answer a turn. What is said passes a queue, because tools say something, too, while they run."""
        assistant = await self._assistant()
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        answering = asyncio.create_task(assistant.answer(turn, events.put_nowait))
        answering.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await answering
        finally:
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await answering

    async def _assistant(self) -> "Assistant":
        """Find the assistant of this event loop: connections belong to one."""
        loop = asyncio.get_running_loop()
        if loop not in self._assistants:
            heavy = await asyncio.to_thread(self._import)
            if loop not in self._assistants:  # another turn may have been faster
                self._assistants[loop] = heavy.Assistant(
                    lambda: self._settings, self._functions, self._servers
                )
        return self._assistants[loop]

    def _import(self) -> ModuleType:
        """Import what a turn needs; no loop should wait for it."""
        if self._servers:
            importlib.import_module(FOR_SERVERS)
        return importlib.import_module(HEAVY)


# Both need pydantic, which costs every start a tenth of a second and 6 MB.


def _functions(module_name: str) -> dict[str, Function]:
    from tgbot.agents.llm.tools import module  # noqa: PLC0415

    try:
        return module.functions(module_name)
    except AgentError as error:
        raise wrong_setting("tools", error) from None


def _servers(path: Path) -> "list[Server]":
    from tgbot.agents.llm.tools import servers  # noqa: PLC0415

    try:
        return servers.read(path, environment())
    except AgentError as error:
        raise wrong_setting("mcp", error) from None
