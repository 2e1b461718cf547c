"""Runs one claimed turn to one of its ends."""

import asyncio
import functools
import logging
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass

from tgbot import render
from tgbot.access import Access
from tgbot.model import Album, File, Turn
from tgbot.render import Text
from tgbot.store import turns
from tgbot.store.outbox import Content, Ping, Rich
from tgbot.turns.agent import Agent
from tgbot.turns.answer import LiveAnswer, Stage

log = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0  # how long an agent may take to obey its cancellation
NO_ANSWER = Text("(There was no answer.)")
NOT_ALLOWED = Text("You may not talk to this bot any more, so I did not work on this.")
GIVEN_UP = Text(
    "I was interrupted each time I worked on this, so I gave it up. Send it again to have another try."
)
REST_FILE = "answer.md"
REST_CAPTION = "The rest of the answer."
LONG_CHARACTERS = 8_000
# Threads of our own: in all of the loop's, agents may be sitting.
FORMATTING = ThreadPoolExecutor(4, thread_name_prefix="formatting")
PING = Ping("✅ Done.")

# What remains to be written: one store function that still wants its connection and its owner.
Ending = functools.partial[Turn | None]


class Interrupt(asyncio.Future[bool]):
    """What a turn waits for while its agent speaks; the first to call has the word."""

    __slots__ = ()  # turns are many

    def stop(self) -> None:
        """End the turn now."""
        if not self.done():
            self.set_result(True)

    def let_go(self, _: object = None) -> None:
        """End the wait: the agent ended, or its time is over."""
        if not self.done():
            self.set_result(False)


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How answers are given: `rich` as rich messages; after `notify_after_seconds` (0: never) with a ping."""

    timeout_seconds: float
    rich: bool = False
    notify_after_seconds: float = 0.0


class TurnRunner:
    """Runs turns through one agent."""

    def __init__(self, agent: Agent, access: Access, stage: Stage, manner: AnswerOptions) -> None:
        self._agent = agent
        self._access = access
        self._stage = stage
        self._manner = manner
        self._wedged: set[asyncio.Task[list[Content]]] = set()

    async def run(self, turn: Turn, interrupt: Interrupt) -> Ending:
        """Run the agent until it ends, `interrupt` is set, or its time is over; say which end it was."""
        if not self._access.may_talk(turn.user_id):
            return functools.partial(turns.refuse, refused=turn, notice=NOT_ALLOWED)
        live = self._stage.enter(turn)
        try:
            return await self._speak(live, interrupt)
        finally:
            self._stage.leave(live)

    async def _speak(self, live: LiveAnswer, interrupt: Interrupt) -> Ending:
        speaking = asyncio.create_task(self._listen(live), name=f"agent-{live.turn.token}")
        try:
            interrupted = await _first(speaking, interrupt, self._manner.timeout_seconds)
        except asyncio.CancelledError:
            await self._cancel(live, speaking)
            raise
        if speaking.done():
            return await _end_of(live, speaking)
        await self._cancel(live, speaking)
        # Stop or shutdown: the row knows which it was.
        return await _interrupted(live) if interrupted else await _timed_out(live)

    async def _listen(self, live: LiveAnswer) -> list[Content]:
        """Collect what the agent says, ready to show; what can't be rendered fails like its agent."""
        began = time.monotonic()
        try:
            async with aclosing(self._agent(live.turn)) as stream:
                async for event in stream:
                    live.take(event)
                    self._stage.changed(live)
                    if live.full or live.closed:
                        break
                    await asyncio.sleep(0)  # an agent that never waits would keep all others from running
        except (SystemExit, KeyboardInterrupt) as error:
            # From inside a task these would end the loop, and with it every other chat.
            raise RuntimeError("the agent tried to end the process") from error
        contents = await _formatted(live, rich=self._manner.rich)
        limit = self._manner.notify_after_seconds
        return [*(contents or [NO_ANSWER]), *([PING] if 0 < limit < time.monotonic() - began else [])]

    async def _cancel(self, live: LiveAnswer, speaking: asyncio.Task[list[Content]]) -> None:
        """Cancel the agent; one that does not obey is left to itself, and nobody listens to it."""
        live.closed = True
        speaking.cancel()
        await asyncio.wait((speaking,), timeout=CANCEL_SECONDS)
        if not speaking.done():
            log.warning("turn.wedged turn=%s session=%s", live.turn.token, live.turn.session_key)
            self._wedged.add(speaking)
            speaking.add_done_callback(self._wedged.discard)
        speaking.add_done_callback(functools.partial(_note_error, live.turn))


