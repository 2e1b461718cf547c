"""Owns the bot's process: starts it, ends it gently or with -9, keeps its last lines, leaves none behind."""

import asyncio
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tgbot.playground.agents import Choice

LINES_KEPT = 200
LINE_BYTES_MAX = 64 * 1024
TERM_SECONDS_MAX = 40.0  # above the bot's own grace of 25 s
_INVITATION = re.compile(r"https://t\.me/\w+\?start=[\w-]+")  # a line of its own (`intake/pairing.py`)


class Supervisor:
    """One bot process at a time. `changed` is called when `state()` changes, `said` with each line.

    `failed` is called with the status and the last line of a bot that ended by itself, `invited` with the
    link that makes whoever opens it the owner of a bot that has none.

    `environment` are the bot's settings besides those of its agent.
    """

    def __init__(self, environment: Mapping[str, str], agent: Choice, log_file: Path) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.said: Callable[[str], None] = lambda _line: None
        self.failed: Callable[[int, str], None] = lambda _status, _line: None
        self.invited: Callable[[str], None] = lambda _link: None
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._environment = {**os.environ, **environment}
        self._agent = agent
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._since = time.time()
        self._ended_by = ""
        self._last_line = self._failure = ""
        self._invitation: str | None = None
        self._starting = asyncio.Lock()
        # The bot watches the reading end, and dies when the last writing end closes: with this process.
        self._pipe_read, self._pipe_write = os.pipe()

    def state(self) -> dict[str, Any]:
        """Return `{"running", "pid", "since" (Unix time), "ended_by", "failure", "agent", "invitation"}`.

        "failure" is what a bot that ended by itself said last, else "". "agent" is its name. "invitation"
        is the link that makes an owner, null if the bot showed none.
        """
        pid = self._process.pid if self._process else None
        return {
            "running": pid is not None,
            "pid": pid,
            "since": self._since,
            "ended_by": self._ended_by,
            "failure": self._failure,
            "agent": self._agent.name,
            "invitation": self._invitation,
        }

    async def start(self) -> None:
        """Start the bot, unless it runs."""
        async with self._starting:  # or two requests at once would start two
            if self._process is None:
                await self._start()

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tgbot.playground.child",
            str(self._pipe_read),
            str(os.getpid()),
            env={**self._environment, **self._agent.settings},
            pass_fds=[self._pipe_read],
            start_new_session=True,  # Ctrl-C at the terminal is for the playground, which then asks the bot
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_BYTES_MAX,
        )
        self._since, self._ended_by, self._invitation = time.time(), "", None
        self._last_line = self._failure = ""
        self._watch = asyncio.create_task(self._until_end(self._process))
        self.changed()

    async def kill(self) -> None:
        """End the bot as `kill -9` does, and wait until it is gone."""
        await self._end(signal.SIGKILL, "kill -9")

    async def stop(self) -> None:
        """Ask the bot to end (SIGTERM), and wait; one that doesn't is killed after 40 seconds."""
        await self._end(signal.SIGTERM, "SIGTERM")

    async def choose(self, agent: Choice) -> None:
        """Run another agent from now on; a bot that runs is ended gently and started again."""
        self._agent = agent
        if self._process is None:
            self.changed()
            return
        await self.stop()
        await self.start()

    async def close(self) -> None:
        """End the bot gently, and let go of the pipe."""
        await self.stop()
        os.close(self._pipe_read)
        os.close(self._pipe_write)

    async def _end(self, with_signal: signal.Signals, reason: str) -> None:
        process, watch = self._process, self._watch
        if process is None or watch is None:
            return
        self._ended_by = reason
        process.send_signal(with_signal)
        try:
            await asyncio.wait_for(asyncio.shield(watch), TERM_SECONDS_MAX)
        except TimeoutError:
            process.kill()
            await watch

    async def _until_end(self, process: asyncio.subprocess.Process) -> None:
        """Read what the bot says until it ends."""
        assert process.stdout is not None
        with self._log_file.open("ab") as log:
            while line := await _line(process.stdout):
                log.write(line)
                log.flush()
                self._hear(line.decode(errors="replace").rstrip())
        status = await process.wait()
        self._process, self._watch = None, None
        self._since = time.time()
        if not self._ended_by:
            self._ended_by, self._failure = f"itself, status {status}", self._last_line
            self.failed(status, self._last_line)
        self.changed()

    def _hear(self, line: str) -> None:
        self.lines.append(line)
        self._last_line = line or self._last_line
        self.said(line)
        if _INVITATION.fullmatch(line.strip()):
            self._invitation = line.strip()
            self.invited(self._invitation)
            self.changed()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line, b"" at the end; of one that is too long, a piece."""
    try:
        return await stream.readline()
    except ValueError:
        return await stream.read(LINE_BYTES_MAX)
