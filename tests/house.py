"""The bot without Telegram: real file, real writer, real dispatcher, scripted agent."""

import asyncio
import itertools
import os
from typing import Any, Self

from sqlalchemy import text

from tests.scripted import ScriptedAgent
from tests.waiting import eventually, eventually_async
from tgbot.access import Access
from tgbot.intake.batch import Received, Rules, receive
from tgbot.model import Address, Arrival, BotId, Owner, Part, Raw, RowId, Turn
from tgbot.store import allowed, recovery
from tgbot.store.engine.connection import Connection
from tgbot.store.engine.writer import Database
from tgbot.telegram import updates
from tgbot.turns.agent import Attachment, DownloadError
from tgbot.turns.agent_loop import Agents
from tgbot.turns.answer import LiveAnswers
from tgbot.turns.dispatcher import Dispatcher
from tgbot.turns.runner import AnswerOptions, TurnRunner

BOT = BotId(42)
UPDATE_IDS = itertools.count(1000)


def raw_message(update_id: int, said: str, chat: int = 7, **more: Any) -> Raw:  # noqa: ANN401 - any field
    sender = {"id": abs(chat), "is_bot": False, "first_name": "Ann"}
    place = {"id": chat, "type": "private" if chat > 0 else "supergroup"}
    message = {"message_id": update_id, "date": 1, "chat": place, "from": sender, "text": said, **more}
    return {"update_id": update_id, "message": message}


def arrival(raw: Raw) -> Arrival:
    parsed = updates.parse(BOT, "the_bot", raw)
    assert parsed
    return parsed


async def no_download(*given: object) -> bytes:
    """Have no file, neither for an agent nor for a session of one."""
    file = given[-1]
    assert isinstance(file, Attachment)
    raise DownloadError(f"{file.label} is not here")


class House:
    """One instance of the process, in the test's event loop. `say` sends messages; the rest looks."""

    def __init__(self, db: Database, agent: ScriptedAgent, **limits: int) -> None:
        self.db = db
        self.agent = agent
        self.rules = Rules(Access(None), limits.get("queue_max", 20_000), group_activation="always")
        self._limits = limits

    async def __aenter__(self) -> Self:
        instance = await self.db.write(recovery.begin_instance, os.getpid())
        await self.db.write(allowed.note_settings, BOT, None, ())
        self.live_answers = LiveAnswers(lambda _: None)
        self.agents = await Agents(
            self.agent.run, no_download, self.db.write, self.db.read, threads_max=8
        ).__aenter__()
        self.runner = TurnRunner(
            self.agents, Access(None), self.live_answers, AnswerOptions(timeout_seconds=60)
        )
        limits = self._limits.get("max_turns", 64), self._limits.get("crashes_max", 3)
        self.dispatcher = Dispatcher(self.db, Owner(BOT, instance, *limits), self.runner, observer=self)
        self.serving = asyncio.create_task(self.dispatcher.serve())
        return self

    async def may_poll(self) -> bool:
        """Poll: nobody else does."""
        return True

    async def __aexit__(self, *_: object) -> None:
        await self.dispatcher.drain(0)
        self.serving.cancel()
        await asyncio.gather(self.serving, return_exceptions=True)
        await self.agents.__aexit__()

    def turn_began(self, turn: Turn) -> None:
        """Hear of it, as delivery does."""

    def turn_ended(self, address: Address, row_id: RowId, state: str, part: Part | None = None) -> None:
        """Hear of it, as delivery does."""

    async def say(self, *texts: str, chat: int = 7, **more: str) -> Received:
        """Send messages as one batch."""
        return await self.accept(*(raw_message(next(UPDATE_IDS), said, chat, **more) for said in texts))

    async def accept(self, *raws: Raw) -> Received:
        received = await self.accept_without_spawning(*raws)
        self.dispatcher.spawn(received.claimed)
        if received.controls or received.timed:
            self.dispatcher.wake()
        return received

    async def accept_without_spawning(self, *raws: Raw) -> Received:
        owner = self.dispatcher.owner
        return await self.db.write(receive, owner, self.rules, [arrival(raw) for raw in raws])

    async def rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        def select(conn: Connection) -> list[tuple[Any, ...]]:
            result = conn.execute(text(sql), values)
            return [tuple(row) for row in result] if result.returns_rows else []

        return await self.db.write(select)

    async def states(self, chat: int = 7) -> list[str]:
        sql = "SELECT state FROM pending WHERE chat_id = :chat AND kind = 'message' ORDER BY id"
        return [state for (state,) in await self.rows(sql, chat=chat)]

    async def answers(self, chat: int = 7) -> list[str]:
        sql = (
            "SELECT text FROM outbox WHERE chat_id = :chat"
            " AND state IN ('ready', 'sending', 'unknown') ORDER BY id"
        )
        return [said for (said,) in await self.rows(sql, chat=chat)]

    async def guards(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT session_key, turn_id, since FROM guard")

    async def idle(self) -> None:
        """Wait until no row is queued, no guard is left, and no task either."""
        busy = "SELECT 1 FROM guard UNION ALL SELECT 1 FROM pending WHERE state = 'queued' LIMIT 1"

        async def free() -> bool:
            return not await self.rows(busy)

        await eventually_async(free, "every guard is released")
        await eventually(lambda: self.dispatcher.running == 0, "every turn's task is gone")
