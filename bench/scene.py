"""What every measurement needs: a migrated file, made-up updates, and the line from update to answer."""

import asyncio
import contextlib
import itertools
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tgbot.access import Access
from tgbot.delivery.delivery import Delivery
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.batch import Rules
from tgbot.intake.poller import BATCH_MAX
from tgbot.model import Address, BotId, ChatId, InstanceId, Message, Owner, Part, Raw, RowId, Turn
from tgbot.store import recovery
from tgbot.store.engine.sqlite import migrate
from tgbot.store.engine.sqlite.database import SqliteDatabase
from tgbot.store.engine.sqlite.opening import PRAGMAS
from tgbot.store.engine.writer import Database
from tgbot.telegram import updates
from tgbot.telegram.client import BotApi
from tgbot.telegram.rate_limit import RateLimiter
from tgbot.turns.agent import Agent, AgentTurn, DownloadError
from tgbot.turns.agent_loop import Agents
from tgbot.turns.answer import LiveAnswers, Reaction
from tgbot.turns.dispatcher import Dispatcher
from tgbot.turns.runner import AnswerOptions, TurnRunner

T = TypeVar("T")

BOT_ID = BotId(1)
RULES = Rules(Access(None), queue_max=100)
MAX_TURNS, CRASHES_MAX = 64, 3  # the default settings
OWNER = Owner(BOT_ID, InstanceId(1), MAX_TURNS, CRASHES_MAX)  # of the only process on a database
AGENT_THREADS = 8  # none of our agents needs one
TASKS = ("turn-", "sender-")  # what their names begin with
DEADLINE_SECONDS = 120  # after which a line that lost a message stops the bench

_numbers = itertools.count(1)


def update(chat_id: int) -> Raw:
    """Make the next update: a text message of a private chat, with the fields Telegram sends."""
    number = next(_numbers)
    person = {"id": chat_id, "first_name": "Ada", "last_name": "Lovelace", "username": "ada"}
    return {
        "update_id": number,
        "message": {
            "message_id": number,
            "from": {**person, "is_bot": False, "language_code": "en"},
            "chat": {**person, "type": "private"},
            "date": 1_700_000_000,
            "text": "What does the analytical engine weave?",
        },
    }


def messages(raws: Sequence[Raw]) -> list[Message]:
    """Sort raw updates as intake does; all of ours are messages."""
    parsed = [updates.parse(BOT_ID, "bench_bot", raw) for raw in raws]
    return [arrival for arrival in parsed if isinstance(arrival, Message)]


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tgbot-bench-") as name:
        yield Path(name)


def migrated(path: Path) -> Path:
    migrate.upgrade(path)
    return path


@contextlib.contextmanager
def raw_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file as the writer does, through nothing but the standard library."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for pragma in PRAGMAS:
            raw.execute(pragma)
        yield raw


async def begin_instance(db: Database, max_turns: int = MAX_TURNS) -> Owner:
    """Begin as a new process does."""
    return Owner(BOT_ID, await db.write(recovery.begin_instance, os.getpid()), max_turns, CRASHES_MAX)


async def no_download(*_: object) -> bytes:
    """Have no file for an agent: none here asks for one."""
    raise DownloadError


async def no_store(operation: Callable[..., T], *_: object, **__: object) -> T:
    """Have no database for an agent: none here needs one."""
    raise AssertionError(operation)


async def say_nothing(_: AgentTurn) -> AsyncGenerator[str, None]:
    """Do nothing, as an agent."""
    return
    yield


class Mute(Delivery):
    """Delivery that has nothing to do with Telegram, so that only the line to the outbox is measured."""

    def __init__(self, db: Database, api: BotApi, on_end: Callable[[], None]) -> None:
        super().__init__(db, api, OWNER, rate_limiter=RateLimiter(0, 0, 0), send_within_seconds=86400)
        self.answers = LiveAnswers(lambda _: None)
        self.first_turn_cpu_seconds: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._on_end = on_end

    def turn_began(self, _turn: Turn) -> None:
        """Note what CPU time the process had spent when the first one began."""
        if not self.first_turn_cpu_seconds.done():
            self.first_turn_cpu_seconds.set_result(time.process_time())

    def wake(self, chat_id: ChatId) -> None:
        """Leave the part in the outbox."""

    def react(self, _address: Address, _reaction: Reaction | None) -> None:
        """Show no reaction."""

    def turn_ended(self, address: Address, row_id: RowId, state: str, part: Part | None = None) -> None:
        """Hear of a committed ending, and keep what it was."""
        self.ended = (address, row_id, state, part)
        self._on_end()


async def idle() -> None:
    """Wait until every turn has ended, and every chat was shown what there is for it, and left."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while tasks := [t for t in asyncio.all_tasks() if t.get_name().startswith(TASKS)]:
            await asyncio.wait(tasks)


class Line:
    """Parse, receive, claim, run, finish: all that stands between getUpdates and the outbox."""

    def __init__(self, db: Database, api: BotApi, owner: Owner, agents: Agents) -> None:
        self.agents, self.db = agents, db
        self.delivery = Mute(db, api, self._on_end)
        self.runner = TurnRunner(agents, RULES.access, self.delivery.answers, AnswerOptions(DEADLINE_SECONDS))
        self.dispatcher = Dispatcher(db, owner, self.runner, observer=self.delivery)
        self.acceptor = Acceptor(db, RULES, self.dispatcher, self.delivery, lambda _: None)
        self._turns_left = 0
        self._idle = asyncio.Event()

    async def run(self, raws: Sequence[Raw]) -> None:
        """Take updates in batches, as the poll loop does, and wait until every answer is in the outbox."""
        await self.begin(raws)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self._idle.wait()

    async def draw_cards(self) -> None:
        """Look, as a service does, which chats want a card: what waited for more than a moment."""
        cards = self.delivery.cards
        drawing = asyncio.create_task(cards.serve())
        async with asyncio.timeout(DEADLINE_SECONDS):
            while cards._due:  # noqa: SLF001, ASYNC110 - nobody else waits for them
                await asyncio.sleep(0.01)
        drawing.cancel()

    async def begin(self, raws: Sequence[Raw]) -> None:
        """Take updates in batches, and leave their turns running."""
        self._idle.clear()
        self._turns_left += len(raws)
        for start in range(0, len(raws), BATCH_MAX):
            await self.acceptor.accept(raws[start : start + BATCH_MAX])

    def _on_end(self) -> None:
        self._turns_left -= 1
        if not self._turns_left:
            self._idle.set()


@contextlib.asynccontextmanager
async def line(path: Path, agent: Agent = say_nothing, max_turns: int = MAX_TURNS) -> AsyncIterator[Line]:
    """Open a line on a fresh database file at `path`."""
    async with (
        SqliteDatabase(migrated(path)) as db,
        BotApi("1:bench", "http://127.0.0.1:9") as api,
        Agents(agent, no_download, db.write, db.read, AGENT_THREADS) as agents,
    ):
        yield Line(db, api, await begin_instance(db, max_turns), agents)
