"""What an agent of one's own remembers from turn to turn."""

from collections.abc import AsyncGenerator

from tests.house import House
from tests.scripted import ScriptedAgent
from tests.waiting import eventually_async
from tgbot.store.engine.writer import Database
from tgbot.turns.agent import AgentTurn


class Parrot(ScriptedAgent):
    """Answers with all that was said before in the session, and remembers what is said now."""

    async def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
        past = await turn.recall()
        await turn.remember(turn.text)
        yield " ".join([*past, turn.text])


async def test_an_agent_recalls_what_it_remembered_in_earlier_turns_of_the_session(db: Database) -> None:
    async with House(db, Parrot()) as house:
        await house.say("one", "two")
        await house.say("hello", chat=8)
        await house.idle()
        await house.say("three")

        async def answered() -> bool:
            return len(await house.answers()) == 3

        await eventually_async(answered, "the third answer")
        assert await house.answers() == ["one", "one two", "one two three"]
        assert await house.answers(chat=8) == ["hello"]
