"""Runs one claimed turn to its ending."""

import asyncio
import dataclasses
import functools
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tgbot import render, tracing
from tgbot.access import Access
from tgbot.model import Turn
from tgbot.render import Text
from tgbot.store.parts import Ping
from tgbot.store.turns import Ending, Outcome
from tgbot.turns.agent import UserFacingError
from tgbot.turns.agent_loop import AgentLostError, Agents
from tgbot.turns.agent_thread import AgentRun
from tgbot.turns.answer import LiveAnswer, LiveAnswers
from tgbot.turns.formatting import Said, asked, formatted

log = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0  # how long an agent may take to obey its cancellation
NO_ANSWER = Text("(There was no answer.)")
NOT_ALLOWED = Text("You may not talk to this bot any more, so I did not work on this.")
PING_CHARACTERS = 100  # of the answer, in the message that says it is there

Interrupt = asyncio.Future[None]  # set: the turn has to end now


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How answers are given: `rich` as rich messages; after `notify_after_seconds` (0: never) with a ping."""

    timeout_seconds: float
    rich: bool = False
    notify_after_seconds: float = 0.0


class TurnRunner:
    """Runs turns through one agent."""

    def __init__(self, agents: Agents, access: Access, answers: LiveAnswers, options: AnswerOptions) -> None:
        self._agents = agents
        self._access = access
        self._answers = answers
        self._options = options

    def change(self, access: Access, options: AnswerOptions) -> None:
        """Go by these from the next turn on."""
        self._access = access
        self._options = options

    async def run(self, turn: Turn, interrupt: Interrupt) -> Ending:
        """Run the agent until it ends, `interrupt` is set, or its time is over; say how it ended."""
        if not (turn.allowed or self._access.may_talk(turn.user_id)):
            return Ending("dropped", closing=[NOT_ALLOWED], first=turn.first_part)
        answer = self._answers.open(turn)
        try:
            return await self._answered(answer, interrupt)
        finally:
            self._answers.close(answer)

    async def _answered(self, answer: LiveAnswer, interrupt: Interrupt) -> Ending:
        began = time.monotonic()
        run = self._agents.start(answer, self._answers.changed)
        try:
            await _first(run.ended, interrupt, self._options.timeout_seconds)
        except asyncio.CancelledError:
            await self._cancel(run, timed_out=False)
            raise
        tracing.step(answer.turn, "agent", time.time() - (time.monotonic() - began))
        if run.ended.done():
            return await self._ending(answer, run.ended.result(), time.monotonic() - began)
        innocent = await self._cancel(run, timed_out=not interrupt.done())
        if interrupt.done() or innocent:  # by /stop or a shutdown: the row knows which
            return _ending(await _said(answer), "interrupted")
        return await _timed_out(answer)

    async def _ending(self, answer: LiveAnswer, error: BaseException | None, seconds: float) -> Ending:
        """Say what a turn came to whose agent has ended."""
        if isinstance(error, AgentLostError):
            return _ending(await _said(answer), "interrupted")
        if isinstance(error, UserFacingError):
            return _explained(answer.turn, error, await _said(answer))
        if error is not None:
            why = "cancelled from inside" if isinstance(error, asyncio.CancelledError) else "the agent raised"
            return failed(answer.turn, why, error, await _said(answer))
        try:
            said = await formatted(answer, rich=self._options.rich)
        except Exception as bug:  # noqa: BLE001 - logged with its traceback by `failed`
            return failed(answer.turn, "its answer cannot be formatted", bug)
        if answer.asks:
            return Ending("asking", said.contents, first=said.first, asks=[asked(one) for one in answer.asks])
        if not said.contents and said.first == answer.turn.first_part:
            said = Said(said.first, [NO_ANSWER])
        long = 0 < self._options.notify_after_seconds < seconds
        ending = _ending(said, "done", [_ping(answer, said)] if long else [])
        return dataclasses.replace(ending, replaces=answer.replaces)

    async def _cancel(self, run: AgentRun, *, timed_out: bool) -> bool:
        """Cancel the agent; one that does not end is abandoned, and what it says is ignored.

        Returns whether it is innocent: only another agent kept it from ending in time.
        """
        run.cancel()
        await asyncio.wait({run.ended}, timeout=CANCEL_SECONDS)
        run.ended.add_done_callback(functools.partial(_note_error, run.answer.turn))
        if run.ended.done():
            return False
        turn = run.answer.turn
        log.warning("turn.wedged turn=%s session=%s", turn.token, turn.session_key)
        return await self._agents.give_up(run, timed_out=timed_out)


async def _first(ended: asyncio.Future[BaseException | None], interrupt: Interrupt, seconds: float) -> None:
    """Wait for the first of three. Turns are many: `asyncio.wait` takes 2 kB for it, one future a tenth."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    end = functools.partial(_end, over)
    ended.add_done_callback(end)
    interrupt.add_done_callback(end)
    timer = loop.call_later(seconds, end)
    try:
        await over
    finally:
        timer.cancel()


