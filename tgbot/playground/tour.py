"""The tour of `tgbot play --tour`: types for you, breaks what can break, and waits for what must come."""

import asyncio
from collections.abc import Callable
from typing import Any

from tgbot.playground.page import Page
from tgbot.playground.supervisor import Supervisor

ADA = 1001
LONG_ONE = "sleep 10 first: the long one"  # longer than what is typed and read until the kill
KEY_SECONDS = 0.035
READ_SECONDS = 2.5  # for a person to read a caption
STEP_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.1
LOOKED_AT = 10  # messages from the end of the chat
# As the page's switch does it, but the answer is cut for sure: it is on screen, and the bot cannot know that.
CUTS: list[dict[str, Any]] = [
    {"kind": "cut_after", "method": "sendMessage", "times": 1},
    *({"kind": kind, "probability": 0.17, "seed": 11} for kind in ("cut_before", "cut_after")),
]


class Tour:
    """Ada's side of the tour; every step waits for what the bot must show, not for time to pass."""

    def __init__(self, page: Page, supervisor: Supervisor) -> None:
        self._page = page
        self._world = page.world
        self._supervisor = supervisor

    async def run(self) -> None:
        """Queue, kill, restart, stop, resume, a bad network, done."""
        await self._kill()
        await self._stop_and_resume()
        await self._cut_the_network()
        await self._caption("That is all. Try it yourself: type, kill, start.")

    async def _kill(self) -> None:
        await self._caption("Ada asks for something that takes a while ...")
        await self._type(LONG_ONE)
        await self._until(lambda: self._count("claimed"))  # the bot may still be starting
        await self._caption("... and goes on typing. Her messages wait, in order.")
        await self._type("second, while the first runs")
        await self._type("third")
        await self._caption("Now the bot is killed with kill -9, in the middle of its work.")
        await self._supervisor.kill()
        await self._caption("Ada does not know, and writes on.")
        await self._type("fourth, sent while the bot was dead")
        await self._caption("The bot is started again. Nothing was lost: every answer comes, in order, once.")
        await self._supervisor.start()
        await self._until(lambda: self._answers("fourth") and not self._busy())

    async def _stop_and_resume(self) -> None:
        await self._caption("Ada asks for something that she regrets, and one thing more ...")
        await self._type("sleep 600 think about everything")
        await self._until(lambda: self._count("claimed"))
        await self._type("fifth, which waits behind it")
        await self._until(lambda: self._count("queued"))
        await self._caption("... /stop ends what runs. What waits behind it is put on hold.")
        await self._type("/stop")
        await self._until(lambda: self._count("held") and not self._count("claimed"))
        await self._caption("/resume takes it off hold, and the bot goes on with it.")
        await self._type("/resume")
        await self._until(lambda: self._answers("fifth") and not self._busy())

    async def _cut_the_network(self) -> None:
        await self._caption("Now the network is bad: a third of all calls to Telegram are cut.")
        self._world.add_faults(CUTS)
        await self._type("sixth, over a bad network")
        await self._until(lambda: self._answers("sixth") and not self._busy())
        await self._caption(
            "The answer was cut off on its way. The bot found out that it had arrived: it came once."
        )
        self._world.clear_faults()
        await self._caption("The network is fine again.")

    async def _caption(self, text: str) -> None:
        self._page.send("tour", caption=text)
        await asyncio.sleep(READ_SECONDS)

    async def _type(self, text: str) -> None:
        for end in range(1, len(text) + 1):
            self._page.send("tour", chat_id=ADA, typed=text[:end])
            await asyncio.sleep(KEY_SECONDS)
        self._page.send("tour", chat_id=ADA, typed="")
        self._world.post_message(ADA, ADA, text)

    async def _until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(STEP_SECONDS_MAX):
            while not happened():  # noqa: ASYNC110  it looks at another process, which sets no event
                await asyncio.sleep(LOOK_SECONDS)

    def _count(self, state: str) -> int:
        return int(self._page.pending["counts"].get(state, 0))

    def _busy(self) -> int:
        """Count what the bot works on, and what it has answered and not sent yet."""
        return self._count("claimed") + self._count("sending")

    def _answers(self, beginning: str) -> int:
        """Count the bot's latest messages that begin so."""
        return sum(
            one["from"]["is_bot"] and one.get("text", "").startswith(beginning)
            for one in self._world.messages(ADA, limit=LOOKED_AT)
        )


async def tour(page: Page, supervisor: Supervisor) -> None:
    """Run the tour once the first page is open; a step that never comes ends it, as its caption says."""
    await page.opened.wait()
    try:
        await Tour(page, supervisor).run()
    except TimeoutError:
        page.send(
            "tour", caption="The tour waited too long for the bot: look at its last lines in the panel."
        )
