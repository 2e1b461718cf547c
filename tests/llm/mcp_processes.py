"""MCP servers of the tests: their file, their processes, and whether these are gone."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.waiting import eventually, eventually_async
from tgbot.agents.llm.tools.servers import Server, read

SCRIPT = Path(__file__).with_name("mcp_server.py")
SMALL = Path(__file__).with_name("small_server.py")
SECRET = "open-sesame"
Entry = dict[str, Any]


def stdio(**more: Any) -> Entry:  # noqa: ANN401 - any JSON
    return {"command": sys.executable, "args": [str(SCRIPT)], "env": {"KEY": SECRET}, **more}


def small(*words: str) -> Entry:
    return {"command": sys.executable, "args": ["-S", str(SMALL), *words], "env": {"KEY": SECRET}}


def servers(folder: Path, **entries: Entry) -> list[Server]:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": entries}))
    return read(path, {})


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


@asynccontextmanager
async def serving(transport: str, port: int) -> AsyncIterator[None]:
    """Serve on loopback until the end of the block, then kill the process."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(SCRIPT), transport, str(port))

    async def answers() -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    try:
        await eventually_async(answers, f"the server listens on {port}")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent to notice its end does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


async def gone(pids: list[int]) -> None:
    await eventually(lambda: not any(map(alive, pids)), f"the processes {pids} are gone")