def _end(waiting: asyncio.Future[None], _: object = None) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _note_error(turn: Turn, ended: asyncio.Future[BaseException | None]) -> None:
    """Log what an agent raised when it was cancelled."""
    error = ended.result()
    if error is not None and not isinstance(error, asyncio.CancelledError | AgentLostError):
        ids = (turn.token, turn.session_key)
        log.warning("turn.cancelled_badly turn=%s session=%s", *ids, exc_info=error)


def _ending(said: Said, outcome: Outcome, closing: Sequence[Text | Ping] = ()) -> Ending:
    return Ending(outcome, said.contents, closing, first=said.first)


def _ping(answer: LiveAnswer, said: Said) -> Ping:
    """Make the message that notifies of an answer: with its first words, as they stand on the lock screen."""
    texts = [answer.opening, *(one.text for one in said.contents if isinstance(one, Text))]
    words = " ".join(next(filter(None, texts), "").split())
    if len(words) > PING_CHARACTERS:
        words = words[: PING_CHARACTERS - 1] + "…"
    return Ping(f"✅ {words}" if words else "✅ Done.")


async def _said(answer: LiveAnswer) -> Said:
    """Format what was said before it went wrong: somebody has read it."""
    answer.closed = True
    try:
        return await formatted(answer)
    except Exception:
        log.exception("turn.unformatted turn=%s", answer.turn.token)
        return Said(answer.turn.first_part)


def failed(turn: Turn, why: str, error: BaseException | None, said: Said | None = None) -> Ending:
    """End a turn with an apology; its id leads from the chat to the traceback in the log."""
    error_id = secrets.token_hex(3)
    ids = (turn.token, turn.session_key, error_id)
    log.error("turn.failed turn=%s session=%s error=%s: %s", *ids, why, exc_info=error)
    apology = Text(f"Sorry, something went wrong here (error {error_id}). Your next message is welcome.")
    said = said or Said(turn.first_part)
    return Ending("failed", said.contents, [apology], error_id, said.first)


def _explained(turn: Turn, error: UserFacingError, said: Said) -> Ending:
    """End a turn with what its agent says to the user; the cause is in the log."""
    error_id = secrets.token_hex(3)
    ids = (turn.token, turn.session_key, error_id)
    log.warning("turn.failed turn=%s session=%s error=%s: %s", *ids, error.__cause__ or error)
    words, _ = render.overflow(str(error), 1)
    return Ending("failed", said.contents, words, error_id, said.first)


async def _timed_out(answer: LiveAnswer) -> Ending:
    error_id = secrets.token_hex(3)
    ids = (answer.turn.token, answer.turn.session_key, error_id)
    log.error("turn.timed_out turn=%s session=%s error=%s", *ids)
    apology = Text(f"Sorry, this took too long, so I ended it (error {error_id}).")
    said = await _said(answer)
    return Ending("failed", said.contents, [apology], error_id, said.first)
