"""What every agent has to do, also one of a user's own: it streams, can be ended, and leaves nothing behind.

`AGENT=my_agent:agent pytest tests/test_conformance.py` tests one more.
"""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.house import no_download
from tests.llm.answers import fails, says, slow
from tests.llm.model_server import ModelServer, model_server
from tests.store.instance import Instance
from tests.waiting import DEADLINE_SECONDS, eventually
from tgbot.agents.llm.agent import LlmAgent
from tgbot.config import Settings
from tgbot.model import Turn
from tgbot.store.engine.sqlite.opening import writing_engine
from tgbot.turns.agent import Agent, AgentTurn, Event, load_agent

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLES = sorted(path.stem for path in (Path(__file__).parent.parent / "examples").glob("[!_]*.py"))
WITH_A_MODEL = ["llm", *EXAMPLES]
OWN = [name for name in (os.environ.get("AGENT"),) if name]
# These wait in a thread for all of the answer, which nobody can end; it ends with the connection.
BLOCKING = {"plain_function"}
HANG = "sleep 600 and then say something"  # echo sleeps, the model never answers
STORY = "Once upon a time there was a bot that never lost a message. The end."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[ModelServer]:
    answers = (
        fails("fail", 400, "no"),
        slow(says("", STORY), pieces_per_second=30),
    )
    with pytest.MonkeyPatch.context() as environment:
        async with model_server(*answers) as running:
            running.never_answers(HANG)
            environment.setenv("OPENAI_BASE_URL", running.openai_url)
            environment.setenv("OPENAI_API_KEY", "made-up")
            yield running


def load(name: str, server: ModelServer) -> Agent:
    if name == "llm":
        return LlmAgent(Settings(token="42:a", model="some-model", model_url=server.openai_url)).run
    return load_agent(f"examples.{name}:agent" if name in EXAMPLES else name)


@dataclass
class Stage:
    """A loop of its own, in a thread, in which an agent runs as in the bot; each turn has its own chat."""

    agent: Agent
    instance: Instance
    chats: Iterator[int]

    def turn(self, said: str) -> Turn:
        return self.instance.start(said, chat=next(self.chats))

    async def hear(self, turn: Turn) -> list[Event]:
        """Run it to its end."""
        return [event async for event in self._events(turn)]

    async def hear_one(self, turn: Turn) -> None:
        """Run it, and cancel it behind its first event."""
        async for _ in self._events(turn):
            hearing = asyncio.current_task()
            assert hearing
            hearing.cancel()

    def _events(self, turn: Turn) -> AsyncGenerator[Event, None]:
        return self.agent(AgentTurn(turn, no_download, self._run, self._run))

    async def _run(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any operation's
        return self.instance.do(operation, *args, **kwargs)


Scene = Callable[[Stage], Coroutine[Any, Any, None]]
Play = Callable[[str, Scene], Coroutine[Any, Any, None]]


@pytest.fixture
def play(server: ModelServer, database_path: Path) -> Play:
    """Play a scene on a stage for an agent, and see that the stage is empty after it."""

    async def played(name: str, scene: Scene) -> None:
        agent = load(name, server)
        before = belongings()
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(asyncio.run, _on_stage(agent, database_path, scene))
            await asyncio.wrap_future(running)
        await eventually(lambda: belongings() <= before, "no connection, process or thread is left")

    return played


async def _on_stage(agent: Agent, path: Path, scene: Scene) -> None:
    engine = writing_engine(path)
    try:
        await scene(Stage(agent, Instance(engine), iter(range(100, 200))))
    finally:
        engine.dispose()


def belongings() -> Counter[str]:
    """What this process has: open files and sockets, children, threads."""
    files = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    children = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return Counter(
        [
            *(one.partition("[")[0] for one in files if not one.startswith("/proc")),  # "socket:[123]"
            *" ".join(children).split(),
            *(thread.name for thread in threading.enumerate()),
        ]
    )


def requests(server: ModelServer, said: str) -> int:
    """Count the requests whose last message is this."""
    return sum(said in request.messages[-1]["text"] for request in server.journal())


def words_of(events: list[Event]) -> str:
    return "".join(event for event in events if isinstance(event, str))


@pytest.mark.parametrize("name", ["echo", *WITH_A_MODEL, *OWN])
async def test_it_streams_and_answers_again_for_the_same_row(name: str, play: Play) -> None:
    async def scene(stage: Stage) -> None:
        turn = stage.turn(STORY)
        events, again = await stage.hear(turn), await stage.hear(replace(turn, attempt=2))
        if name in OWN:
            assert words_of(events)
            assert words_of(again)
        else:
            assert words_of(events) == words_of(again) == STORY
            assert len(events) > 1

    await play(name, scene)


@pytest.mark.parametrize("name", ["echo", *WITH_A_MODEL, *OWN])
async def test_it_can_be_ended_at_any_moment_and_leaves_nothing(
    name: str, play: Play, server: ModelServer
) -> None:
    ended = threading.Event()

    async def scene(stage: Stage) -> None:
        await stage.hear(stage.turn("what a first turn makes may stay for the next ones"))
        kept, hanging = asyncio.all_tasks(), requests(server, HANG)
        await _cancel(stage.hear(stage.turn(STORY)), lambda: True)
        await _cancel(stage.hear_one(stage.turn(STORY)), lambda: False)
        hangs = stage.hear(stage.turn(HANG))
        await _cancel(hangs, lambda: name not in WITH_A_MODEL or requests(server, HANG) > hanging)
        await eventually(lambda: asyncio.all_tasks() <= kept, "no task is left")
        ended.set()

    playing = asyncio.create_task(play(name, scene))
    await eventually(lambda: ended.is_set() or playing.done(), "the end of the scene")
    async with server.down() if name in BLOCKING else nullcontext():
        await playing


async def _cancel(running: Coroutine[Any, Any, object], is_time: Callable[[], bool]) -> None:
    """Run it and cancel it when it is time, unless it does so itself."""
    task = asyncio.create_task(running)
    await asyncio.sleep(0)
    await eventually(lambda: is_time() or task.done(), "the moment")
    task.cancel()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.wait({task})
    assert task.cancelled()


@pytest.mark.parametrize("name", WITH_A_MODEL)
async def test_it_raises_when_it_fails(name: str, play: Play) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(Exception, match=r"refused|400"):
            await stage.hear(stage.turn("fail"))

    await play(name, scene)
