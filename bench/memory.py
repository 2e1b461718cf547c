"""What Python holds for a chat that is silent, and for a turn that runs, by tracemalloc.

SQLite's page cache is not in it: it is bounded by a constant, whatever the number of chats.
"""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from unittest import mock

from bench import scene
from bench.figures import Figure, at_most
from tgbot.delivery import cards
from tgbot.model import Address, ChatId, MessageId, RowId, SessionKey, Token, Turn, UserId
from tgbot.turns.agent import AgentTurn, Event

WARM_UP_CHATS, IDLE_CHATS = 500, 5_000
WARM_UP_TURNS, ACTIVE_TURNS = 100, 1_000
FIRST_CHAT = 10_000  # so that every id is an object of its own


def figures() -> Iterator[Figure]:
    yield at_most("memory per idle chat", asyncio.run(_idle_bytes()), 8, "bytes")
    over_bare = asyncio.run(_turn_bytes()) - asyncio.run(_bare_bytes())
    yield at_most("memory per active turn, over its agent alone in a task", over_bare, 6000, "bytes")


class Waiting:
    """Agents that say so many words, then wait until all may end, whichever loop they run in."""

    def __init__(self, words: int = 0) -> None:
        self._words = words
        self._began = 0
        self._expected = 0
        self._may_end = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def agent(self, _: AgentTurn) -> AsyncGenerator[str, None]:
        """Speak and wait."""
        self._loop = asyncio.get_running_loop()
        for _word in range(self._words):
            yield "word "
        self._began += 1
        await self._may_end.wait()

    async def more(self, number: int) -> None:
        """Return when so many more of them wait."""
        self._expected += number
        async with asyncio.timeout(scene.DEADLINE_SECONDS):
            while self._began < self._expected:  # noqa: ASYNC110 - they may run in another thread
                await asyncio.sleep(0.01)

    def end(self) -> None:
        """Let them end."""
        assert self._loop is not None, "one of them runs"
        self._loop.call_soon_threadsafe(self._may_end.set)


async def _idle_bytes() -> float:
    """Let each chat say one thing, and see what stays."""
    with scene.folder() as folder, mock.patch.object(cards, "PACE_SECONDS", 0):
        async with scene.line(folder / "idle.db") as line:

            async def say(chat_id: int, number: int) -> None:
                for first in range(chat_id, chat_id + number, WARM_UP_CHATS):  # not more at once than before
                    await line.run([scene.update(first + n) for n in range(WARM_UP_CHATS)])
                    await line.draw_cards()

            return await growth(say, WARM_UP_CHATS, IDLE_CHATS)


async def _turn_bytes() -> float:
    """Start turns in as many chats, and look while their agents wait."""
    waiting = Waiting()
    with scene.folder() as folder:
        async with scene.line(folder / "active.db", waiting.agent, WARM_UP_TURNS + ACTIVE_TURNS) as line:

            async def start(chat_id: int, number: int) -> None:
                await line.begin([scene.update(chat_id + n) for n in range(number)])
                await waiting.more(number)

            grown = await growth(start, WARM_UP_TURNS, ACTIVE_TURNS)
            waiting.end()
            await line.dispatcher.drain(scene.DEADLINE_SECONDS)
            return grown


async def _bare_bytes() -> float:
    """Run the same agent without a bot: a task that takes what it yields."""
    waiting = Waiting()
    tasks = []
    turn = Turn(
        Token(1),
        RowId(1),
        SessionKey("1:1"),
        Address(SessionKey("1:1"), ChatId(1), UserId(1), MessageId(1)),
        1,
        ("",),
    )

    async def start(_: int, number: int) -> None:
        agent_turn = AgentTurn(turn, scene.no_download, scene.no_store, scene.no_store)
        tasks.extend([asyncio.create_task(_consume(waiting.agent(agent_turn))) for _ in range(number)])
        await waiting.more(number)

    grown = await growth(start, WARM_UP_TURNS, ACTIVE_TURNS)
    waiting.end()
    await asyncio.gather(*tasks)
    return grown


async def _consume(pieces: AsyncIterator[Event]) -> None:
    async for _ in pieces:
        pass


async def growth(start: Callable[[int, int], Awaitable[None]], warm_up: int, number: int) -> float:
    """Give the bytes that each of `number` more adds to what `warm_up` took; `start(first, how many)`."""
    tracemalloc.start()
    await start(FIRST_CHAT, warm_up)
    before = _traced_bytes()
    await start(FIRST_CHAT + warm_up, number)
    growth = _traced_bytes() - before
    tracemalloc.stop()
    return growth / number


def _traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
