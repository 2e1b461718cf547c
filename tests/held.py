"""A request that Telegram holds until the test releases it, so nothing depends on timing."""

import asyncio
from dataclasses import replace

import pytest

from tests.waiting import eventually
from tgbot.playground.bots import Bot
from tgbot.playground.errors import ApiError
from tgbot.playground.registry import METHODS, Params
from tgbot.playground.world import World


class Held:
    """Holds the first call of a method until the test lets it take effect; all others do at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.params: Params | None = None
        self._method = METHODS[method.lower()]
        self._verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        monkeypatch.setitem(METHODS, method.lower(), replace(self._method, run=self._run))

    @property
    def text(self) -> str:
        assert self.params, "it has not come yet"
        return str(self.params["text"])

    async def comes(self) -> None:
        await eventually(lambda: self.params is not None, f"a call of {self._method.name}")

    def let_go(self, refusal: ApiError | None = None) -> None:
        """Let it take effect, or refuse it."""
        if refusal:
            self._verdict.set_exception(refusal)
        else:
            self._verdict.set_result(None)

    def _run(self, world: World, bot: Bot, params: Params) -> object:
        if self.params is not None:
            return self._method.run(world, bot, params)
        self.params = params
        return self._run_late(world, bot, params)

    async def _run_late(self, world: World, bot: Bot, params: Params) -> object:
        await self._verdict
        return self._method.run(world, bot, params)
