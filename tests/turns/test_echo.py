"""The agent echo: what it says about files; that it repeats words is in the tests of the whole bot."""

from collections.abc import AsyncGenerator

from tests.house import UPDATE_IDS, House, raw_message
from tests.playground.process import Json
from tests.scripted import ScriptedAgent
from tests.waiting import eventually_async
from tgbot.agents import echo
from tgbot.store.engine.writer import Database
from tgbot.turns.agent import AgentTurn

FILE = {"file_id": "a", "file_unique_id": "b", "file_size": 2048}


class Echo(ScriptedAgent):
    def run(self, turn: AgentTurn) -> AsyncGenerator[str, None]:
        return echo.agent(turn)


async def answer_to(db: Database, text: str, **content: Json) -> str:
    async with House(db, Echo()) as house:
        await house.accept(raw_message(next(UPDATE_IDS), text, **content))

        async def answered() -> bool:
            return bool(await house.answers())

        await eventually_async(answered, "an answer")
        [answer] = await house.answers()
        return answer


async def test_a_photo_is_answered_with_its_size(db: Database) -> None:
    photo = [{**FILE, "width": 640, "height": 480}]
    assert await answer_to(db, "", photo=photo) == "Received: photo, 640 x 480, 2 kB"


async def test_a_file_is_answered_with_its_kind_and_name_behind_what_was_said(db: Database) -> None:
    document = {**FILE, "file_name": "notes.txt"}
    assert await answer_to(db, "look", document=document) == "look\n\nReceived: document notes.txt, 2 kB"


async def test_a_recording_is_answered_with_how_long_it_is(db: Database) -> None:
    voice = {"file_id": "a", "file_unique_id": "b", "duration": 3}
    assert await answer_to(db, "", voice=voice) == "Received: voice, 3 s"
