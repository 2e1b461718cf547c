"""What an answer costs on its way out: requests, the way of its last word, and memory while it streams."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from bench import scene
from bench.figures import PAIRS_WARM_UP, Figure, at_most
from bench.memory import Waiting, growth
from tgbot.delivery.delivery import Delivery
from tgbot.intake.batch import receive
from tgbot.model import Raw
from tgbot.playground.journal import Journal
from tgbot.playground.server import PlaygroundServer
from tgbot.playground.world import World
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.writer import Database
from tgbot.store.outbox import SURPLUS_TEXT
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.agent import Agent, AgentTurn, Event, Replacement
from tgbot.turns.agent_loop import Agents
from tgbot.turns.dispatcher import Dispatcher
from tgbot.turns.runner import AnswerOptions, TurnRunner

TOKEN = f"{scene.BOT_ID}:playground"
ONE, THREE, MANY = 100, 10_000, 60_000  # characters that make so many messages; MANY is eight and a file
EDIT_PAIRS = 23
WARM_UP_TURNS, STREAMING_TURNS = 20, 200
SAID_CHARACTERS = 3_000
CHAT_ID = 5


def figures() -> Iterator[Figure]:
    yield at_most("requests for an answer of one message", asyncio.run(_requests(ONE)), 1)
    yield at_most("requests for an answer of three messages", asyncio.run(_requests(THREE)), 3)
    yield at_most("requests for an answer of eight messages and a file", asyncio.run(_requests(MANY)), 9)
    yield at_most("requests after the last streamed word, one message", asyncio.run(_last_requests(ONE)), 1)
    yield at_most(
        "requests after the last streamed word, three messages", asyncio.run(_last_requests(THREE)), 3
    )
    yield at_most(
        "from the last word to the final edit / a commit and an edit", asyncio.run(_wait_ratio()), 3, "x"
    )
    streaming_bytes = asyncio.run(_streaming_bytes())
    yield at_most("memory per streaming answer of 3,000 characters", streaming_bytes, 24_000, "bytes")


class Bot:
    """All but the poll: what people say goes in by `hear`, and out through the real delivery."""

    def __init__(self, db: Database, api: BotApi, agents: Agents, limiter: RateLimiter) -> None:
        self.delivery = Delivery(
            db,
            api,
            scene.OWNER,
            rate_limiter=limiter,
            receipts=False,
            send_within_seconds=scene.DEADLINE_SECONDS,
        )
        self.db = db
        self._runner = TurnRunner(
            agents, scene.RULES.access, self.delivery.answers, AnswerOptions(scene.DEADLINE_SECONDS)
        )

    async def begin(self) -> None:
        """Begin as a new process does."""
        owner = await scene.begin_instance(self.db, max_turns=WARM_UP_TURNS + STREAMING_TURNS)
        self.dispatcher = Dispatcher(self.db, owner, self._runner, observer=self.delivery)

    async def hear(self, raws: list[Raw]) -> None:
        """Store messages, and start their turns."""
        received = await self.db.write(receive, self.dispatcher.owner, scene.RULES, scene.messages(raws))
        self.dispatcher.spawn(received.claimed)

    async def answer(self, raw: Raw) -> None:
        """Have one message answered, and wait until all of the answer is on screen."""
        await self.hear([raw])
        await scene.idle()

    async def end(self) -> None:
        """Let the turns and their answers out."""
        await self.dispatcher.drain(scene.DEADLINE_SECONDS)
        await self.delivery.flush(scene.DEADLINE_SECONDS)


@contextlib.asynccontextmanager
async def _bot(agent: Agent, limiter: RateLimiter, api: BotApi) -> AsyncIterator[Bot]:
    with scene.folder() as folder:
        async with (
            SqliteDatabase(scene.migrated(folder / "sending.db")) as db,
            Agents(agent, scene.no_download, db.write, db.read, scene.AGENT_THREADS) as agents,
        ):
            bot = Bot(db, api, agents, limiter)
            await bot.begin()
            yield bot


class Screen:
    """What the playground's server was asked and shows, also to an agent in its own thread."""

    def __init__(self) -> None:
        self.changes = 0
        self.changed_at = 0.0
        self._journal = Journal()

    def watch(self, world: World) -> None:
        """Look at this server from now on."""
        self._journal = world.journal
        world.listeners.append(self._look)

    @property
    def requests(self) -> int:
        """Count all requests so far."""
        return len(self._journal)

    def needed(self, since: int = 0) -> int:
        """Count those of them that an answer cannot do without: no previews, which have a stop button."""
        calls = self._journal.after(since, "-sendChatAction")
        return sum(
            call["method"] != "editMessageText" or "reply_markup" not in call["params"] for call in calls
        )

    def _look(self, event: dict[str, Any]) -> None:
        if event["kind"] == "message" and event["message"].get("text") != SURPLUS_TEXT:
            self.changes += 1
            self.changed_at = time.monotonic()


