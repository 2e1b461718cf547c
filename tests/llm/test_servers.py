"""The file of MCP servers: what it says, and one line for what is wrong with it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tgbot.agents.llm.tools.marks import Mark
from tgbot.agents.llm.tools.servers import Server, read
from tgbot.turns.agent import AgentError


def written(folder: Path, content: object) -> Path:
    path = folder / "mcp.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def one(folder: Path, **entry: Any) -> Server:  # noqa: ANN401 - any JSON
    [server] = read(written(folder, {"mcpServers": {"s": entry}}), {"TOKEN": "sesame-1", "HOME": "/home/ann"})
    return server


def test_variables_are_filled_in_from_the_environment(tmp_path: Path) -> None:
    stdio = one(
        tmp_path,
        command="${HOME}/run",
        args=["--token", "${TOKEN}", "${NOTHING:-none}"],
        env={"KEY": "<${TOKEN}>"},
        cwd="${HOME}",
        disabled=False,
    ).entry
    assert (stdio.command, stdio.cwd) == ("/home/ann/run", "/home/ann")
    assert (stdio.args, stdio.env) == (["--token", "sesame-1", "none"], {"KEY": "<sesame-1>"})
    http = one(tmp_path, type="sse", url="http://x/${TOKEN}", headers={"Authorization": "Bearer ${TOKEN}"})
    assert (http.entry.url, http.entry.headers) == ("http://x/sesame-1", {"Authorization": "Bearer sesame-1"})


def test_without_rules_a_tool_that_only_reads_is_free_and_all_others_ask(tmp_path: Path) -> None:
    server = one(tmp_path, command="x")
    assert server.mark("look", read_only=True) == Mark(ask=False, idempotent=True)
    assert server.mark("write", read_only=False) == Mark(ask=True, idempotent=False)


def test_a_name_counts_before_the_star_and_the_star_before_what_the_server_says(tmp_path: Path) -> None:
    rules = {"free": ["*"], "ask": ["delete", "look"], "idempotent": ["delete"], "timeout_seconds": 5}
    server = one(tmp_path, command="x", tgbot=rules)
    assert server.mark("write", read_only=False) == Mark(ask=False, idempotent=False, timeout_seconds=5)
    assert server.mark("delete", read_only=False) == Mark(ask=True, idempotent=True, timeout_seconds=5)
    assert server.mark("look", read_only=True) == Mark(ask=True, idempotent=True, timeout_seconds=5)
    all_twice = one(tmp_path, command="x", tgbot={"ask": ["*"], "free": ["a"], "idempotent": ["*"]})
    assert all_twice.mark("a", read_only=False) == Mark(ask=False, idempotent=True)
    assert all_twice.mark("look", read_only=True) == Mark(ask=True, idempotent=True)


def test_no_value_of_env_headers_or_variables_is_shown(tmp_path: Path) -> None:
    stdio = one(tmp_path, command="x", args=["${TOKEN}"], env={"KEY": "topsecret", "DEBUG": "1"})
    assert stdio.hidden("1 topsecret sesame-1") == "1 *** ***"
    http = one(tmp_path, url="http://x/?key=open", headers={"Authorization": "Bearer abcdef"})
    assert http.hidden("GET http://x/?key=open abcdef") == "GET *** ***"
    assert not any(
        secret in repr((stdio, http)) for secret in ("topsecret", "sesame-1", "abcdef", "key=open")
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON (line 1, column 2: Expecting property name enclosed in double quotes)"),
        ([], 'has no object "mcpServers"'),
        ({"mcpServers": {"s": 1}}, "server 's' has to be an object"),
        ({"mcpServers": {"s": {}}}, "server 's': it needs either a command or a url"),
        (
            {"mcpServers": {"s": {"command": "x", "url": "http://x"}}},
            "server 's': it needs either a command or a url",
        ),
        (
            {"mcpServers": {"s": {"command": "x", "type": "sse"}}},
            "server 's': type 'sse' does not go with a command",
        ),
        (
            {"mcpServers": {"s": {"url": "http://x", "type": "stdio"}}},
            "server 's': type 'stdio' does not go with a url",
        ),
        ({"mcpServers": {"s": {"url": "x"}}}, "server 's': its url has to begin with http:// or https://"),
        (
            {"mcpServers": {"s": {"url": "http://x", "headers": {"A": "${MISSING}"}}}},
            "server 's' needs MISSING, which is not set",
        ),
        (
            {"mcpServers": {"s": {"command": "x", "env": {"A": 1}}}},
            "server 's': env.A: Input should be a valid string",
        ),
        (
            {"mcpServers": {"s": {"command": "x", "tgbot": {"fre": ["a"]}}}},
            "server 's': tgbot.fre: Extra inputs are not permitted",
        ),
        (
            {"mcpServers": {"s": {"command": "x", "tgbot": {"free": ["a"], "ask": ["a"]}}}},
            "server 's': tgbot: 'a' is in both free and ask",
        ),
        (
            {"mcpServers": {"s": {"command": "x", "tgbot": {"timeout_seconds": 0}}}},
            "server 's': tgbot.timeout_seconds: Input should be greater than 0",
        ),
    ],
)
def test_one_line_says_what_is_wrong_and_where(tmp_path: Path, content: object, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(AgentError) as error:
        read(path, {})
    assert str(error.value) == f"{path}: {said}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"nowhere.json: cannot be read \(No such file or directory\)"):
        read(tmp_path / "nowhere.json", {})


def test_what_servers_need_to_be_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(AgentError, match=r"servers need one more package: pip install 'tgbot\[mcp\]'"):
        read(written(tmp_path, {"mcpServers": {}}), {})
