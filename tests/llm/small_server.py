"""An MCP server of the older protocol without a library, so that it starts at once: run as a script.

Its arguments say what is wrong with it.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

TOOLS = {
    "add": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    "pids": {"type": "object", "properties": {}},
    "die": {"type": "object", "properties": {}},
    "busy": {"type": "object", "properties": {"begun": {"type": "string"}, "until": {"type": "string"}}},
    "wait": {"type": "object", "properties": {"begun": {"type": "string"}}},
}


def result_of(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    match method:
        case "initialize":
            me = {"name": "small", "version": "1"}
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": me,
            }
        case "tools/list":
            return {"tools": [{"name": name, "inputSchema": schema} for name, schema in TOOLS.items()]}
        case "tools/call":
            return called(params["name"], params.get("arguments") or {})
    return None


def called(name: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    if name == "die":
        sys.stderr.write(f"killed by {os.environ.get('KEY')}\n")
        sys.stderr.flush()
        os._exit(3)
    if name == "wait":
        Path(arguments["begun"]).touch()
        return None
    if name == "busy":  # and deaf to all else meanwhile, as many servers are
        Path(arguments["begun"]).touch()
        while not Path(arguments["until"]).exists():
            time.sleep(0.01)
        arguments = {"a": 1, "b": 2}
    result = [os.getpid(), os.getppid()] if name == "pids" else arguments["a"] + arguments["b"]
    return {"content": [{"type": "text", "text": str(result)}], "structuredContent": {"result": result}}


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        result = result_of(request["method"], request.get("params", {}))
        if result:
            write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}))
        elif request["method"] == "server/discover":  # of the newer protocol
            error = {"code": -32601, "message": "Method not found"}
            write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}))


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    if "broken" in sys.argv:
        sys.exit(f"there is no {os.environ.get('KEY')}")
    if "chatty" in sys.argv:
        write("Welcome to the small server!")
    serve()
    if "deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1e6)


if __name__ == "__main__":
    main()
