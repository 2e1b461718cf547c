"""Runs agents on an event loop of their own, in a thread of their own.

An agent that blocks its thread (`time.sleep`, `requests`, a synchronous SDK) holds up other agents, but no
command, no delivery, no intake and no shutdown: those run on the bot's own loop.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Self

from tgbot.turns.agent import Agent, AgentTurn, Attachment
from tgbot.turns.agent_thread import AgentRun, AgentThread
from tgbot.turns.answer import LiveAnswer
from tgbot.turns.calls import Calls

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0  # how often the agents' loop is asked whether it still runs, while agents are at work
PROBE_SECONDS = 1.0  # a loop that takes longer to answer is blocked
BLOCKED_THREADS_MAX = 8  # abandoned at most; with more of them the process needs a restart, not a thread
CLOSE_SECONDS = 1.0


class AgentLostError(Exception):
    """The agent's loop was abandoned through no fault of the agent: its turn has to run again."""


class Agents:
    """Starts agents in a loop of their own; a loop that stays blocked is abandoned for a new one.

    `download` fetches a file for an agent, in the bot's own loop; `threads_max` is the number of threads for
    `asyncio.to_thread` in an agent.
    """

    def __init__(
        self, agent: Agent, download: Callable[[Attachment], Coroutine[Any, Any, bytes]], threads_max: int
    ) -> None:
        self._agent = agent
        self._download = download
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
        # First, or a turn would mistake the close for a cancellation by its own agent.
        for run in self._working:
            run.settle(AgentLostError())
        self._current.calls.put(self._current.wind_up)
        await asyncio.to_thread(self._current.join, CLOSE_SECONDS)

    def start(self, answer: LiveAnswer, changed: Callable[[LiveAnswer], None]) -> AgentRun:
        """Start the agent for a turn; `changed` is called in this loop when it has said something."""
        turn = AgentTurn(answer.turn, self._fetch)
        run = AgentRun(answer, self._current)
        self._working.add(run)
        self._busy.set()
        run.ended.add_done_callback(lambda _: self._working.discard(run))
        notify = functools.partial(self._notify, answer, changed)
        self._current.calls.put(functools.partial(run.begin, self._agent, turn, notify, self._home))
        return run

    async def give_up(self, run: AgentRun, *, timed_out: bool) -> bool:
        """Abandon an agent that did not end, and the whole thread if it blocks that.

        Returns whether it is innocent: its time is over only because another agent blocks the thread. That
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
        """Log which agent blocks the agents' loop, for how long, and in which line."""
        while True:
            await self._busy.wait()
            await self._watch(self._current)
            await asyncio.sleep(BEAT_SECONDS)
            if not self._working:
                self._busy.clear()

    async def _watch(self, thread: AgentThread) -> None:
        """Wait until the loop answers or is abandoned; log that it is blocked after 1, 2, 4, ... seconds."""
        asked_at, seconds = self._loop.time(), BEAT_SECONDS
        while not await thread.answers(seconds) and thread is self._current:
            run, line = thread.busy_with, thread.line_of(_file_of(self._agent))
            session_key = run.answer.turn.session_key if run else "unknown"
            blocked_seconds = self._loop.time() - asked_at
            log.warning("agents.blocked session=%s seconds=%.0f at %s", session_key, blocked_seconds, line)
            seconds *= 2

    async def _fetch(self, file: Attachment) -> bytes:
        """Download in the bot's own loop, which owns the connections; called in the agents' loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._download(file), self._loop))

    def _new_thread(self) -> AgentThread:
        return AgentThread(self._threads_max, self._thread_ended)

    def _thread_ended(self, thread: AgentThread) -> None:
        self._home.put(functools.partial(self._left_behind.discard, thread))

    def _notify(self, answer: LiveAnswer, changed: Callable[[LiveAnswer], None]) -> None:
        """Report a change to the bot's own loop, if none waits there; called in the agents' thread."""
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
    """Find the source file of an agent; None where Python does not know it."""
    function = agent.func if isinstance(agent, functools.partial) else agent
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else None