class Streaming:
    """Agents that say a word, wait until it is on screen, and then say the rest at once."""

    def __init__(self, screen: Screen, characters: int) -> None:
        self.last_word_at = 0.0
        self.requests_before = 0
        self._screen = screen
        self._characters = characters

    async def agent(self, _: AgentTurn) -> AsyncGenerator[Event, None]:
        """Speak."""
        before = self._screen.changes
        yield "word"
        while self._screen.changes == before:  # noqa: ASYNC110 - what changes it is another thread
            await asyncio.sleep(0.001)
        self.requests_before = self._screen.requests
        self.last_word_at = time.monotonic()
        yield Replacement(_text(self._characters))


@contextlib.asynccontextmanager
async def conversation(agent: Agent, screen: Screen) -> AsyncIterator[tuple[Bot, BotApi]]:
    """Talk to the bot on the playground's server, with no limit to its requests."""
    async with PlaygroundServer() as server, BotApi(TOKEN, server.url) as api:
        server.world.make_chat(CHAT_ID, "Ada")
        screen.watch(server.world)
        async with _bot(agent, RateLimiter(0, 0, 0), api) as bot:
            yield bot, api


async def _requests(characters: int) -> int:
    """Count them for an answer that is said at once."""

    async def agent(_: AgentTurn) -> AsyncGenerator[str, None]:
        yield _text(characters)

    screen = Screen()
    async with conversation(agent, screen) as (bot, _):
        await bot.answer(scene.update(CHAT_ID))
    return screen.needed()


async def _last_requests(characters: int) -> int:
    """Count those that are left when the last word of a streaming answer is said."""
    screen = Screen()
    streaming = Streaming(screen, characters)
    async with conversation(streaming.agent, screen) as (bot, _):
        await bot.answer(scene.update(CHAT_ID))
    return screen.needed(streaming.requests_before)


async def _wait_ratio() -> float:
    """Compare the time from the last word to the whole answer on screen with a commit and an edit alone."""
    screen = Screen()
    streaming = Streaming(screen, ONE)
    async with conversation(streaming.agent, screen) as (bot, api):
        ratios = []
        for number in range(EDIT_PAIRS):
            await bot.answer(scene.update(CHAT_ID))
            waited = screen.changed_at - streaming.last_word_at
            ratios.append(waited / await _least_seconds(bot, api, screen, number))
        return statistics.median(ratios[PAIRS_WARM_UP:])


async def _least_seconds(bot: Bot, api: BotApi, screen: Screen, number: int) -> float:
    """Commit something, edit a message, and say how long that takes until it is on screen."""
    message = await api.call("sendMessage", chat_id=CHAT_ID, text="word")
    began = time.monotonic()
    await scene.begin_instance(bot.db)
    text = f"{_text(ONE)} {number}"
    await api.call("editMessageText", chat_id=CHAT_ID, message_id=message["message_id"], text=text)
    return screen.changed_at - began


class Agreeing(BotApi):
    """Telegram that says yes to all, and remembers nothing: its own memory is not to be measured."""

    def __init__(self) -> None:
        super().__init__(TOKEN, "http://127.0.0.1:9")
        self.shown = 0

    async def call(self, method: str, _wait_seconds: float | None = None, /, **_: object) -> Raw:
        """Agree."""
        self.shown += method == "sendMessage"
        return {"message_id": 1}


async def _streaming_bytes() -> float:
    """Let answers stream, and look when the first words of each are on screen."""
    speaking = Waiting(SAID_CHARACTERS // len("word "))

    async with Agreeing() as api, _bot(speaking.agent, RateLimiter(0, 0, 0), api) as bot:

        async def start(chat_id: int, number: int) -> None:
            shown = api.shown + number
            await bot.hear([scene.update(chat_id + n) for n in range(number)])
            async with asyncio.timeout(scene.DEADLINE_SECONDS):
                while api.shown < shown:  # noqa: ASYNC110 - a stand-in has nothing to wait for
                    await asyncio.sleep(0.01)

        found = await growth(start, WARM_UP_TURNS, STREAMING_TURNS)
        speaking.end()
        await bot.end()
    return found


def _text(characters: int) -> str:
    return "word " * (characters // len("word "))
