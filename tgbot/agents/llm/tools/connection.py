"""Keeps MCP servers connected while turns use them. Imports mcp."""

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any

from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp.types import CONNECTION_CLOSED, CallToolResult, Implementation, Tool

import tgbot
from tgbot.agents.llm.tools.servers import Server
from tgbot.agents.llm.tools.transports import LastWords, transport

log = logging.getLogger(__name__)

CONNECT_SECONDS = 120.0  # the first start of a server may download it
WAIT_SECONDS = 20.0  # that a turn waits for a server before it goes on without
IDLE_SECONDS = 300.0  # after which a server that no turn uses is closed
CLOSE_SECONDS = 10.0
PAGES_MAX = 100  # of a list of tools
LOST = (
    "was lost meanwhile: whether this took effect is not known, and its tools cannot be used again before"
    " the user's next message."
)
ME = Implementation(name="tgbot", version=tgbot.__version__)


class ServerError(Exception):
    """A server did not do what it was asked for; the text is for the model."""


class Connection:
    """One server, from its start until it is closed or lost; then it is `over`, and a new one has to be made.

    A task of its own keeps it: what the library opens in one task only that task can close. `users` are
    turns; without any it is closed after a while.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client: Client | None = None
        self._tried = asyncio.Event()  # it is open, or cannot be opened
        self._over = asyncio.Event()
        self._error: BaseException | None = None
        self._users = 0
        self._calls = 0  # that run now
        self._known: list[Tool] = []  # its tools, when they were listed last
        self._idle: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._keep())

    @property
    def opened(self) -> bool:
        """Whether it was opened, be it over by now or not."""
        return self._client is not None

    @property
    def over(self) -> bool:
        """Whether it is closed, lost, or could not be opened."""
        return self._over.is_set()

    def hold(self) -> None:
        """Note that a turn uses it."""
        self._users += 1
        if self._idle:
            self._idle.cancel()

    def release(self) -> None:
        """Note that a turn does not use it any more."""
        self._users -= 1
        if not self._users:
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end)

    def end(self, error: BaseException | None = None) -> None:
        """Close it; because of an error, if there is one."""
        self._error = self._error or error
        self._over.set()
        if not self._tried.is_set():
            self.task.cancel()

    async def tools(self) -> list[Tool]:
        """List the tools of the server. Raises ServerError if it cannot be reached, or not soon enough."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._tried.wait()
                self._known = await self._all_tools()
                return self._known
        except ServerError:
            raise
        except Exception as error:
            if self._calls and self._known:  # it is busy: its end would be that of another turn's call
                return self._known
            if self.opened:
                self.end(error)
            else:  # it may be there in a later turn
                log.warning("mcp.slow server=%s not started within %.0f s", self._server.name, WAIT_SECONDS)
            raise ServerError(f"{self._server.name} does not answer") from error

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """Call a tool, by its name at the server. Raises ServerError: it did not run, or nobody knows."""
        client = self._in_use()
        self._calls += 1
        try:
            return await client.call_tool(tool, arguments)
        except MCPError as error:
            if error.code != CONNECTION_CLOSED:
                raise ServerError(self._server.hidden(error.message)) from error
            self.end(error)
        except RuntimeError as error:  # the result does not fit the schema that the server gave
            raise ServerError(self._server.hidden(str(error))) from error
        except Exception as error:  # noqa: BLE001 - whatever a server can do to the library
            self.end(error)
        finally:
            self._calls -= 1
        raise ServerError(f"{self._server.name} {LOST}")

    def _in_use(self) -> Client:
        if self._client is None or self.over:
            raise ServerError(f"Nothing was done: {self._server.name} cannot be reached now.")
        return self._client

    async def _all_tools(self) -> list[Tool]:
        tools: list[Tool] = []
        cursor = None
        for _ in range(PAGES_MAX):
            page = await self._in_use().list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return tools

    async def _keep(self) -> None:
        words = LastWords()
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(CONNECT_SECONDS):
                    way = transport(self._server.entry, words)
                    self._client = await stack.enter_async_context(Client(way, client_info=ME))
                self._tried.set()
                await self._over.wait()
        except Exception as error:  # noqa: BLE001 - whatever a server can do to the library
            self._error = error
        finally:
            self._over.set()
            self._tried.set()
        if self._error:
            self._report(self._error, words)

    def _report(self, error: BaseException, words: LastWords) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        first_line = str(error).partition("\n")[0]
        reason = self._server.hidden(f"{type(error).__name__}: {first_line}")
        said = self._server.hidden(words.line)
        log.warning("mcp.unavailable server=%s reason=%s stderr=%s", self._server.name, reason, said or "-")


class Connections:
    """The connections of one event loop, by the names of their servers."""

    def __init__(self) -> None:
        self._newest: dict[str, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def hold(self, server: Server) -> Connection:
        """Give the connection to a server, a new one if there is none any more; it has to be released."""
        connection = self._newest.get(server.name)
        if connection is None or connection.over:
            connection = self._newest[server.name] = Connection(server)
            self._tasks.add(connection.task)
            connection.task.add_done_callback(self._tasks.discard)
        connection.hold()
        return connection

    def is_open(self, server: Server) -> bool:
        """Whether a turn can use a server without waiting."""
        connection = self._newest.get(server.name)
        return connection is not None and connection.opened and not connection.over

    async def close(self) -> None:
        """Close all of them, and wait until their processes are gone."""
        for connection in self._newest.values():
            connection.end()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
