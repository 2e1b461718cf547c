"""Starts `tgbot` at once: a process that has imported everything forks each command.

What it starts is a process of its own: it has its pid, its environment and its files, and signals end it as
they end any other. Only the second that Python takes for the imports is saved, hundreds of times a run.
"""

import asyncio
import atexit
import functools
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent
IMPORTED = ("tgbot.cli", "tgbot.watch.server", "tgbot.agents.llm.assistant", "pydantic_ai.models.openai")
CODE_OF_TROUBLE = 1
RECEIVED_BYTES = 1 << 16


class Forked:
    """One process, as asyncio's Process has it."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self._connection = connection
        self._reading = threading.Lock()  # a thread may wait for its end while others only look
        self._code: int | None = None

    @property
    def returncode(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        if self._code is None and self._reading.acquire(blocking=False):
            try:
                self._read(timeout_seconds=0)
            finally:
                self._reading.release()
        return self._code

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.to_thread(self.wait_in_thread)

    def wait_in_thread(self, timeout_seconds: float | None = None) -> int:
        """Wait for its end. Raises TimeoutError if that does not come."""
        with self._reading:
            self._read(timeout_seconds)
        if self._code is None:
            raise TimeoutError
        return self._code

    def _read(self, timeout_seconds: float | None) -> None:
        if self._code is None and select.select([self._connection], [], [], timeout_seconds)[0]:
            code = _line(self._connection)
            self._connection.close()
            self._code = int(code)


def fork(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: int, stderr: int
) -> Forked:
    """Run a command of `tgbot` in a folder, with these files as its output."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_server())
    asked = {"words": list(words), "folder": str(folder), "environment": dict(environment)}
    line = json.dumps(asked).encode() + b"\n"
    sent = socket.send_fds(connection, [line], [stdout, stderr])
    connection.sendall(line[sent:])
    return Forked(int(_line(connection)), connection)


@functools.cache
def _server() -> str:
    """Start the process that forks; it ends with this one, however that ends."""
    path = str(Path(tempfile.mkdtemp()) / "forking")
    server = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin
    assert server.stdout
    assert server.stdout.readline() == b"ready\n"
    server.stdout.close()
    atexit.register(server.wait)
    atexit.register(server.stdin.close)
    return path


def _line(connection: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        received = connection.recv(1)
        assert received, "the process that forks has ended"
        line += received
    return line.decode()


def main(path: str) -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for the forked ones end by themselves
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(16)
        os.write(1, b"ready\n")
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _mind(connection)
            connection.close()


def _mind(connection: socket.socket) -> NoReturn:
    """Fork the command, say its pid, wait for its end, and say how that was."""
    line, files, _, _ = socket.recv_fds(connection, RECEIVED_BYTES, 2)
    while not line.endswith(b"\n"):
        line += connection.recv(RECEIVED_BYTES)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(json.loads(line), *files)
    for file in files:
        os.close(file)
    connection.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(asked: dict[str, Any], stdout: int, stderr: int) -> NoReturn:
    """Be the command from here on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    sys.path[0] = asked["folder"]
    sys.argv = ["tgbot", *asked["words"]]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = os.fdopen(0)
    sys.stdout = os.fdopen(1, "w", encoding=encoding)
    sys.stderr = os.fdopen(2, "w", encoding=encoding, errors="backslashreplace", buffering=1)
    random.seed()
    os._exit(_code(asked["words"]))


def _code(words: list[str]) -> int:
    code: int | str | None
    try:
        code = importlib.import_module("tgbot.cli").main(words)
    except SystemExit as asked:
        code = asked.code
    except BaseException:  # noqa: BLE001 - what Python does with it at the end of a program
        traceback.print_exc()
        code = CODE_OF_TROUBLE
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    main(sys.argv[1])
