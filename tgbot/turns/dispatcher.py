"""Claims, spawns, tracks, stops and drains turns; knows neither agents nor Telegram.

Who may run is decided in the store alone. Here are only handles: for each turn that holds a
guard, its task. If the two disagree, the store is right.
"""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from tgbot.model import Address, AlbumTurn, Owner, Token, Turn
from tgbot.store import turns
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.writer import Database
from tgbot.turns.album import gather
from tgbot.turns.runner import GIVEN_UP, Ending, Interrupt, failed

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # what a lost wake costs at most
RETRY_SECONDS = (0.1, 0.5, 2.0, 10.0)  # between tries to write an ending; the last one repeats
WIND_UP_SECONDS = 10.0  # from the interrupt of a draining turn to giving its task up

RunTurn = Callable[[Turn, Interrupt], Awaitable[Ending]]


class Watcher(Protocol):
    """Who wants to know what turns do; each call is a hint that may be lost."""

    def begun(self, turn: Turn) -> None:
        """Hear that a turn was claimed: its answer is open in the outbox."""

    def ended(self, address: Address, how: str) -> None:
        """Hear that a turn's ending is committed: by which store function, or what recovery came to."""


class Dispatcher:
    """`serve` claims what may run, `spawn` starts what was claimed elsewhere, `drain` ends it all."""

    def __init__(
        self,
        db: Database,
        owner: Owner,
        run_turn: RunTurn,
        *,
        watcher: Watcher,
    ) -> None:
        self._db = db
        self._owner = owner
        self._run_turn = run_turn
        self._watcher = watcher
        self._woken = asyncio.Event()
        self._tasks: dict[asyncio.Task[Turn | None], Turn] = {}
        self._interrupts: dict[Token, Interrupt] = {}
        self._orphans: set[Token] = set()
        self._gathering: set[Interrupt] = set()

    @property
    def owner(self) -> Owner:
        """Who claims here; while draining it may hold no turns any more."""
        return self._owner

    @property
    def running(self) -> int:
        """Count the live turns."""
        return len(self._tasks)

    def wake(self) -> None:
        """Hint that a session may be runnable, or that a turn was stopped."""
        self._woken.set()

    async def serve(self) -> None:
        """Make the tasks agree with the store, at every wake and every POLL_SECONDS."""
        while True:
            self._woken.clear()
            try:
                await self._reconcile()
            except StorageError as error:
                log.warning("dispatcher.storage_error reason=%s", error)
            # Not wait_for: Python 3.11's swallows a cancellation that comes right behind the wake.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()

    async def _reconcile(self) -> None:
        guards = await self._db.write(turns.guards)
        for guard in guards:
            if guard.state == "stopped" and guard.token in self._interrupts:
                self._interrupts[guard.token].stop()
        await self._recover(guards)
        self.spawn(await self._db.write(turns.claim_waiting, self._owner))

    async def _recover(self, guards: list[turns.Guard]) -> None:
        """Take the guards whose owner is gone: of an earlier life, or twice in a row without a task.

        Of our own none while draining: what the stop cut off did not crash, and is given back at the end.
        """
        without_task = {guard.token for guard in guards if guard.token not in self._interrupts}
        for guard in guards:
            lost = guard.token in without_task & self._orphans and self._owner.max_turns > 0
            if guard.instance_id != self._owner.instance_id or lost:
                state = await self._db.write(turns.recover, self._owner, guard, GIVEN_UP)
                log.warning(
                    "turn.recovered session=%s row=%s state=%s", guard.session_key, guard.row_id, state
                )
                self._watcher.ended(guard.address, state)
        self._orphans = without_task

    def spawn(self, claimed: Iterable[Turn]) -> None:
        """Start a fresh task for each claimed turn, so a chain of follow-ups has constant depth."""
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
        interrupt = Interrupt()
        task = asyncio.create_task(self._live(turn, interrupt), name=f"turn-{turn.token}")
        self._tasks[task] = turn
        self._interrupts[turn.token] = interrupt
        task.add_done_callback(self._gone)
        self._watcher.begun(turn)

    async def _live(self, turn: Turn, interrupt: Interrupt) -> Turn | None:
        try:
            if isinstance(turn, AlbumTurn):
                turn = await self._gathered(turn, interrupt)
            return await self._write(turn, await self._run_turn(turn, interrupt))
        except turns.LostGuardError:
            log.warning("turn.lost_guard session=%s turn=%s", turn.session_key, turn.token)
            return None

    async def _gathered(self, turn: AlbumTurn, interrupt: Interrupt) -> Turn:
        self._gathering.add(interrupt)
        try:
            return await gather(self._db, turn, interrupt)
        finally:
            self._gathering.remove(interrupt)

    def _gone(self, task: asyncio.Task[Turn | None]) -> None:
        """Follow up on a turn's task.

        A callback, because a task that is cancelled before its first step runs no `finally`.
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
        """Leave the guard to the next reconcile, which treats it as any interrupted turn."""
        self._orphans.add(turn.token)
        self.wake()

    async def _write(self, turn: Turn, ending: Ending) -> Turn | None:
        """Commit the ending; while the database refuses, the guard and the answer are kept.

        Raises LostGuardError.
        """
        tries = 0
        while True:
            try:
                following = await self._db.write(ending, self._owner)
            except StorageError as error:
                log.warning("turn.storage_error turn=%s reason=%s", turn.token, error)
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
            except Exception as error:
                if ending.func is turns.fail or isinstance(error, turns.LostGuardError):
                    raise
                ending = failed(turn, "its ending can not be stored", error)
            else:
                how = ending.func.__name__
                log.info("turn.ended session=%s turn=%s how=%s", turn.session_key, turn.token, how)
                self._watcher.ended(turn.address, how)
                if turn.attempt > self._owner.suspicious_attempts:
                    self.wake()  # another one that had to wait for this may run now
                return following

    async def drain(self, grace_seconds: float) -> None:
        """Claim nothing more, let turns end for `grace_seconds`, then interrupt what still runs.

        What does not even obey its interrupt keeps its guard, and is recovered by the next life; an
        album that is not whole yet has nothing to wait for in this one.
        """
        self._owner = dataclasses.replace(self._owner, max_turns=0)
        for interrupt in self._gathering:
            interrupt.stop()
        await self._ended(grace_seconds)
        for interrupt in self._interrupts.values():
            interrupt.stop()
        await self._ended(WIND_UP_SECONDS)
        await self._release_the_unborn()

    async def _release_the_unborn(self) -> None:
        """Give back what was claimed for a task that never came to be: its batch was cut off by the stop."""
        ours = self._owner.instance_id
        unborn = [
            guard
            for guard in await self._db.write(turns.guards)
            if guard.instance_id == ours and guard.token not in self._interrupts
        ]
        for guard in unborn:
            await self._db.write(turns.release, self._owner, guard)

    async def _ended(self, seconds: float) -> None:
        if self._tasks:
            log.info("dispatcher.draining turns=%s seconds=%s", len(self._tasks), seconds)
            await asyncio.wait(self._tasks, timeout=seconds)
