"""The examples: each is short, and runs as it is: as the agent of a real bot, with a server of models."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.llm.answers import Fixture, after_tool, calls, drops, says, tool
from tests.llm.model_server import ModelServer, model_server
from tests.playground.process import ROOT, Playground, until

ADA = 1001
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("[!_]*.py"))
LINES_MAX = 40


class Bot:
    """A bot with an example as its agent. Its calls wait in a thread: the model needs the loop."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground

    async def hears(self, text: str) -> None:
        await asyncio.to_thread(self._playground.say, text)

    async def gets(self, name: str, content: bytes, caption: str) -> None:
        fields = {"chat_id": str(ADA), "user_id": str(ADA), "caption": caption}
        async with httpx.AsyncClient() as http:
            url = f"{self._playground.url}/playground/files"
            (await http.post(url, data=fields, files={"file": (name, content)})).raise_for_status()

    async def has_said(self, *answers: str) -> None:
        await asyncio.to_thread(until, lambda: self._playground.answers() == list(answers))


@asynccontextmanager
async def running(example: str, folder: Path, *fixtures: Fixture) -> AsyncGenerator[tuple[Bot, ModelServer]]:
    async with model_server(*fixtures) as server:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("OPENAI_BASE_URL", server.openai_url)
            environment.setenv("OPENAI_API_KEY", "made-up")
            options = folder, "--agent", f"examples.{example}:agent"
            playground = await asyncio.to_thread(Playground, *options)
        try:
            yield Bot(playground), server
        finally:
            await asyncio.to_thread(playground.end)


def conversation(server: ModelServer) -> list[tuple[str, str]]:
    """Return who said what in the last request to the model."""
    return [(message["role"], message["text"]) for message in server.journal()[-1].messages]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name: str) -> None:
    assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) < LINES_MAX


async def test_a_bare_stream_answers_with_the_chat_in_mind_and_says_when_the_model_is_gone(
    tmp_path: Path,
) -> None:
    answers = says("Tom is", "A fine name."), drops("Where"), says("Who", "Tom is your cat.")
    async with running("bare_stream", tmp_path, *answers) as (bot, server):
        await bot.hears("Tom is my cat")
        await bot.has_said("A fine name.")
        await bot.hears("Where is he?")
        gone = "The model cannot be reached. Try again in a minute."
        await bot.has_said("A fine name.", gone)
        await bot.hears("Who is Tom?")
        await bot.has_said("A fine name.", gone, "Tom is your cat.")
        assert conversation(server) == [
            ("user", "Tom is my cat"),
            ("assistant", "A fine name."),
            ("user", "Who is Tom?"),
        ]


async def test_a_model_with_a_tool_reads_a_file_that_was_sent_and_remembers_it(tmp_path: Path) -> None:
    answers = (
        says("Again", "It is still 42."),
        calls("secret", tool("read_files")),
        after_tool("It is 42.", result="the secret is 42"),
    )
    async with running("with_a_tool", tmp_path, *answers) as (bot, server):
        await bot.gets("notes.txt", b"the secret is 42", "What is the secret?")
        await bot.has_said("It is 42.")
        await bot.hears("Again, please")
        await bot.has_said("It is 42.", "It is still 42.")
        assert ("tool", '["the secret is 42"]') in conversation(server)


async def test_a_plain_function_answers(tmp_path: Path) -> None:
    async with running("plain_function", tmp_path, says("hello", "Hello to you.")) as (bot, _):
        await bot.hears("hello")
        await bot.has_said("Hello to you.")
