"""Gives each tool of an MCP server a name that models accept and that no other tool has."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

NAME_MAX = 64  # characters; what OpenAI and Anthropic accept


def distinct(tools: Sequence[tuple[str, str]], taken: Collection[str]) -> dict[tuple[str, str], str]:
    """Name each pair of a server and its tool: the tool's own name, or `server_tool` where that is not alone.

    `taken` are the names of other tools. The same pairs get the same names, whatever came before.
    """
    count = Counter([*taken, *(acceptable(tool) for _, tool in tools)])
    alone = {(server, tool): name for server, tool in tools if count[name := acceptable(tool)] == 1}
    used = {*taken, *alone.values()}
    for server, tool in tools:
        if (server, tool) not in alone:
            alone[server, tool] = _free(acceptable(f"{server}_{tool}"), used)
            used.add(alone[server, tool])
    return alone


def acceptable(name: str) -> str:
    """Replace what models do not accept in the name of a tool."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:NAME_MAX] or "_"


def _free(name: str, used: Collection[str]) -> str:
    numbered = (f"{name[: NAME_MAX - 4]}_{number}" for number in range(2, 1000))
    return next(one for one in (name, *numbered) if one not in used)
