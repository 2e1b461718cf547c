"""The real process with a model: it starts before its library is imported, and its log is clean."""

from pathlib import Path

import pytest

from tests.llm.answers import fails, in_order, says
from tests.llm.bots import KEY
from tests.llm.model_server import model_server
from tests.waiting import eventually
from tests.whole_bot.judged import judged_bot
from tests.whole_bot.process import Person
from tgbot.playground.server import PlaygroundServer

HELD = """
import time
from pathlib import Path

Path("importing").touch()
while True:
    time.sleep(1)
"""


async def test_updates_are_fetched_and_commands_answered_while_the_library_is_imported(
    wire: PlaygroundServer, tmp_path: Path
) -> None:
    """In the place of the library there is a package whose import does not end."""
    (tmp_path / "pydantic_ai").mkdir()
    (tmp_path / "pydantic_ai" / "__init__.py").write_text(HELD)
    async with judged_bot(wire, tmp_path, agent="llm", model="openai:some-model", model_key=KEY) as bot:
        await bot.start_by_itself()
        await eventually((tmp_path / "importing").exists, "the import has begun")
        ann = Person(wire)
        ann.says("/status")
        await ann.sees_among("Nothing is running.")


async def test_neither_the_log_nor_a_chat_shows_a_key_or_what_libraries_print(
    wire: PlaygroundServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With these, pydantic-ai prints its banner also where no person reads.
    monkeypatch.setenv("AI_AGENT", "1")
    monkeypatch.delenv("PYTEST_VERSION")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"{KEY}-other")
    wrong = fails("", 401, f"Incorrect API key provided: {KEY}, {KEY[:8]}***{KEY[-4:]} or {KEY}-other")
    async with model_server(*in_order(wrong, says("", "Hello."))) as server:
        url = server.openai_url
        async with judged_bot(
            wire, tmp_path, agent="llm", model="some-model", model_url=url, model_key=KEY
        ) as bot:
            await bot.start_by_itself()
            ann = Person(wire)
            ann.says("hey", "you")
            await ann.sees_among("Hello.")
    assert "does not accept the bot's key" in ann.sees[0]
    assert "Incorrect API key provided: ***, *** or ***" in bot.log
    for secret in (KEY[:8], KEY[-4:]):
        assert secret not in bot.log
        assert secret not in str([call["params"] for call in wire.world.journal])
    lines = [line for line in bot.log.splitlines() if " INFO " not in line and " WARNING " not in line]
    assert lines == []
    assert "HTTP Request" not in bot.log
