"""Where a model's tools come from: a module of the user's, MCP servers, and the few that are built in.

`marks`, `module`, `servers`, `names` and `builtin` are read at the start and import no library for models;
`loading`, `mcp` and `connection` are imported in the first turn.
"""

from tgbot.agents.llm.tools.marks import Mark, tool

__all__ = ["Mark", "tool"]
