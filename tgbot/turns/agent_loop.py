"""Runs agents on an event loop of their own, in a thread of their own.

An agent that blocks its thread (`time.sleep`, `requests`, a synchronous SDK) holds up other agents, but no
command, no delivery, no intake and no shutdown: those run on the bot's own loop.
"""

import asyncio
import functools
import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from types import FrameType
from typing import Any, Self

from tgbot.turns.agent import Agent, AgentTurn, Attachment
from tgbot.turns.answer import LiveAnswer
from tgbot.turns.calls import Calls

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0  # how often the agents' loop is asked whether it still runs, while agents are at work
BLOCKED_THREADS_MAX = 8  # abandoned at most; with more of them the process needs a restart, not a thread
CLOSE_SECONDS = 1.0


class AgentLostError(Exception):
    """The agent's loop was blocked by another agent and abandoned: the turn has to run again."""


class AgentRun:
    """One agent at work, as the bot's own loop sees it.

    `ended` is set in that loop when the agent has ended: to None, or to what it raised.
    """

    __slots__ = ("_task", "_thread", "answer", "cancel_seen", "ended")

    def __init__(self, answer: LiveAnswer, thread: "_AgentThread") -> None:
        self.answer = answer
        self.ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.cancel_seen = False  # if still False some time after `cancel`, the thread is blocked
        self._thread = thread
        self._task: asyncio.Task[None] | None = None

    @property
    def thread(self) -> "_AgentThread":
        """The thread that it runs in."""
        return self._thread

    def begin(self, agent: Agent, turn: AgentTurn, changed: Callable[[], None], home: Calls) -> None:
        """Start the agent; called in the agents' thread."""
        self._task = asyncio.get_running_loop().create_task(_speak(agent, turn, self.answer, changed))
        self._thread.working[self._task] = self
        self._task.add_done_callback(functools.partial(self._task_ended, home))

    def cancel(self) -> None:
        """Ask the agent to stop; nothing that it says from now on counts."""
        self.answer.closed = True
        self._thread.calls.put(self._cancel_task)

    def settle(self, outcome: BaseException | None) -> None:
        """Record how the agent ended; called in the bot's own loop. Only the first call counts."""
        if not self.ended.done():
            self.ended.set_result(outcome)

    def _cancel_task(self) -> None:
        self.cancel_seen = True
        if self._task is not None:
            self._task.cancel()

    def _task_ended(self, home: Calls, task: asyncio.Task[None]) -> None:
        del self._thread.working[task]
        outcome = asyncio.CancelledError() if task.cancelled() else task.exception()
        home.put(functools.partial(self.settle, outcome))


async def _speak(agent: Agent, turn: AgentTurn, answer: LiveAnswer, changed: Callable[[], None]) -> None:
    try:
        async with aclosing(agent(turn)) as stream:
            async for event in stream:
                answer.take(event)
                changed()
                if answer.full or answer.closed:
                    break
                await asyncio.sleep(0)  # or an agent that never waits would keep all others from running
    except (SystemExit, KeyboardInterrupt) as error:
        # Raised in a task, these would end the loop, and with it every other agent.
        raise RuntimeError("the agent tried to end the process") from error


class _AgentThread:
    """One event loop in a thread of its own."""

    def __init__(self, threads_max: int, on_end: Callable[["_AgentThread"], None]) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(threads_max, thread_name_prefix="agent"))
        self.calls = Calls(self.loop)
        self.working: dict[asyncio.Task[None], AgentRun] = {}
        self.asked_at: float | None = None  # when the loop was asked whether it runs, until it answers
        self.warn_after_seconds = BEAT_SECONDS
        self._on_end = on_end
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="agents", daemon=True)
        self._thread.start()

    def answer(self) -> None:
        """Answer that the loop runs; called in it."""
        self.asked_at = None
        self.warn_after_seconds = BEAT_SECONDS

    def wind_up(self) -> None:
        """Cancel what still works, then end; called in the thread, once it is not blocked any more."""
        for task in self.working:
            task.cancel()
        self.loop.create_task(self._stop_when_idle())

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, `seconds` at most."""
        self._thread.join(seconds)

    def blocked_in(self, agent: Agent) -> tuple[str, str]:
        """Find the session whose agent runs now, and the line of the agent's code."""
        task = asyncio.current_task(self.loop)
        run = self.working.get(task) if task else None
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - the documented way
        return (run.answer.turn.session_key if run else "unknown"), _line(frame, agent)

    async def _stop_when_idle(self) -> None:
        if self.working:
            await asyncio.wait(self.working)
        self._stopping = True
        self.loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._stopping:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):  # raised in a task that an agent created
                log.exception("agents.tried_to_end_the_process")
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self._on_end(self)


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
        self._left_behind: set[_AgentThread] = set()
        self._working: set[AgentRun] = set()
        self._busy = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._home = Calls(self._loop)
        self._current = self._new_thread()
        return self

    async def __aexit__(self, *_: object) -> None:
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

    def give_up(self, run: AgentRun) -> None:
        """Abandon an agent that does not end, and the whole thread if that is blocked."""
        if not run.cancel_seen and run.thread is self._current:
            self._leave_thread(run.thread)

    async def serve(self) -> None:
        """Log which agent blocks the agents' loop, for how long, and in which line."""
        while True:
            await self._busy.wait()
            self._check(self._current)
            await asyncio.sleep(BEAT_SECONDS)
            if not self._working:
                self._busy.clear()

    async def _fetch(self, file: Attachment) -> bytes:
        """Download in the bot's own loop, which owns the connections; called in the agents' loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._download(file), self._loop))

    def _new_thread(self) -> _AgentThread:
        return _AgentThread(self._threads_max, self._thread_ended)

    def _thread_ended(self, thread: _AgentThread) -> None:
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

    def _check(self, thread: _AgentThread) -> None:
        now = asyncio.get_running_loop().time()
        if thread.asked_at is None:
            thread.asked_at = now
            thread.calls.put(thread.answer)
        elif now - thread.asked_at >= thread.warn_after_seconds:
            thread.warn_after_seconds *= 2
            session_key, line = thread.blocked_in(self._agent)
            log.warning(
                "agents.blocked session=%s seconds=%.0f at %s", session_key, now - thread.asked_at, line
            )

    def _leave_thread(self, blocked: _AgentThread) -> None:
        if len(self._left_behind) >= BLOCKED_THREADS_MAX:
            log.error("agents.all_blocked threads=%s restart the bot", len(self._left_behind))
            return
        self._left_behind.add(blocked)
        log.error("agents.thread_left blocked_threads=%s", len(self._left_behind))
        self._current = self._new_thread()
        for run in [run for run in self._working if run.thread is blocked]:
            run.answer.closed = True
            run.settle(AgentLostError())
        blocked.calls.put(blocked.wind_up)


def _line(frame: FrameType | None, agent: Agent) -> str:
    """Find the innermost line of the agent's own file; else the innermost line there is."""
    file = agent.__code__.co_filename
    innermost = frame
    while frame is not None:
        if frame.f_code.co_filename == file:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return f"{innermost.f_code.co_filename}:{innermost.f_lineno}" if innermost else "an unknown line"
