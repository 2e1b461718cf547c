"""An agent that starts and ends when the test says so."""

import asyncio
from collections.abc import AsyncGenerator

from tests.waiting import STEP_SECONDS, eventually
from tgbot.turns.agent import AgentTurn


class Gate:
    """A gate that an agent waits for in its thread until the test opens it in another."""

    def __init__(self) -> None:
        self._open = False

    def set(self) -> None:
        self._open = True

    def is_set(self) -> bool:
        return self._open

    async def wait(self) -> None:
        await eventually(self.is_set, "the gate opens")


class ScriptedAgent:
    """Answers "re: <text>", at once for what `auto` says, else when `let` is called for the text.

    `begun` and `ended` list texts in order; `alive` counts running turns per session, `together`
    remembers the most there ever were in one session.
    """

    def __init__(self) -> None:
        self.auto = False
        self.begun: list[AgentTurn] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.alive: dict[str, int] = {}
        self.together = 0
        self._said: dict[str, str | BaseException] = {}

    async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
        self._enter(turn)
        try:
            if self.auto:
                yield f"re: {turn.text}"
            else:
                said = await self._word_for(turn.text)
                if isinstance(said, BaseException):
                    raise said
                yield said
            self.ended.append(turn.text)
        except asyncio.CancelledError:
            self.cancelled.append(turn.text)
            raise
        finally:
            self.alive[turn.session_key] -= 1

    def let(self, text: str, answer: str | BaseException | None = None) -> None:
        """End the turn for a text, now or when it begins; agents run in another thread and poll for it."""
        self._said[text] = f"re: {text}" if answer is None else answer

    async def has_begun(self, text: str, attempt: int = 1) -> None:
        await eventually(
            lambda: any((t.text, t.attempt) == (text, attempt) for t in self.begun),
            f"turn for {text!r} begins",
        )

    @property
    def texts(self) -> list[str]:
        return [turn.text for turn in self.begun]

    async def _word_for(self, text: str) -> str | BaseException:
        while text not in self._said:  # noqa: ASYNC110 - the test's thread says it
            await asyncio.sleep(STEP_SECONDS)
        return self._said[text]

    def _enter(self, turn: AgentTurn) -> None:
        self.begun.append(turn)
        self.alive[turn.session_key] = self.alive.get(turn.session_key, 0) + 1
        self.together = max(self.together, self.alive[turn.session_key])
