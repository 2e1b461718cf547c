"""Claims, starts, tracks, stops and drains turns; knows neither agents nor Telegram.

Only the store decides which turn may run. Here is only the task of each turn that holds a guard. If the two
disagree, the store is right.
"""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from tgbot import tracing
from tgbot.model import Address, Owner, Part, RowId, Token, Turn
from tgbot.store import claims, fence, recovery, turns
from tgbot.store.engine.errors import LeaseLostError, StorageError
from tgbot.store.engine.writer import Database
from tgbot.tally import tally
from tgbot.turns.keeping import kept
from tgbot.turns.runner import Interrupt, TurnRunner, failed

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # the longest delay that a lost wake can cause
RETRY_SECONDS = (0.1, 0.5, 2.0, 10.0)  # between tries to write an ending; the last one repeats
WIND_UP_SECONDS = 10.0  # while draining, from the interrupt of a turn until its task is abandoned


class TurnObserver(Protocol):
    """Hears of turns from the dispatcher (delivery does). Each call is a hint that may be lost."""

    def turn_began(self, turn: Turn) -> None:
        """Note that a turn was claimed: its answer is open in the outbox."""

    def turn_ended(self, address: Address, row_id: RowId, state: str, part: Part | None = None) -> None:
        """Note that a turn's ending is committed.

        `state` is the new state of the row, `part` the one of its answer that may be sent at once.
        """


