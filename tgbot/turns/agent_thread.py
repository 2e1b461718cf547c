"""Runs the agents' thread with its event loop, and each agent in it."""

import asyncio
import functools
import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from types import FrameType

from tgbot.turns.agent import Agent, AgentTurn
from tgbot.turns.answer import LiveAnswer
from tgbot.turns.calls import Calls

log = logging.getLogger(__name__)

REST_SECONDS = 2.0  # for the tasks that agents have left running


class AgentRun:
    """One agent at work, as the bot's own loop sees it.

    `ended` is set in that loop when the agent has ended: to None, or to what it raised.
    """

    __slots__ = ("_heard", "_heard_at", "_task", "answer", "ended", "thread")

    def __init__(self, answer: LiveAnswer, thread: "AgentThread") -> None:
        self.answer = answer
        self.thread = thread
        self.ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None  # used in the agents' thread only
        self._heard = answer.version
        self._heard_at = time.monotonic()

    def begin(self, agent: Agent, turn: AgentTurn, changed: Callable[[], None], home: Calls) -> None:
        """Start the agent; called in the agents' thread."""
        self._task = asyncio.get_running_loop().create_task(_speak(agent, turn, self.answer, changed))
        self.thread.working[self._task] = self
        self._task.add_done_callback(functools.partial(self._task_ended, home))

    def cancel(self) -> None:
        """Ask the agent to stop; nothing that it says from now on counts."""
        self.answer.closed = True
        self.thread.calls.put(self._cancel_task)

    def settle(self, outcome: BaseException | None) -> None:
        """Record how the agent ended; called in the bot's own loop. Only the first call counts."""
        if not self.ended.done():
            self.ended.set_result(outcome)

    def turns_slow(self, now: float, seconds: float) -> bool:
        """Whether the agent has said nothing for so long by now; true once. `now` is that of monotonic()."""
        if self.answer.version != self._heard:
            self._heard, self._heard_at = self.answer.version, max(now, self._heard_at)
        slow = now - self._heard_at >= seconds
        if slow:
            self._heard_at = math.inf  # once is enough
        return slow

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _task_ended(self, home: Calls, task: asyncio.Task[None]) -> None:
        del self.thread.working[task]
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


class AgentThread:
    """One event loop in a thread of its own; `on_end` is the last thing that is called in it.

    Only this thread writes `working`; others may read it.
    """

    def __init__(self, threads_max: int, on_end: Callable[["AgentThread"], None]) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(threads_max, thread_name_prefix="agent"))
        self.calls = Calls(self.loop)
        self.working: dict[asyncio.Task[None], AgentRun] = {}
        self._on_end = on_end
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="agents", daemon=True)
        self._thread.start()

    async def answers(self, seconds: float) -> bool:
        """Whether this loop answers within `seconds`, so is not blocked; asked in the bot's own loop."""
        here = asyncio.get_running_loop()
        answered: asyncio.Future[None] = here.create_future()

        def answer() -> None:
            if not answered.done():
                answered.set_result(None)

        home = Calls(here)
        self.calls.put(lambda: home.put(answer))
        await asyncio.wait({answered}, timeout=seconds)
        return answered.done()

    @property
    def busy_with(self) -> AgentRun | None:
        """The agent that has the thread right now; None between two, and in a task that an agent created."""
        task = asyncio.current_task(self.loop)
        return self.working.get(task) if task else None

    def line_of(self, file: str | None) -> str:
        """Find the innermost line of `file` that the thread is in; else that of any file."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - the documented way
        return _line(frame, file) or _line(frame, None) or "an unknown line"

    def wind_up(self, kept: AgentRun | None = None) -> None:
        """Cancel all agents except `kept`, then end when none is left; called in the thread when free."""
        for task, run in self.working.items():
            if run is not kept:
                task.cancel()
        self.loop.create_task(self._stop_when_idle())

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, `seconds` at most."""
        self._thread.join(seconds)

    async def _stop_when_idle(self) -> None:
        if self.working:
            await asyncio.wait(self.working)
        self._stopping = True
        self.loop.stop()

    async def _cancel_rest(self) -> None:
        """End the tasks that agents have left running: they hold connections and child processes."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=REST_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._stopping:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):  # raised in a task that an agent created
                log.exception("agents.tried_to_end_the_process")
        self.loop.run_until_complete(self._cancel_rest())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self._on_end(self)


def _line(frame: FrameType | None, file: str | None) -> str | None:
    while frame is not None:
        if file in {None, frame.f_code.co_filename}:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None
