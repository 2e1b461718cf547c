"""MCP servers: real processes, real HTTP, and what becomes of both."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL
from typing import Protocol

import pytest
from pydantic_ai.messages import BinaryImage, ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from tests.llm.calling import Call, Place, Run, call, run
from tests.llm.mcp_processes import SECRET, Entry, alive, free_port, gone, servers, serving, small, stdio
from tests.llm.mcp_server import PIXEL
from tests.waiting import DEADLINE_SECONDS, eventually
from tgbot.agents.llm import models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.tools import connection
from tgbot.agents.llm.tools.builtin import FUNCTIONS
from tgbot.agents.llm.tools.connection import Connections
from tgbot.agents.llm.tools.loading import load
from tgbot.agents.llm.tools.mcp import McpTools
from tgbot.config import Settings
from tgbot.turns.agent import Progress
from tgbot.turns.agent_thread import AgentThread

ROOT = Path(__file__).parents[2]
NOTHING_DONE = "Nothing was done: {} cannot be reached now."


class Bot(Protocol):
    """The type of the fixture `bot`: gives the tools of these servers, as a run uses them."""

    def __call__(self, **entries: Entry) -> "Tools": ...


class Tools:
    """The tools of some servers, and a turn to use them in."""

    def __init__(self, place: Place, mcp: McpTools) -> None:
        self.place = place
        self.mcp = mcp

    async def run(self, *steps: Call | list[Call]) -> Run:
        return await run([self.mcp], self.place.deps, *steps)

    async def pids(self, name: str = "pids") -> list[int]:
        [found] = (await self.run(call(name))).results
        assert isinstance(found, list)
        return found


@pytest.fixture
async def bot(place: Place, tmp_path: Path) -> AsyncIterator[Bot]:
    made: list[Tools] = []

    def make(**entries: Entry) -> Tools:
        made.append(Tools(place, McpTools(servers(tmp_path, **entries), taken=())))
        return made[-1]

    yield make
    for tools in made:
        await tools.mcp.close()


async def test_a_model_sees_and_calls_the_tools_of_a_child_process(
    bot: Bot, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TGBOT_TOKEN", "42:secret")
    tools = bot(s=stdio(tgbot={"free": ["write"], "timeout_seconds": 5}))
    steps = call("add", a=1, b=2), call("picture"), call("odd_name"), call("fail"), call("environment")
    ran = await tools.run(*steps)
    add = ran.offered[0]["add"]
    assert add.description == "Add two numbers."
    assert list(add.parameters_json_schema["properties"]) == ["a", "b"]
    free = {"ask": False, "idempotent": True, "timeout_seconds": 5, "progress": ""}
    assert add.metadata == {"tgbot": free, "origin": "mcp:s/add"}
    assert (ran.offered[0]["write"].metadata or {})["tgbot"] == free | {"idempotent": False}
    assert (ran.offered[0]["die"].metadata or {})["tgbot"] == free | {"ask": True, "idempotent": False}
    *results, environment = ran.results
    picture = BinaryImage(PIXEL, media_type="image/png")
    assert results == [3, picture, "odd", "It failed: Error executing tool fail"]
    assert environment["KEY"] == SECRET
    assert "42:secret" not in str(environment), "the environment of the bot is not passed on"
    assert place.said == [Progress("Starting s")]


async def test_turns_share_a_process_and_its_end_leaves_none(bot: Bot) -> None:
    tools = bot(s=small())
    first, *others = await asyncio.gather(*(tools.pids() for _ in range(3)))
    assert others == [first, first]
    await tools.mcp.close()
    assert not any(map(alive, first))


async def test_after_a_close_the_next_turn_starts_the_server_again(bot: Bot) -> None:
    tools = bot(s=small())
    first = await tools.pids()
    await tools.mcp.close()
    assert set(await tools.pids()).isdisjoint(first)


async def test_a_server_that_does_not_end_by_itself_is_killed(bot: Bot) -> None:
    tools = bot(s=small("deaf"))
    pids = await tools.pids()
    await tools.mcp.close()
    await gone(pids)


async def test_a_server_that_no_turn_uses_is_closed_and_not_before(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0)
    tools = bot(s=small())
    ran = await tools.run(call("pids"), call("pids"))
    assert ran.results[0] == ran.results[1]
    await gone(ran.results[0])


async def test_a_turn_that_begins_before_the_last_one_was_long_ago_keeps_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0)
    connections = Connections()
    held = connections.hold(*servers(tmp_path, s=small()))
    await held.tools()
    held.release()
    held.hold()
    await held.call("pids", {})
    assert not held.over
    await connections.close()


async def test_the_end_of_the_agents_loop_ends_the_servers(bot: Bot) -> None:
    tools = bot(s=small())
    thread = AgentThread(1, lambda _: None)
    pids = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(tools.pids(), thread.loop))
    assert all(map(alive, pids))
    thread.calls.put(thread.wind_up)
    await asyncio.to_thread(thread.join, DEADLINE_SECONDS)
    assert not any(map(alive, pids)), "the thread ends after them"


async def test_no_server_outlives_a_bot_that_was_killed(tmp_path: Path) -> None:
    servers(tmp_path, good=small(), deaf=small("deaf"))
    command = [sys.executable, "-m", "tests.llm.bot_with_servers", str(tmp_path / "mcp.json")]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    pids = json.loads(await process.stdout.readline())
    assert len(pids) == 4
    assert all(map(alive, pids))
    process.kill()
    await process.wait()
    await gone(pids)


async def test_a_server_that_dies_in_a_call_costs_only_its_own_tools_and_only_this_turn(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    tools = bot(dying=small(), other=small())
    ran = await tools.run(call("dying_die"), call("dying_add", a=1, b=2), call("other_add", a=1, b=2))
    assert ran.results == [
        f"dying {connection.LOST}",
        NOTHING_DONE.format("dying"),
        3,
    ]
    assert ran.offered[0].keys() == ran.offered[-1].keys()
    await eventually(lambda: bool(caplog.messages), "the log says so")
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line == "mcp.unavailable server=dying reason=MCPError: Connection closed stderr=killed by ***"
    assert (await tools.run(call("dying_add", a=1, b=2))).results == [3]


async def test_a_server_that_died_between_two_turns_is_there_in_the_second(bot: Bot) -> None:
    tools = bot(s=small())
    server, leash = await tools.pids()
    os.kill(server, SIGKILL)
    await gone([server, leash])
    ran = await tools.run(call("add", a=1, b=2))
    assert (ran.results, ran.instructions[0]) == ([3], None)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (small("broken"), "reason=MCPError: Connection closed stderr=there is no ***"),
        ({"command": "no-such-command"}, "stderr=no-such-command: No such file or directory"),
        ({"command": "ls", "cwd": "/no/such/folder"}, "reason=FileNotFoundError: [Errno 2] No such file"),
        ({"url": f"http://127.0.0.1:{free_port()}/?key={SECRET}"}, "reason=ConnectError: "),
        ({"url": f"http://127.0.0.1:{free_port()}/", "type": "sse"}, "reason=ConnectError: "),
    ],
    ids=["ends at once", "no command", "no folder", "no http server", "no sse server"],
)
async def test_a_server_that_cannot_be_reached_is_named_to_the_model_and_in_the_log(
    bot: Bot, caplog: pytest.LogCaptureFixture, entry: Entry, reason: str
) -> None:
    tools = bot(bad=entry, good=small())
    for turns in (1, 2):  # the second tries again
        ran = await tools.run(call("add", a=1, b=2))
        assert ran.results == [3]
        assert ran.instructions[0] == "These tool servers cannot be reached now: bad."
        lines = [one.getMessage() for one in caplog.records if one.levelno >= logging.INFO]
        assert len(lines) == turns
        assert lines[-1].startswith("mcp.unavailable server=bad ")
        assert reason in lines[-1]
    assert SECRET not in caplog.text


async def test_a_server_that_starts_slowly_is_there_in_a_later_turn(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tools = bot(s=small())
    with monkeypatch.context() as patch:
        patch.setattr(connection, "WAIT_SECONDS", 0)
        ran = await tools.run()
    assert (ran.offered, ran.instructions) == ([{}], ["These tool servers cannot be reached now: s."])
    assert caplog.messages == ["mcp.slow server=s not started within 0 s"]
    assert (await tools.run(call("add", a=1, b=2))).results == [3]


async def test_a_call_that_is_given_up_leaves_the_server_to_the_others(bot: Bot, tmp_path: Path) -> None:
    tools = bot(s=small())
    pids = await tools.pids()
    begun = tmp_path / "begun"
    waiting = asyncio.create_task(tools.run(call("wait", begun=str(begun))))
    await eventually(begun.exists, "the call has begun")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await tools.pids() == pids


async def test_a_turn_that_begins_while_a_server_is_busy_does_not_end_the_call_of_another(
    bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = bot(s=small())
    await tools.run()
    begun, until = tmp_path / "begun", tmp_path / "until"
    working = asyncio.create_task(tools.run(call("busy", begun=str(begun), until=str(until))))
    await eventually(begun.exists, "the call has begun")
    monkeypatch.setattr(connection, "WAIT_SECONDS", 0.05)
    beside = await tools.run()
    until.touch()
    assert (await working).results == [3]
    assert "add" in beside.offered[0]


async def test_what_a_server_prints_besides_the_protocol_is_nobodys_trouble(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    tools = bot(s=small("chatty"))
    assert (await tools.run(call("add", a=1, b=2))).results == [3]
    assert [one for one in caplog.records if one.levelno >= logging.INFO] == []


async def test_names_that_collide_begin_with_the_name_of_their_server(place: Place, tmp_path: Path) -> None:
    def pids() -> str:
        return "mine"

    toolsets = load({"pids": pids}, servers(tmp_path, files=small()))
    ran = await run(toolsets, place.deps, call("pids"), call("files_pids"), call("add", a=1, b=2))
    assert ran.results[0] == "mine"
    assert isinstance(ran.results[1], list)
    assert ran.results[2] == 3
    origins = {name: (tool.metadata or {})["origin"] for name, tool in ran.offered[0].items()}
    assert (origins["pids"], origins["files_pids"]) == (f"{__name__}.pids", "mcp:files/pids")
    assert set(FUNCTIONS) < ran.offered[0].keys()
    [mcp] = [one for one in toolsets if isinstance(one, McpTools)]
    await mcp.close()


async def test_names_stay_while_a_server_that_shares_them_cannot_be_reached(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = bot(here=small(), gone=small())
    await tools.run(call("gone_die"))
    monkeypatch.setattr(tools.mcp.servers[1].entry, "args", ["-c", "raise SystemExit"])
    ran = await tools.run(call("here_add", a=1, b=2))
    assert ran.results == [3]
    assert all(name.startswith("here_") for name in ran.offered[0])


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_a_server_over_http_gets_its_headers_and_may_die_in_a_call(
    bot: Bot, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/{'mcp' if transport == 'http' else 'sse'}"
    tools = bot(web={"type": transport, "url": url, "headers": {"X-Key": SECRET}})
    async with serving(transport, port):
        ran = await tools.run(call("header", name="x-key"), call("die"), call("add", a=1, b=2))
    assert ran.results == [SECRET, f"web {connection.LOST}", NOTHING_DONE.format("web")]
    assert SECRET not in caplog.text


async def test_a_server_over_http_is_found_again_after_its_restart(bot: Bot) -> None:
    port = free_port()
    tools = bot(web={"url": f"http://127.0.0.1:{port}/mcp"})
    for _ in range(2):
        async with serving("http", port):
            assert (await tools.run(call("add", a=1, b=2))).results == [3]


async def test_the_assistant_uses_the_servers_of_its_settings(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers(tmp_path, s=small() | {"tgbot": {"free": ["*"]}})
    results = []

    async def respond(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        results.extend([part.content for part in messages[-1].parts if isinstance(part, ToolReturnPart)])
        if len(messages) == 1:
            yield {0: DeltaToolCall("add", '{"a": 1, "b": 2}', tool_call_id="1")}
        else:
            yield "three"

    monkeypatch.setattr(models, "make", lambda *_: FunctionModel(stream_function=respond))
    agent = LlmAgent(Settings(token="42:a", model="demo", mcp=tmp_path / "mcp.json"))
    said = [event async for event in agent.run(place.agent_turn)]
    assert results == [3]
    assert said[-1] == "three"


PREPARE = """
import sys, threading
from pathlib import Path
from tgbot.agents.llm.agent import LlmAgent
from tgbot.config import Settings

agent = LlmAgent(Settings(token="42:a", model="demo", mcp=Path(sys.argv[1])))
agent.prepare()
[thread] = [thread for thread in threading.enumerate() if thread.name == "import"]
thread.join()
print("tgbot.agents.llm.tools.mcp" in sys.modules)
"""


@pytest.mark.parametrize("entries", [{}, {"s": small()}])
def test_the_library_for_servers_is_imported_beside_the_loop_if_there_are_any(
    tmp_path: Path, entries: dict[str, Entry]
) -> None:
    servers(tmp_path, **entries)
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "mcp.json")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == f"{bool(entries)}\n"