class Dispatcher:
    """`serve` claims what may run, `spawn` starts what was claimed elsewhere, `drain` ends everything."""

    def __init__(self, db: Database, owner: Owner, runner: TurnRunner, observer: TurnObserver) -> None:
        self._db = db
        self._owner = owner
        self._runner = runner
        self._observer = observer
        self._woken = asyncio.Event()
        self._tasks: dict[asyncio.Task[Turn | None], Turn] = {}
        self._interrupts: dict[Token, Interrupt] = {}
        self._without_task: set[Token] = set()
        self._interrupting = False
        self._due_at: float | None = None

    @property
    def owner(self) -> Owner:
        """The owner that claims; while draining, its `max_turns` is 0."""
        return self._owner

    @property
    def running(self) -> int:
        """Count the turns whose task has not ended."""
        return len(self._tasks)

    def wake(self) -> None:
        """Hint that a row may be claimed now, or that a turn was stopped."""
        self._woken.set()

    async def serve(self) -> None:
        """Make the tasks agree with the store, at every wake, when a row is due, and every POLL_SECONDS."""
        while True:
            self._woken.clear()
            with _storage_errors_logged():
                await self._reconcile()
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes right after the wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._idle_seconds()):
                    await self._woken.wait()

    def _idle_seconds(self) -> float:
        due_in = POLL_SECONDS if self._due_at is None else self._due_at - time.time()
        return min(max(due_in, 0.0), POLL_SECONDS)

    async def _reconcile(self) -> None:
        running, self._due_at = set(self._interrupts), None
        guards = await self._db.write(recovery.guards, self._owner.instance_id)
        stopped = {guard.token for guard in guards if guard.state == "stopped"}
        # A turn without its guard works for nothing. One that ended meanwhile has no interrupt any more.
        for token in stopped | (running - {guard.token for guard in guards}):
            self._interrupt(token)
        await self._recover(guards)
        self.spawn(await self._db.write(claims.claim_waiting, self._owner))
        self._due_at = await self._db.write(claims.next_due, self._owner)

    async def _recover(self, guards: list[recovery.Guard]) -> None:
        """Recover the guards whose owner is gone: of an earlier process, or twice in a row without a task.

        While draining, none of our own: what the stop interrupts has not crashed, and is released at the end.
        """
        without_task = {guard.token for guard in guards if guard.token not in self._interrupts}
        lost = without_task & self._without_task if self._owner.max_turns else set()
        # Before the first await: a turn that crashes after this adds itself, and is found at the next wake.
        self._without_task = without_task
        for guard in guards:
            if guard.instance_id != self._owner.instance_id or guard.token in lost:
                state = await self._db.write(recovery.recover, self._owner, guard)
                ids = (guard.session_key, guard.row_id, state)
                log.warning("turn.recovered session=%s row=%s state=%s", *ids)
                self._observer.turn_ended(guard.address, guard.row_id, state)

    def spawn(self, claimed: Iterable[Turn]) -> None:
        """Start a new task for each claimed turn, so a chain of follow-ups has constant depth."""
        for turn in claimed:
            try:
                self._start(turn)
            except Exception:
                log.exception("turn.not_started session=%s turn=%s", turn.session_key, turn.token)
                self._abandon(turn)

    def _start(self, turn: Turn) -> None:
        log.info(
            "turn.claimed session=%s row=%s turn=%s attempt=%s",
            *(turn.session_key, turn.row_id, turn.token, turn.attempt),
        )
        tracing.claimed(turn)
        interrupt: Interrupt = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run(turn, interrupt), name=f"turn-{turn.token}")
        self._tasks[task] = turn
        self._interrupts[turn.token] = interrupt
        task.add_done_callback(self._gone)
        if self._interrupting:
            self._interrupt(turn.token)
        self._observer.turn_began(turn)

    async def _run(self, turn: Turn, interrupt: Interrupt) -> Turn | None:
        began_at = time.time()
        try:
            return await self._write(turn, await self._runner.run(turn, interrupt), began_at)
        except (fence.LostGuardError, LeaseLostError):  # another runs it again, or will
            log.warning("turn.lost_guard session=%s turn=%s", turn.session_key, turn.token)
            return None

    def _gone(self, task: asyncio.Task[Turn | None]) -> None:
        """Start the turn that follows, or leave a crashed one to recovery.

        This is a callback, because a task that is cancelled before its first step runs no `finally`.
        """
        turn = self._tasks.pop(task)
        del self._interrupts[turn.token]
        error = None if task.cancelled() else task.exception()
        if error or task.cancelled():
            log.error("turn.crashed session=%s turn=%s", turn.session_key, turn.token, exc_info=error)
            self._abandon(turn)
        elif following := task.result():
            self.spawn([following])

    def _abandon(self, turn: Turn) -> None:
        """Leave the guard to the next reconcile, which treats it like any interrupted turn."""
        self._without_task.add(turn.token)
        self.wake()

    def _interrupt(self, token: Token) -> None:
        interrupt = self._interrupts.get(token)
        if interrupt is not None and not interrupt.done():
            interrupt.set_result(None)

    async def _write(self, turn: Turn, ending: turns.Ending, began_at: float) -> Turn | None:
        """Commit the ending, retrying while the database refuses; until then guard and answer are kept.

        Raises LostGuardError, LeaseLostError.
        """
        tries, written_at = 0, time.time()
        while True:
            try:
                ending = await kept(self._db, ending, turn.row_id)
                ended = await self._db.write(turns.end, self._owner, turn, ending)
            except LeaseLostError:
                raise
            except StorageError as error:
                log.warning("turn.storage_error turn=%s reason=%s", turn.token, error)
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
            except Exception as error:
                if ending.outcome == "failed" or isinstance(error, fence.LostGuardError):
                    raise
                ending = failed(turn, "its ending cannot be stored", error)
            else:
                tracing.step(turn, "commit", written_at, tries=tries + 1)
                return self._ended(turn, ended, began_at)

    def _ended(self, turn: Turn, ended: turns.Ended, began_at: float) -> Turn | None:
        log.info("turn.ended session=%s turn=%s state=%s", turn.session_key, turn.token, ended.state)
        tally.turns[ended.state] += 1
        tally.turn_seconds.add(max(0.0, time.time() - began_at))
        tracing.ended(turn, ended.state, began_at)
        self._observer.turn_ended(turn.address, turn.row_id, ended.state, ended.part)
        if turn.attempt > 1:
            self.wake()  # it may have been the suspect that others waited for
        return ended.following

    async def drain(self, grace_seconds: float) -> None:
        """Claim nothing more, give turns `grace_seconds` to end, then interrupt those that still run.

        A turn that does not end even then keeps its guard, and is recovered by the next process.
        """
        self._owner = dataclasses.replace(self._owner, max_turns=0)
        with _storage_errors_logged():
            await self._db.write(recovery.note_stopping, self._owner.instance_id)
        await self._all_ended(grace_seconds)
        self._interrupting = True
        for token in list(self._interrupts):
            self._interrupt(token)
        await self._all_ended(WIND_UP_SECONDS)
        with _storage_errors_logged():
            await self._db.write(recovery.note_stopping, self._owner.instance_id)  # it may have been refused
            await self._give_back()

    async def _all_ended(self, seconds: float) -> None:
        """Wait for every turn, also for those that a hand-over or an unfinished batch still starts."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._tasks and loop.time() < deadline:
            log.info("dispatcher.draining turns=%s", len(self._tasks))
            await asyncio.wait(self._tasks, timeout=deadline - loop.time())

    async def _give_back(self) -> None:
        """Release what was claimed for a task that never started, because the stop interrupted its batch."""
        ours = self._owner.instance_id
        # Before the next await: a task that ends during it has released its guard itself.
        taskless = [
            guard
            for guard in await self._db.write(recovery.guards, self._owner.instance_id)
            if guard.instance_id == ours and guard.token not in self._interrupts
        ]
        for guard in taskless:
            await self._db.write(turns.end, self._owner, guard, turns.Ending("interrupted"))


@contextlib.contextmanager
def _storage_errors_logged() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        log.warning("dispatcher.storage_error reason=%s", error)
