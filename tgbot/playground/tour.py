"""The tour of `tgbot play --tour`: types for you, kills the bot half-way, and waits for what must come."""

import asyncio
from collections.abc import Callable

from tgbot.playground.page import Page
from tgbot.playground.supervisor import Supervisor

ADA = 1001
LONG_ONE = "sleep 10 first: the long one"  # longer than what is typed and read until the kill
KEY_SECONDS = 0.035
READ_SECONDS = 2.5  # for a person to read a caption
STEP_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.1


class Tour:
    """Ada's side of the tour; every step waits for what the bot must show, not for time to pass."""

    def __init__(self, page: Page, supervisor: Supervisor) -> None:
        self._page = page
        self._world = page.world
        self._supervisor = supervisor

    async def run(self) -> None:
        """Queue, kill, restart, stop, done."""
        await self._caption("Ada asks for something that takes a while ...")
        await self._type(LONG_ONE)
        await self._until(self._runs)  # the bot may still be starting
        await self._caption("... and goes on typing. Each message is queued, in order.")
        await self._type("second, while the first runs")
        await self._type("third")
        await self._caption("Now the bot is killed with kill -9, in the middle of the turn.")
        await self._supervisor.kill()
        await self._caption("Ada doesn't know, and writes on.")
        await self._type("fourth, sent while the bot was dead")
        await self._caption(
            "The bot is started again. Nothing was lost: the answers come, in order, once each."
        )
        await self._supervisor.start()
        await self._until(lambda: "fourth" in self._last_answer() and not self._runs())
        await self._caption("A turn that Ada regrets ...")
        await self._type("sleep 600 think about everything")
        await self._until(self._runs)
        await self._caption("... ends at once with /stop.")
        await self._type("/stop")
        await self._until(lambda: not self._runs())
        await self._caption("That is all. Try it yourself: type, kill, start.")

    async def _caption(self, text: str) -> None:
        self._page.send("tour", caption=text)
        await asyncio.sleep(READ_SECONDS)

    async def _type(self, text: str) -> None:
        for end in range(1, len(text) + 1):
            self._page.send("tour", chat_id=ADA, typed=text[:end])
            await asyncio.sleep(KEY_SECONDS)
        self._page.send("tour", chat_id=ADA, typed="")
        self._world.post_message(ADA, ADA, text)

    async def _until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(STEP_SECONDS_MAX):
            while not happened():  # noqa: ASYNC110  it looks at another process, which sets no event
                await asyncio.sleep(LOOK_SECONDS)

    def _runs(self) -> bool:
        return bool(self._page.pending["counts"].get("claimed"))

    def _last_answer(self) -> str:
        answers = [one for one in self._world.messages(ADA, limit=3) if one["from"]["is_bot"]]
        return str(answers[-1].get("text", "")) if answers else ""


async def tour(page: Page, supervisor: Supervisor) -> None:
    """Run the tour once the first page is open; a step that never comes ends it with a word."""
    await page.opened.wait()
    try:
        await Tour(page, supervisor).run()
    except TimeoutError:
        page.send(
            "tour", caption="The tour waited too long for the bot: look at its last lines in the panel."
        )
