"""Reads TGBOT_MCP: a JSON file of MCP servers in the common `mcpServers` shape, with marks for their tools.

{"mcpServers": {"files": {"command": "npx", "args": ["..."], "env": {"KEY": "${KEY}"}, "cwd": "/srv"},
                "web": {"url": "https://...", "headers": {"Authorization": "Bearer ${TOKEN}"}}}}

A server may have an object `tgbot`: {"free": [names, or "*"], "ask": [...], "idempotent": [...],
"timeout_seconds": 60}. Without it, tools that only read are free and idempotent, all others ask first.
"""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, ValidationError, model_validator

from tgbot.agents.llm.tools.marks import Mark
from tgbot.turns.agent import AgentError

ALL = "*"
HIDDEN = "***"
SECRET_MIN = 6  # characters; what is shorter ("1", "true") is no secret, and stands in every other line

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
Environment = Mapping[str, str]


class Rules(BaseModel):
    """Which tools are free, ask first, may run twice: by name, or "*" for all that are not named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    free: frozenset[str] = frozenset()
    ask: frozenset[str] = frozenset()
    idempotent: frozenset[str] = frozenset()
    timeout_seconds: PositiveFloat = 60

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "Rules":
        for name in sorted(self.free & self.ask):
            raise ValueError(f"{name!r} is in both free and ask")
        return self

    def asks(self, tool: str, *, read_only: bool) -> bool:
        """Whether a tool asks first: as its name says, else as "*" says, else as the server itself says."""
        for name in (tool, ALL):
            if name in self.free | self.ask:
                return name in self.ask
        return not read_only


class Entry(BaseModel):
    """One server of the file: a `command` that speaks over its stdin and stdout, or a `url`.

    Keys of other programs are ignored.
    """

    type: Literal["stdio", "http", "streamable-http", "sse"] | None = None
    command: str | None = None
    args: list[str] | None = None
    env: dict[str, str] | None = None
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] | None = None
    tgbot: Rules = Rules()

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> "Entry":
        if (self.command is None) == (self.url is None):
            raise ValueError("it needs either a command or a url")
        if self.type is not None and (self.type == "stdio") != (self.url is None):
            raise ValueError(f"type {self.type!r} does not go with a {'command' if self.command else 'url'}")
        if self.url is not None and not re.match(r"https?://[^\s/]", self.url):
            raise ValueError("its url has to begin with http:// or https://")
        return self


@dataclass(frozen=True, slots=True)
class Server:
    """One server. Its entry and its `secrets` may stand in no log line and in no chat."""

    name: str
    entry: Entry = field(repr=False)
    secrets: frozenset[str] = field(repr=False)

    def mark(self, tool: str, *, read_only: bool) -> Mark:
        """Mark a tool, by its name at the server."""
        rules = self.entry.tgbot
        idempotent = read_only or not rules.idempotent.isdisjoint((tool, ALL))
        return Mark(rules.asks(tool, read_only=read_only), idempotent, rules.timeout_seconds)

    def hidden(self, text: str) -> str:
        """Give a text without the secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


def read(path: Path, environment: Environment) -> list[Server]:
    """Read the file; ${NAME} and ${NAME:-default} in its values are taken from `environment`.

    Raises AgentError: one line says what is wrong, and where.
    """
    if importlib.util.find_spec("mcp") is None:
        raise AgentError("servers need one more package: pip install 'tgbot[mcp]'")
    try:
        return [_server(name, entry, environment) for name, entry in _entries(path).items()]
    except ValueError as error:
        raise AgentError(f"{path}: {error}") from None


def _entries(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    servers = content.get("mcpServers") if isinstance(content, dict) else None
    if not isinstance(servers, dict):
        raise ValueError('has no object "mcpServers"')  # noqa: TRY004 - as all that is wrong in a file
    return servers


def _server(name: str, given: object, environment: Environment) -> Server:
    if not isinstance(given, dict):
        raise ValueError(f"server {name!r} has to be an object")  # noqa: TRY004 - as all that is wrong in a file
    variables: set[str] = set()
    try:
        entry = Entry.model_validate(_filled(given, environment, variables))
    except ValidationError as error:
        raise ValueError(f"server {name!r}: {_first_of(error)}") from None
    except KeyError as error:
        raise ValueError(f"server {name!r} needs {error.args[0]}, which is not set") from None
    return Server(name, entry, frozenset(_secrets(entry, variables)))


def _filled(value: Any, environment: Environment, used: set[str]) -> Any:  # noqa: ANN401 - any JSON
    """Put values in the place of variables, and into `used`. Raises KeyError for one that is missing."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _value_of(match, environment, used), value)
    if isinstance(value, dict):
        return {name: _filled(one, environment, used) for name, one in value.items()}
    return [_filled(one, environment, used) for one in value] if isinstance(value, list) else value


def _value_of(match: re.Match[str], environment: Environment, used: set[str]) -> str:
    value = environment.get(match[1], match[2])
    if value is None:
        raise KeyError(match[1])
    used.add(value)
    return value


def _first_of(error: ValidationError) -> str:
    """Say the first thing that is wrong; never the value itself, which may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def _secrets(entry: Entry, variables: set[str]) -> Iterator[str]:
    """List what must not be seen, whole and word by word ("Bearer abc"); a URL may have a key in its path."""
    kept = [*(entry.env or {}).values(), *(entry.headers or {}).values(), *variables, entry.url or ""]
    for value in kept:
        yield from (word for word in {value, *value.split()} if len(word) >= SECRET_MIN)
