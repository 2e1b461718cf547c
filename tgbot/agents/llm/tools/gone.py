"""Stands in for tools that a turn has called before a crash and that are not there now.

Without it their calls, which may have taken effect, would look as if nothing had ever run: with it they go
the way of all calls, to the ledger.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset
from pydantic_core import SchemaValidator, core_schema

from tgbot.agents.llm.deps import Deps

GONE = "This tool cannot be used now."
ANY_ARGUMENTS = SchemaValidator(core_schema.dict_schema(core_schema.str_schema()))


@dataclass
class WithGone(WrapperToolset[Deps]):
    """All tools that there are, and those of these names that there are not."""

    names: Collection[str]

    async def get_tools(self, ctx: RunContext[Deps]) -> dict[str, ToolsetTool[Deps]]:
        """Add what is gone."""
        tools = await super().get_tools(ctx)
        return {name: self._gone(name) for name in self.names} | tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Deps], tool: ToolsetTool[Deps]
    ) -> Any:  # noqa: ANN401 - any tool's
        """Do nothing in the place of a tool that is gone."""
        if tool.toolset is self:
            return f"Nothing was done. {GONE}"
        return await super().call_tool(name, tool_args, ctx, tool)

    def _gone(self, name: str) -> ToolsetTool[Deps]:
        definition = ToolDefinition(name=name, description=GONE)
        return ToolsetTool(toolset=self, tool_def=definition, max_retries=0, args_validator=ANY_ARGUMENTS)
