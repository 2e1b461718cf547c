"""What an answer costs on its way out: requests, waiting, and memory while it streams."""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import NamedTuple

from bench import scene
from bench.figures import Figure, at_most
from bench.memory import Waiting, growth
from tgbot.delivery.delivery import Delivery
from tgbot.intake.batch import receive
from tgbot.model import ChatId, Raw
from tgbot.playground.server import PlaygroundServer
from tgbot.store.engine.writer import Database
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import CHAT_BURST, RateLimiter
from tgbot.turns.agent import Agent, AgentTurn, Event, Replacement
from tgbot.turns.agent_loop import Agents
from tgbot.turns.dispatcher import Dispatcher
from tgbot.turns.runner import AnswerOptions, TurnRunner

TOKEN = f"{scene.BOT_ID}:playground"
ONE, THREE, MANY = 100, 10_000, 60_000  # characters that make so many messages; MANY is eight and a file
STREAM_SECONDS = 4.0
INTERVAL_SECONDS = 1.0  # the default pace of a chat
WAITS = 3
EDITS = 20
WARM_UP_TURNS, STREAMING_TURNS = 20, 200
SAID_CHARACTERS = 3_000
CHAT_ID = 5


def figures() -> Iterator[Figure]:
    # A placeholder and an edit for each message, and nothing else.
    yield at_most("requests for an answer of one message", asyncio.run(_requests(ONE)), 2)
    yield at_most("requests for an answer of three messages", asyncio.run(_requests(THREE)), 6)
    yield at_most("requests for an answer of eight messages and a file", asyncio.run(_requests(MANY)), 18)
    waits = [asyncio.run(_wait(ONE, requests=1)) for _ in range(WAITS)]
    ratio = statistics.median(shown.waited / shown.edit for shown in waits)
    yield at_most("from the last word to the final edit, one message / the edit alone", ratio, 5, "x")
    shown = asyncio.run(_wait(THREE, requests=5))
    yield at_most(
        "the same, three messages / what the limiter asks for", shown.waited / shown.floor, 1.1, "x"
    )
    streaming_bytes = asyncio.run(_streaming_bytes())
    yield at_most("memory per streaming answer of 3,000 characters", streaming_bytes, 24_000, "bytes")


class Bot:
    """All but the poll: what people say goes in by `hear`, and out through the real delivery."""

    def __init__(self, db: Database, api: BotApi, agents: Agents, limiter: RateLimiter) -> None:
        self.delivery = Delivery(
            db,
            api,
            scene.BOT_ID,
            rate_limiter=limiter,
            receipts=False,
            send_within_seconds=scene.DEADLINE_SECONDS,
        )
        self._db = db
        self._runner = TurnRunner(
            agents, scene.RULES.access, self.delivery.answers, AnswerOptions(scene.DEADLINE_SECONDS)
        )

    async def begin(self) -> None:
        """Begin as a new process does."""
        owner = await scene.begin_instance(self._db, max_turns=WARM_UP_TURNS + STREAMING_TURNS)
        self.dispatcher = Dispatcher(self._db, owner, self._runner, observer=self.delivery)

    async def hear(self, raws: list[Raw]) -> None:
        """Store messages, and start their turns."""
        received = await self._db.write(receive, self.dispatcher.owner, scene.RULES, scene.messages(raws))
        self.dispatcher.spawn(received.claimed)

    async def end(self) -> None:
        """Let the turns and their answers out."""
        await self.dispatcher.drain(scene.DEADLINE_SECONDS)
        await self.delivery.flush(scene.DEADLINE_SECONDS)


@contextlib.asynccontextmanager
async def _bot(agent: Agent, limiter: RateLimiter, api: BotApi) -> AsyncIterator[Bot]:
    with scene.folder() as folder:
        async with (
            Database(scene.migrated(folder / "sending.db")) as db,
            Agents(agent, scene.no_download, scene.AGENT_THREADS) as agents,
        ):
            bot = Bot(db, api, agents, limiter)
            await bot.begin()
            yield bot


class Answered(NamedTuple):
    """In how many requests an answer was shown, when it was whole, and how long an edit takes by itself.

    Previews are not counted: a long answer may have one while it is being formatted.
    """

    requests: int
    shown_at: float
    edit_seconds: float


