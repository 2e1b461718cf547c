"""An MCP server, run as a script: what it does besides serving stands in its arguments."""

import os
import sys

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("tests", log_level="ERROR")
READ_ONLY = ToolAnnotations(read_only_hint=True)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


@server.tool(annotations=READ_ONLY)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def write(text: str) -> str:
    """Write something."""
    return f"wrote {len(text)}"


@server.tool(annotations=READ_ONLY)
def pids() -> list[int]:
    """Name the process, and the one above it."""
    return [os.getpid(), os.getppid()]


@server.tool(annotations=READ_ONLY)
def environment() -> dict[str, str]:
    """Show the environment."""
    return dict(os.environ)


@server.tool(annotations=READ_ONLY)
def picture() -> Image:
    """Show a picture."""
    return Image(data=PIXEL, format="png")


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError(f"no luck with {os.environ.get('KEY')}")


@server.tool(annotations=READ_ONLY)
def header(context: Context, name: str) -> str | None:
    """Show a header of the request."""
    return (context.headers or {}).get(name)


@server.tool()
def die() -> str:
    """End the process."""
    sys.stderr.write(f"killed by {os.environ.get('KEY')}\n")
    sys.stderr.flush()
    os._exit(3)


@server.tool(name="odd.name")
def odd_name() -> str:
    """Have a name that no model accepts."""
    return "odd"


def main() -> None:
    if "http" in sys.argv:
        server.run("streamable-http", port=int(sys.argv[-1]))
    elif "sse" in sys.argv:
        server.run("sse", port=int(sys.argv[-1]))
    else:
        server.run()


if __name__ == "__main__":
    main()