async def _first(speaking: asyncio.Task[list[Content]], interrupt: Interrupt, timeout_seconds: float) -> bool:
    """Wait for the first of three; True if it was the interrupt. One future and one timer: turns are many."""
    let_go = interrupt.let_go
    speaking.add_done_callback(let_go)
    timer = asyncio.get_running_loop().call_later(timeout_seconds, let_go)
    try:
        return await interrupt
    finally:
        timer.cancel()


def _note_error(turn: Turn, cancelled: asyncio.Task[list[Content]]) -> None:
    """Log what an agent raised at its cancellation, or asyncio would, without an id."""
    if not cancelled.cancelled() and (error := cancelled.exception()):
        ids = (turn.token, turn.session_key)
        log.warning("turn.cancelled_badly turn=%s session=%s", *ids, exc_info=error)


async def _formatted(live: LiveAnswer, *, rich: bool) -> list[Content]:
    """Format the answer; a long one beside the loop, which has other chats to serve."""
    if live.length <= LONG_CHARACTERS:
        return _contents(live, rich=rich)
    formatting = functools.partial(_contents, live, rich=rich)
    return await asyncio.get_running_loop().run_in_executor(FORMATTING, formatting)


def _contents(live: LiveAnswer, *, rich: bool) -> list[Content]:
    """Format the answer; what is too long for a chat comes as a file."""
    contents: list[Content] = []
    segments = list(live.segments())
    if live.closed and segments and isinstance(segments[-1], str):
        segments[-1] = render.settled(segments[-1])  # it was cut off in mid-word
    for segment in segments:
        if isinstance(segment, File | Album):
            contents.append(segment)
        elif rich and render.rich(segment):
            contents.append(Rich(segment))
        else:
            parts, rest = render.overflow(segment)
            contents += parts
            contents += [File(REST_FILE, rest.encode(), caption=REST_CAPTION)] if rest else []
    return contents


async def _interrupted(live: LiveAnswer) -> Ending:
    """Keep what was written, for the case that this is a /stop, and mark it where it ends."""
    said = await _formatted(live, rich=False)
    if said and isinstance(said[-1], Text) and (marked := said[-1].with_line(turns.STOPPED.text)):
        said = [*said[:-1], marked]
    else:
        said = [*said, turns.STOPPED]
    return functools.partial(turns.release, interrupted=live.turn, said=said)


async def _end_of(live: LiveAnswer, speaking: asyncio.Task[list[Content]]) -> Ending:
    if speaking.cancelled():
        return failed(live.turn, "it was cancelled from inside", None, await _said(live))
    error = speaking.exception()
    if error:
        return failed(live.turn, "the agent raised", error, await _said(live))
    return functools.partial(turns.finish, done=live.turn, answer=speaking.result())


async def _said(live: LiveAnswer) -> list[Content]:
    """Format what was said before it went wrong: somebody has read it."""
    live.closed = True
    try:
        return await _formatted(live, rich=False)
    except Exception:  # noqa: BLE001 - told already: it is what went wrong
        return []


def failed(turn: Turn, why: str, error: BaseException | None, said: Sequence[Content] = ()) -> Ending:
    """End a turn with an apology; its id leads from the chat to the traceback in the log."""
    error_id = secrets.token_hex(3)
    ids = (turn.token, turn.session_key, error_id)
    log.error("turn.failed turn=%s session=%s error=%s: %s", *ids, why, exc_info=error)
    apology = Text(f"Sorry, something went wrong here (error {error_id}). Your next message is welcome.")
    return functools.partial(turns.fail, failed=turn, said=[*said, apology], error_id=error_id)


async def _timed_out(live: LiveAnswer) -> Ending:
    error_id = secrets.token_hex(3)
    log.error("turn.timed_out turn=%s session=%s error=%s", live.turn.token, live.turn.session_key, error_id)
    apology = Text(f"Sorry, this took too long, so I ended it (error {error_id}).")
    said = [*await _said(live), apology]
    return functools.partial(turns.fail, failed=live.turn, said=said, error_id=error_id)
