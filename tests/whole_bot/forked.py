"""Bots that start at once: a process that has imported everything forks one after the other.

As a program it reads a bot's folder, log and environment (JSON) from each line, prints the pid of the bot,
and its exit code when it has ended. Each is a process of its own, which signals end as they end any other.
"""

import asyncio
import importlib
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent.parent.parent
IMPORTED = ("tgbot.cli", "tgbot.agents.llm.assistant", "pydantic_ai.models.openai")


class Forked:
    """One bot, as asyncio's Process has it."""

    def __init__(self, pid: int, parent: Process) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(await _line(self._parent))
        return self.returncode


class Forks:
    """Starts bots, one at a time."""

    def __init__(self, parent: Process) -> None:
        self._parent = parent

    async def start(self, folder: Path, log: Path, environment: dict[str, str]) -> Forked:
        assert self._parent.stdin
        bot = {"folder": str(folder), "log": str(log), "environment": environment}
        self._parent.stdin.write(json.dumps(bot).encode() + b"\n")
        return Forked(int(await _line(self._parent)), self._parent)


@asynccontextmanager
async def forks() -> AsyncIterator[Forks]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = sys.executable, "-m", __spec__.name
    parent = await asyncio.create_subprocess_exec(
        *program, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE
    )
    try:
        yield Forks(parent)
    finally:
        assert parent.stdin
        parent.stdin.close()
        await parent.communicate()


async def _line(process: Process) -> str:
    assert process.stdout
    line = await process.stdout.readline()
    assert line, "the process that forks has ended"
    return line.decode()


def main() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    for line in sys.stdin:
        bot = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(**bot)
        print(pid, flush=True)  # noqa: T201 - what it is there for
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - same


def _become(folder: str, log: str, environment: dict[str, str]) -> NoReturn:
    """Be the bot from here on."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
    random.seed()
    os._exit(importlib.import_module("tgbot.cli").main(["run"]))


if __name__ == "__main__":
    main()
