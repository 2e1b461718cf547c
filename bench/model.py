"""What a turn with a model costs: commits a step, the way of its first words, a start with a long log."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest import mock

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from sqlalchemy import Engine

from bench import counts, scene, sending, wire
from bench.figures import Figure, at_most, speed_ratio
from tgbot.agents.llm import models
from tgbot.agents.llm.agent import LlmAgent
from tgbot.agents.llm.tools import tool
from tgbot.config import Settings
from tgbot.delivery.preview import SENTENCE_SECONDS
from tgbot.model import ChatId, Ownership, RowId, SessionKey, Token, session_key
from tgbot.store import history
from tgbot.store.engine.sqlite.opening import writing_engine

FIRST_WORDS_TURNS = 15
READ_PAIRS = 21
SEEN = 10  # logged messages since the last summary
STEPS = 10  # logged messages of one turn
CONTENT = '[{"parts":[{"content":"%s","part_kind":"user-prompt"}],"kind":"request"}]' % ("word " * 80)
SESSION = session_key(scene.BOT_ID, ChatId(sending.CHAT_ID))

Words = str | DeltaToolCalls


def figures() -> Iterator[Figure]:
    plain = asyncio.run(_commits([]))
    request = plain - _any()
    yield at_most("commits of a request to a model: reserved, logged, settled", request, 3)
    for name, calls, most in (
        ("free", [("work", "1")], 2),
        ("idempotent", [("look", "1")], 1),
        ("free, five at once", [("work", str(n)) for n in range(5)], 6),
    ):
        more = asyncio.run(_commits(calls)) - plain - request
        yield at_most(f"commits of a step with a tool ({name}), beyond those of its request", more, most)
    yield at_most(
        "from a model's first words on the wire to the screen, less the wait for a sentence",
        1000 * asyncio.run(_first_words()),
        40,
        "ms",
    )
    with scene.folder() as folder:
        few, many = (_logged(folder / f"{rows}.db", rows) for rows in (SEEN, 100_000))
        ratio = asyncio.run(_reads(many, few))
    yield at_most("reading the log at a turn's start, 1e5 messages / 10, CPU", ratio, 1.5, "x")


def _any() -> int:
    """Add up the commits of any answer: received, ended, shown."""
    return counts.ANSWERING["commits"] + counts.SHOWING["commits"]


def _agent(model: str, url: str = "") -> LlmAgent:
    """Make the agent, with tools."""
    agent = LlmAgent(Settings(token=sending.TOKEN, model=model, model_url=url))

    async def work(line: str) -> str:
        """Work."""
        return line

    @tool(idempotent=True)
    async def look(line: str) -> str:
        """Look."""
        return line

    agent._functions = {"work": work, "look": look}  # noqa: SLF001 - as TGBOT_TOOLS gives them
    return agent


async def _commits(calls: list[tuple[str, str]]) -> int:
    """Count the commits of one message whose answer takes a step with these calls."""

    async def respond(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[Words]:
        if calls and sum(isinstance(message, ModelResponse) for message in messages) % 2 == 0:
            yield {n: DeltaToolCall(name, f'{{"line": "{line}"}}') for n, (name, line) in enumerate(calls)}
        else:
            yield "Done."

    model = FunctionModel(stream_function=respond)
    with mock.patch.object(models, "make", return_value=model), counts.traced() as statements:
        async with sending.conversation(_agent("demo").run, sending.Screen()) as (bot, _):
            await bot.answer(scene.update(sending.CHAT_ID))  # what is imported, is imported now
            before = statements.count("COMMIT")
            await bot.answer(scene.update(sending.CHAT_ID))
            return statements.count("COMMIT") - before


async def _first_words() -> float:
    """Time the way of a sentence from the model's server to the screen, without the wait for more words."""
    screen = sending.Screen()
    seconds = []
    async with wire.model_server(2 * SENTENCE_SECONDS) as server:
        agent = _agent("some-model", server.url)
        async with sending.conversation(agent.run, screen) as (bot, _):
            for _turn in range(FIRST_WORDS_TURNS):
                changes = screen.changes
                answering = asyncio.create_task(bot.answer(scene.update(sending.CHAT_ID)))
                while screen.changes == changes:  # noqa: ASYNC110 - what changes it is no event
                    await asyncio.sleep(0.001)
                seconds.append(screen.changed_at - server.said_at - SENTENCE_SECONDS)
                await answering
    return statistics.median(seconds[2:])


def _logged(path: Path, messages: int) -> Path:
    """Make a session with a long log of which the last SEEN messages count."""
    with scene.raw_connection(scene.migrated(path)) as raw:
        raw.execute("PRAGMA synchronous=OFF")
        raw.execute(
            "INSERT INTO instance (pid, started_at, host, revision, lease_until) VALUES (1, 0, '', '', 0)"
        )
        raw.executemany(
            "INSERT INTO pending"
            " (bot_id, update_id, kind, state, session_key, attempt, received_at, ended_at, raw)"
            " VALUES (?, ?, 'message', ?, ?, 1, 0, ?, '{}')",
            [
                (scene.BOT_ID, 1, "claimed", SESSION, None),
                *((scene.BOT_ID, 2 + n, "done", SESSION, 0) for n in range(messages // STEPS + 1)),
            ],
        )
        raw.execute("INSERT INTO turn (pending_id, instance_id, started_at) VALUES (1, 1, 0)")
        raw.execute(
            "INSERT INTO guard (session_key, turn_id, instance_id, since) VALUES (?, 1, 1, 0)", (SESSION,)
        )
        kinds = ["step"] * (messages - SEEN) + ["summary"] + ["step"] * (SEEN - 1)
        raw.executemany(
            "INSERT INTO history (session_key, pending_id, turn_id, kind, content, at)"
            " VALUES (?, ?, 1, ?, ?, 0)",
            [(SESSION, 2 + n // STEPS, kind, CONTENT) for n, kind in enumerate(kinds)],
        )
    return path


async def _reads(many: Path, few: Path) -> float:
    engines = writing_engine(many), writing_engine(few)

    async def of_many(_: int) -> None:
        _read(engines[0])

    async def of_few(_: int) -> None:
        _read(engines[1])

    ratio = await speed_ratio(of_many, of_few, range(READ_PAIRS))
    for engine in engines:
        engine.dispose()
    return 1 / ratio.cpu


def _read(engine: Engine) -> None:
    turn = Ownership(Token(1), RowId(1), SessionKey(SESSION))
    with engine.connect() as conn:
        for _ in range(50):
            assert len(history.seen(conn, turn)) == SEEN
