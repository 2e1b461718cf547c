"""A process with MCP servers, run as a script: it names the processes that these make, and goes on."""

import asyncio
import sys
from pathlib import Path

from tgbot.agents.llm.tools.connection import Connections
from tgbot.agents.llm.tools.servers import Server, read


async def pids_of(server: Server, connections: Connections) -> list[int]:
    connection = connections.hold(server)
    await connection.tools()
    called = await connection.call("pids", {})
    assert called.structured_content
    found: list[int] = called.structured_content["result"]
    return found


async def main() -> None:
    connections = Connections()
    found = [await pids_of(server, connections) for server in read(Path(sys.argv[1]), {})]
    sys.stdout.write(f"{[pid for pids in found for pid in pids]}\n")
    sys.stdout.flush()
    await asyncio.sleep(1e6)


if __name__ == "__main__":
    asyncio.run(main())
