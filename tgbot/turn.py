"""Runs one claimed turn to one of its ends."""

import asyncio
import functools
import logging
import secrets
from contextlib import aclosing

from tgbot.access import Access
from tgbot.agent import Agent
from tgbot.model import Turn
from tgbot.render import Text, plain
from tgbot.store import turns

log = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0  # how long an agent may take to obey its cancellation
ANSWER_MAX_CHARACTERS = 200_000  # about 50 messages; an agent that never ends must not fill the memory
CUT = "\n\n(The answer was cut here: it was longer than I can show.)"
NO_ANSWER = Text("(There was no answer.)", ())
NOT_ALLOWED = Text("You may not talk to this bot any more, so I did not work on this.", ())

GIVEN_UP = Text(
    "I was interrupted each time I worked on this, so I gave it up. Send it again to have another try.", ()
)

# What remains to be written: one store function that still wants its connection and its owner.
Ending = functools.partial[Turn | None]


class TurnRunner:
    """Runs turns through one agent; holds nothing of any of them."""

    def __init__(self, agent: Agent, access: Access, timeout_seconds: float) -> None:
        self._agent = agent
        self._access = access
        self._timeout_seconds = timeout_seconds
        self._wedged: set[asyncio.Task[list[Text]]] = set()

    async def run(self, turn: Turn, interrupt: asyncio.Future[None]) -> Ending:
        """Run the agent until it ends, `interrupt` is set, or its time is over; say which end it was."""
        if not self._access.may_talk(turn.user_id):
            return functools.partial(turns.refuse, refused=turn, notice=NOT_ALLOWED)
        speaking = asyncio.create_task(self._listen(turn), name=f"agent-{turn.token}")
        try:
            await asyncio.wait(
                (speaking, interrupt), timeout=self._timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        except asyncio.CancelledError:
            await self._cancel(turn, speaking)
            raise
        if speaking.done():
            return _end_of(turn, speaking)
        await self._cancel(turn, speaking)
        # Whatever it said while it was cancelled is not its answer. Stop or shutdown: the row knows.
        return functools.partial(turns.release, interrupted=turn) if interrupt.done() else _timed_out(turn)

    async def _listen(self, turn: Turn) -> list[Text]:
        """Collect what the agent says, ready to show; what can't be rendered fails like its agent."""
        pieces, length = list[str](), 0
        async with aclosing(self._agent(turn)) as stream:
            async for piece in stream:
                pieces.append(piece)
                length += len(piece)
                if length > ANSWER_MAX_CHARACTERS:
                    pieces.append(CUT)
                    break
        return plain("".join(pieces)) or [NO_ANSWER]

    async def _cancel(self, turn: Turn, speaking: asyncio.Task[list[Text]]) -> None:
        """Cancel the agent; one that does not obey is left to itself, and nobody listens to it."""
        speaking.cancel()
        await asyncio.wait({speaking}, timeout=CANCEL_SECONDS)
        if not speaking.done():
            log.warning("turn.wedged turn=%s session=%s", turn.token, turn.session_key)
            self._wedged.add(speaking)
            speaking.add_done_callback(self._wedged.discard)


def _end_of(turn: Turn, speaking: asyncio.Task[list[Text]]) -> Ending:
    if speaking.cancelled():
        return _failed(turn, "it was cancelled from inside", None)
    error = speaking.exception()
    if error:
        return _failed(turn, "the agent raised", error)
    return functools.partial(turns.finish, done=turn, answer=speaking.result())


def _failed(turn: Turn, why: str, error: BaseException | None) -> Ending:
    error_id = secrets.token_hex(3)
    log.error(
        "turn.failed turn=%s session=%s error=%s: %s",
        turn.token,
        turn.session_key,
        error_id,
        why,
        exc_info=error,
    )
    apology = Text(f"Sorry, something went wrong here (error {error_id}). Your next message is welcome.", ())
    return functools.partial(turns.fail, failed=turn, apology=apology, error_id=error_id)


def _timed_out(turn: Turn) -> Ending:
    error_id = secrets.token_hex(3)
    log.error("turn.timed_out turn=%s session=%s error=%s", turn.token, turn.session_key, error_id)
    apology = Text(f"Sorry, this took too long, so I ended it (error {error_id}).", ())
    return functools.partial(turns.fail, failed=turn, apology=apology, error_id=error_id)
