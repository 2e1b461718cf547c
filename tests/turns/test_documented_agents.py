"""The agents in docs/agents.md do what is said of them: each runs in the bot, as it stands there."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.house import UPDATE_IDS, House, raw_message
from tests.scripted import Gate, ScriptedAgent
from tests.store.instance import pressed
from tests.waiting import eventually_async
from tgbot.store.engine.writer import Database
from tgbot.turns.agent import AgentTurn, Event

DOCUMENT = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
INTRODUCTION, FILES, MEMORY, VALUES, QUESTION, FOLLOW_UPS, BLOCKING, FAILURE, LEDGER = BLOCKS


class Documented(ScriptedAgent):
    """The agent of a block; `names` are what the block defines."""

    def __init__(self, block: str) -> None:
        super().__init__()
        self.names: dict[str, Any] = {}
        exec(compile(block, "docs/agents.md", "exec"), self.names)

    def run(self, turn: AgentTurn) -> AsyncGenerator[Event, None]:  # type: ignore[override] # it yields all events
        agent: Callable[[AgentTurn], AsyncGenerator[Event, None]] = self.names["agent"]
        return agent(turn)


@asynccontextmanager
async def running(db: Database, block: str, **names: object) -> AsyncIterator[House]:
    agent = Documented(block)
    agent.names |= names
    async with House(db, agent) as house:
        yield house


async def answered(house: House, *texts: str) -> None:
    async def all_there() -> bool:
        return await house.answers() == list(texts)

    await eventually_async(all_there, f"the answers {texts}")


async def press(house: House, number: int) -> None:
    """Press a button of the question that is open."""
    unanswered = "SELECT pending_id, id FROM question WHERE answer IS NULL"

    async def is_open() -> bool:
        return bool(await house.rows(unanswered))

    await eventually_async(is_open, "a question")
    [(row, question)] = await house.rows(unanswered)
    await house.accept(pressed(next(UPDATE_IDS), f"answer:{row}:{question}:{number}"))


async def test_the_first_one_says_what_was_said(db: Database) -> None:
    async with running(db, INTRODUCTION) as house:
        await house.say("hello")
        await answered(house, "You said hello")


async def test_files_are_fetched_and_one_that_cannot_be_is_named(db: Database) -> None:
    async with running(db, FILES) as house:
        document = {"file_id": "a", "file_unique_id": "b", "file_name": "notes.txt"}
        await house.accept(raw_message(next(UPDATE_IDS), "", document=document))
        await answered(house, "notes.txt is not here")


async def test_what_was_remembered_is_recalled(db: Database) -> None:
    async with running(db, MEMORY) as house:
        await house.say("a", "b", "c")
        await answered(house, "This is number 1.", "This is number 2.", "This is number 3.")


async def test_a_value_is_kept_by_its_name(db: Database) -> None:
    async with running(db, VALUES) as house:
        await house.say("German")
        await answered(house, "From now on I speak German.")


@pytest.mark.parametrize(("button", "answer"), [(0, "They are gone."), (1, "I kept them.")])
async def test_a_question_is_asked_and_its_answer_acted_on(db: Database, button: int, answer: str) -> None:
    async with running(db, QUESTION) as house:
        await house.say("clean up")
        await press(house, button)
        label = ["Delete", "Keep"][button]
        await answered(house, "I found 14 old files.", f"Delete them?\n\n→ {label}", answer)


async def test_a_follow_up_is_taken_in_where_the_session_steers(db: Database) -> None:
    async with running(db, FOLLOW_UPS) as house:
        await house.say("hello")
        await answered(house, "Done.")
        [(key,)] = await house.rows("SELECT DISTINCT session_key FROM pending")
        setting = "INSERT INTO session_value VALUES (:key, 'setting', 'mode', 'steer', 0)"
        await house.rows(setting, key=key)
        await house.say("work", "faster")
        await answered(house, "Done.", "I take “faster” into account.\n\nDone.")


async def test_blocking_code_runs_in_a_thread(db: Database) -> None:
    async with running(db, BLOCKING) as house:
        await house.say("hello")
        await answered(house, "5 characters.")


async def test_a_failure_is_explained_and_the_next_message_runs(db: Database) -> None:
    async with running(db, FAILURE) as house:
        await house.accept(raw_message(next(UPDATE_IDS), "", dice={"emoji": "🎲", "value": 3}))
        await house.say("hello")
        await answered(house, "I can only read text.", "HELLO")


@pytest.mark.parametrize(("button", "answer"), [(0, "number 8"), (1, "skipped")])
async def test_an_effect_happens_once_or_is_asked_about(db: Database, button: int, answer: str) -> None:
    begun = Gate()

    async def order_and_die(_: str) -> str:
        begun.set()
        await asyncio.sleep(1e6)
        return "never"

    async def order(_: str) -> str:
        return "number 8"

    async with running(db, LEDGER, order=order_and_die) as house:
        await house.say("a pizza")
        await begun.wait()
    async with running(db, LEDGER, order=order) as house:
        await press(house, button)
        label = ["Order", "Skip"][button]
        asked = f"It may be ordered already. Order it?\n\n→ {label}"
        await answered(house, asked, f"Your order: {answer}.")
        await house.say("another")
        await answered(house, asked, f"Your order: {answer}.", "Your order: number 8.")
