"""The tools of MCP servers: each run gets those of the servers that it can reach.

Imports pydantic_ai and mcp.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, NamedTuple, Self

from mcp.types import Tool
from pydantic_ai import RunContext
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

from tgbot.agents.llm.deps import Deps
from tgbot.agents.llm.tools import names
from tgbot.agents.llm.tools.connection import Connection, Connections, ServerError
from tgbot.agents.llm.tools.content import content_of, text_of
from tgbot.agents.llm.tools.gone import ANY_ARGUMENTS
from tgbot.agents.llm.tools.marks import MARK, ORIGIN
from tgbot.agents.llm.tools.servers import Server
from tgbot.turns.agent import Progress


class Found(NamedTuple):
    """A tool of a server that can be reached."""

    server: Server
    connection: Connection
    tool: Tool

    def definition(self, name: str) -> ToolDefinition:
        """Describe it to a model, under this name."""
        hints = self.tool.annotations
        mark = self.server.mark(self.tool.name, read_only=bool(hints and hints.read_only_hint))
        return ToolDefinition(
            name=name,
            description=self.tool.description,
            parameters_json_schema=self.tool.input_schema,
            metadata={MARK: asdict(mark), ORIGIN: f"mcp:{self.server.name}/{self.tool.name}"},
        )


class McpTools(AbstractToolset[Deps]):
    """The tools of all servers, for one event loop; `taken` are the names of other tools.

    The servers start in the first turn. Turns share them; they end with the loop, at `close`, and when no
    turn has used them for a while. `known` are the tools that each server was seen to have: while one cannot
    be reached, the tools of the others keep their names.
    """

    def __init__(self, servers: Sequence[Server], taken: Collection[str]) -> None:
        self.servers = servers
        self.taken = taken
        self.connections = Connections()
        self.known: dict[str, Iterable[str]] = {}

    @property
    def id(self) -> str:
        """Its name among toolsets."""
        return "mcp"

    async def for_run(self, ctx: RunContext[Deps]) -> "ToolsOfRun":
        """Give the tools of one run."""
        return ToolsOfRun(self, ctx.deps)

    async def get_tools(self, ctx: RunContext[Deps]) -> dict[str, ToolsetTool[Deps]]:  # noqa: ARG002 - its signature
        """Offer nothing: only a run has tools."""
        return {}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Deps], tool: ToolsetTool[Deps]
    ) -> Any:  # noqa: ANN401 - its signature
        """Only a run has tools."""
        raise NotImplementedError(name)

    async def close(self) -> None:
        """End all servers."""
        await self.connections.close()


class ToolsOfRun(AbstractToolset[Deps]):
    """The tools of one run: what the servers offer when it begins."""

    def __init__(self, mcp: McpTools, deps: Deps) -> None:
        self._mcp = mcp
        self._deps = deps
        self._held: list[Connection] = []
        self._found: dict[str, Found] = {}
        self._missing: list[str] = []

    @property
    def id(self) -> str:
        """Its name among toolsets."""
        return "mcp"

    async def __aenter__(self) -> Self:
        """Connect what is not connected, and hold all until the run ends."""
        servers, connections = self._mcp.servers, self._mcp.connections
        starting = [server.name for server in servers if not connections.is_open(server)]
        if starting:
            self._deps.say(Progress(f"Starting {', '.join(starting)}"))
        try:
            found = await asyncio.gather(*map(self._tools_of, servers))
        except BaseException:
            self._release()
            raise
        self._offer(chain.from_iterable(found))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the connections go."""
        self._release()

    async def get_instructions(self, ctx: RunContext[Deps]) -> str | None:  # noqa: ARG002 - its signature
        """Say which servers cannot be reached, so that the model does not promise what it lacks."""
        if not self._missing:
            return None
        return f"These tool servers cannot be reached now: {', '.join(self._missing)}."

    async def get_tools(self, ctx: RunContext[Deps]) -> dict[str, ToolsetTool[Deps]]:
        """Offer the tools that were found, whatever became of their servers since."""
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=found.definition(name),
                max_retries=ctx.max_retries,
                args_validator=ANY_ARGUMENTS,  # the server checks them
            )
            for name, found in self._found.items()
        }

    async def call_tool(
        self,
        name: str,
        tool_args: dict[str, Any],
        ctx: RunContext[Deps],  # noqa: ARG002 - its signature
        tool: ToolsetTool[Deps],  # noqa: ARG002 - its signature
    ) -> Any:  # noqa: ANN401 - any tool's
        """Call a tool. What a server does wrong is a result, too, in words for the model."""
        server, connection, called = self._found[name]
        try:
            result = await connection.call(called.name, tool_args)
        except ServerError as error:
            return str(error)
        if result.is_error:
            return f"It failed: {server.hidden(text_of(result)) or 'the server does not say why.'}"
        return content_of(result)

    async def _tools_of(self, server: Server) -> list[Found]:
        """List the tools of a server; a connection that was lost since it was used is made anew."""
        for _ in range(2):
            connection = self._mcp.connections.hold(server)
            self._held.append(connection)
            was_open = connection.opened
            try:
                tools = await connection.tools()
            except ServerError:
                if not was_open:
                    break
            else:
                self._mcp.known[server.name] = dict.fromkeys(tool.name for tool in tools)
                return [Found(server, connection, tool) for tool in tools]
        self._missing.append(server.name)
        return []

    def _offer(self, everything: Iterable[Found]) -> None:
        places = [(server, tool) for server, known in self._mcp.known.items() for tool in known]
        named = names.distinct(places, self._mcp.taken)
        self._found = {named[found.server.name, found.tool.name]: found for found in everything}

    def _release(self) -> None:
        for connection in self._held:
            connection.release()
        self._held.clear()
