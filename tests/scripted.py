"""An agent that starts and ends on the test's word."""

import asyncio
from collections.abc import AsyncGenerator

from tests.waiting import eventually
from tgbot.model import Turn


class ScriptedAgent:
    """Answers "re: <text>", at once for what `auto` says, else when `let` is called for the text.

    `begun` and `ended` list texts in order; `alive` counts live turns per session, `together`
    remembers the most there ever were in one session.
    """

    def __init__(self) -> None:
        self.auto = False
        self.begun: list[Turn] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.alive: dict[str, int] = {}
        self.together = 0
        self._let: dict[str, asyncio.Future[str | BaseException]] = {}

    async def run(self, turn: Turn) -> AsyncGenerator[str, None]:
        self._enter(turn)
        try:
            if self.auto:
                yield f"re: {turn.text}"
            else:
                said = await self._gate(turn.text)
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
        self._gate(text).set_result(f"re: {text}" if answer is None else answer)

    async def has_begun(self, text: str, attempt: int = 1) -> None:
        await eventually(
            lambda: any((t.text, t.attempt) == (text, attempt) for t in self.begun),
            f"turn for {text!r} begins",
        )

    @property
    def texts(self) -> list[str]:
        return [turn.text for turn in self.begun]

    def _gate(self, text: str) -> asyncio.Future[str | BaseException]:
        return self._let.setdefault(text, asyncio.get_running_loop().create_future())

    def _enter(self, turn: Turn) -> None:
        self.begun.append(turn)
        self.alive[turn.session_key] = self.alive.get(turn.session_key, 0) + 1
        self.together = max(self.together, self.alive[turn.session_key])
