"""Where a model's tools come from: a module of the user's, MCP servers, and the few that are built in.

`marks`, `module`, `servers` and `builtin` are read at the start, and import no library for models. The rest
is imported with the model: `loading` makes toolsets of them, `mcp` those of servers. `leash` is a script.
"""

from tgbot.agents.llm.tools.marks import Function, Mark, tool

__all__ = ["Function", "Mark", "tool"]