async def _answer(agent: Agent, limiter: RateLimiter) -> Answered:
    """Have one question answered by the playground's server."""
    shown_at = 0.0

    def look(_: object) -> None:
        nonlocal shown_at
        shown_at = asyncio.get_running_loop().time()

    async with PlaygroundServer() as server, BotApi(TOKEN, server.url) as api:
        server.world.make_chat(CHAT_ID, "Ada")
        server.world.listeners.append(look)
        async with _bot(agent, limiter, api) as bot:
            await bot.hear([scene.update(CHAT_ID)])
            await bot.end()
        requests, whole_at = sum(map(_is_needed, server.world.journal)), shown_at
        return Answered(requests, whole_at, await _edit_seconds(api))


async def _edit_seconds(api: BotApi) -> float:
    """Edit a message as often as makes a fair median."""
    loop, seconds = asyncio.get_running_loop(), []
    message_id = (await api.call("sendMessage", chat_id=CHAT_ID, text="…"))["message_id"]
    for n in range(EDITS):
        began = loop.time()
        await api.call("editMessageText", chat_id=CHAT_ID, message_id=message_id, text=f"{_text(ONE)} {n}")
        seconds.append(loop.time() - began)
    return statistics.median(seconds)


def _is_needed(call: Raw) -> bool:
    """Tell what an answer can not do without from previews, which have a stop button, and typing."""
    preview = call["method"] == "editMessageText" and "reply_markup" in call["params"]
    return not preview and call["method"] != "sendChatAction"


async def _requests(characters: int) -> int:
    async def agent(_: AgentTurn) -> AsyncGenerator[str, None]:
        yield _text(characters)

    return (await _answer(agent, RateLimiter(0, 0, 0))).requests


class Waited(NamedTuple):
    """The seconds from the last word to the last edit, those of an edit alone, and the limiter's own."""

    waited: float
    edit: float
    floor: float


async def _wait(characters: int, requests: int) -> Waited:
    """Stream for a while, then say all the rest.

    The limiter's own is what so many `requests` in a row take, the burst as spent as it is at the last word.
    """
    loop, limiter = asyncio.get_running_loop(), RateLimiter(30, 1 / INTERVAL_SECONDS, 20)
    last_word_at = whole_at = 0.0

    async def agent(_: AgentTurn) -> AsyncGenerator[Event, None]:
        nonlocal last_word_at, whole_at
        end_at = loop.time() + STREAM_SECONDS
        while loop.time() < end_at:
            await asyncio.sleep(0.05)
            yield "word "
        last_word_at = loop.time()
        # What the chat owes just now, which nothing but a bench asks for.
        whole_at = limiter._chat._whole_at.get(ChatId(CHAT_ID), last_word_at)  # noqa: SLF001 - see above
        yield Replacement(_text(characters))

    answered = await _answer(agent, limiter)
    floor = max(whole_at, last_word_at) + (requests - CHAT_BURST) * INTERVAL_SECONDS - last_word_at
    return Waited(answered.shown_at - last_word_at, answered.edit_seconds, max(floor, 0.0))


class Agreeing(BotApi):
    """Telegram that says yes to all, and remembers nothing: its own memory is not to be measured."""

    def __init__(self) -> None:
        super().__init__(TOKEN, "http://127.0.0.1:9")
        self.edits = 0

    async def call(self, method: str, _wait_seconds: float | None = None, /, **_: object) -> Raw:
        """Agree."""
        self.edits += method == "editMessageText"
        return {"message_id": 1}


async def _streaming_bytes() -> float:
    """Let answers stream, and look when each has a preview on screen."""
    speaking = Waiting(SAID_CHARACTERS // len("word "))

    async with Agreeing() as api, _bot(speaking.agent, RateLimiter(0, 0, 0), api) as bot:

        async def start(chat_id: int, number: int) -> None:
            shown = api.edits + number
            await bot.hear([scene.update(chat_id + n) for n in range(number)])
            async with asyncio.timeout(scene.DEADLINE_SECONDS):
                while api.edits < shown:  # noqa: ASYNC110 - a stand-in has nothing to wait for
                    await asyncio.sleep(0.01)

        found = await growth(start, WARM_UP_TURNS, STREAMING_TURNS)
        speaking.end()
        await bot.end()
    return found


def _text(characters: int) -> str:
    return "word " * (characters // len("word "))
