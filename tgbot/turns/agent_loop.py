"""Runs agents on an event loop of their own, in a thread of their own.

An agent that blocks its thread (`time.sleep`, `requests`, a synchronous SDK) holds up other agents, but no
command, no delivery, no intake and no shutdown: those run on the bot's own loop.
"""

import asyncio
import functools
import inspect
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from tgbot.model import SessionKey
from tgbot.store.engine.connection import Connection
from tgbot.turns.agent import Agent, AgentTurn, Attachment, Run
from tgbot.turns.agent_thread import AgentRun, AgentThread
from tgbot.turns.answer import LiveAnswer
from tgbot.turns.calls import Calls

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

BEAT_SECONDS = 1.0  # how often the agents' loop is asked whether it still runs, while agents do
SLOW_SECONDS = 300.0  # an agent that has said nothing for so long is named in the log
PROBE_SECONDS = 1.0  # a loop that takes longer to answer is blocked
BLOCKED_THREADS_MAX = 8  # left behind; a process with more of them needs a restart, not another thread
CLOSE_SECONDS = 3.0


Download = Callable[[SessionKey, Attachment], Coroutine[Any, Any, bytes]]


class AgentLostError(Exception):
    """The agent's loop was given up, not for the agent's own fault: its turn has to run again."""


class Agents:
    """Starts agents in their loop; one that stays blocked is left to itself, and a fresh one made.

    `download` fetches a file for an agent's session; `write` and `read` run its store functions. All of them
    run in the bot's own loop.
    """

    def __init__(self, agent: Agent, download: Download, write: Run, read: Run, threads_max: int) -> None:
        self._agent = agent
        self._download = download
        self._write = functools.partial(self._at_home, write)
        self._read = functools.partial(self._at_home, read)
        self._threads_max = threads_max
        self._left_behind: set[AgentThread] = set()
        self._working: set[AgentRun] = set()
        self._busy = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._home = Calls(self._loop)
        self._current = self._new_thread()
        return self

    async def __aexit__(self, *_: object) -> None:
        # First, or a turn would take the close for a cancellation that its agent made.
        for run in self._working:
            run.settle(AgentLostError())
        self._current.calls.put(self._current.wind_up)
        await asyncio.to_thread(self._current.join, CLOSE_SECONDS)

    def start(self, answer: LiveAnswer, changed: Callable[[LiveAnswer], None]) -> AgentRun:
        """Run the agent for a turn; `changed` is called, in this loop, when it has said something."""
        fetch = functools.partial(self._fetch, answer.turn.session_key)
        turn = AgentTurn(answer.turn, fetch, self._write, self._read)
        run = AgentRun(answer, self._current)
        self._working.add(run)
        self._busy.set()
        run.ended.add_done_callback(functools.partial(self._ended, run))
        notify = functools.partial(self._notify, answer, changed)
        self._current.calls.put(functools.partial(run.begin, self._agent, turn, notify, self._home))
        return run

    def _ended(self, run: AgentRun, _: asyncio.Future[BaseException | None]) -> None:
        self._working.discard(run)

    async def give_up(self, run: AgentRun, *, timed_out: bool) -> bool:
        """Leave an agent that did not obey to itself, with the whole thread if it blocks that.

        Returns whether it is innocent: its time is over only because another agent has the thread. That
        one goes on there until its own time is over; the innocent ones have to run again.
        """
        thread = run.thread
        if thread is not self._current or await thread.answers(PROBE_SECONDS):
            return False
        blocker = thread.busy_with or run
        if blocker is run or timed_out:
            self._leave_thread(thread, blocker)
        return timed_out and blocker is not run

    async def serve(self) -> None:
        """Log who blocks the agents' loop, for how long, and where; and once who says nothing for long."""
        while True:
            await self._busy.wait()
            await self._watch(self._current)
            self._note_slow()
            await asyncio.sleep(BEAT_SECONDS)
            if not self._working:
                self._busy.clear()

    async def _watch(self, thread: AgentThread) -> None:
        """Wait until the loop answers, or was given up; say so at 1, 2, 4, ... seconds."""
        asked_at, seconds = self._loop.time(), BEAT_SECONDS
        while not await thread.answers(seconds) and thread is self._current:
            run, line = thread.busy_with, thread.line_of(_file_of(self._agent))
            session_key = run.answer.turn.session_key if run else "unknown"
            blocked_seconds = self._loop.time() - asked_at
            log.warning("agents.blocked session=%s seconds=%.0f at %s", session_key, blocked_seconds, line)
            seconds *= 2

    def _note_slow(self) -> None:
        now = time.monotonic()
        for run in self._working:
            if run.turns_slow(now, SLOW_SECONDS):
                turn = run.answer.turn
                log.warning(
                    "agents.slow row=%s session=%s seconds=%.0f: it has said nothing for so long",
                    *(turn.row_id, turn.session_key, SLOW_SECONDS),
                )

    async def _fetch(self, session_key: SessionKey, file: Attachment) -> bytes:
        """Download in the bot's own loop, where the connections are; called in the agents' one."""
        download = self._download(session_key, file)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(download, self._loop))

    async def _at_home(
        self, run: Run, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a store function from the agents' loop; it is done also if the agent is cancelled meanwhile."""

        async def there() -> T:
            return await run(operation, *args, **kwargs)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self._loop))

    def _new_thread(self) -> AgentThread:
        return AgentThread(self._threads_max, self._thread_ended)

    def _thread_ended(self, thread: AgentThread) -> None:
        self._home.put(functools.partial(self._left_behind.discard, thread))

    def _notify(self, answer: LiveAnswer, changed: Callable[[LiveAnswer], None]) -> None:
        """Pass news on; called in the agents' thread. News that nobody has looked at needs no second call."""
        if not answer.noticed:
            answer.noticed = True
            self._home.put(functools.partial(self._notice, answer, changed))

    @staticmethod
    def _notice(answer: LiveAnswer, changed: Callable[[LiveAnswer], None]) -> None:
        answer.noticed = False
        changed(answer)

    def _leave_thread(self, blocked: AgentThread, blocker: AgentRun) -> None:
        if len(self._left_behind) >= BLOCKED_THREADS_MAX:
            log.error("agents.all_blocked threads=%s restart the bot", len(self._left_behind))
            return
        self._left_behind.add(blocked)
        log.error("agents.thread_left blocked_threads=%s", len(self._left_behind))
        self._current = self._new_thread()
        for run in [run for run in self._working if run.thread is blocked and run is not blocker]:
            run.answer.closed = True
            run.settle(AgentLostError())
        blocked.calls.put(functools.partial(blocked.wind_up, blocker))


def _file_of(agent: Agent) -> str | None:
    """Find the file that an agent is written in; None where Python does not know."""
    function = agent.func if isinstance(agent, functools.partial) else agent
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else None
