"""`tgbot play` as it is, for somebody without a key; test_page has the rest of the first minutes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playground.process import Playground, until


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    running = Playground(tmp_path)
    yield running
    running.end()


def test_without_a_key_it_is_the_demo_and_says_what_to_try(playground: Playground) -> None:
    state = playground.get("playground/state")
    assert (state["bot"]["agent"], state["agents"]) == ("demo", ["demo", "echo"])
    playground.say("hello")
    until(lambda: any("pay 20 € to Ann" in answer for answer in playground.answers()))


def test_a_model_is_named_at_the_start_and_what_it_lacks_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    playground = Playground(tmp_path, "--model", "openai:gpt-5-mini")
    state = until(lambda: (now := playground.get("playground/state")) and now["lines"] and now)
    assert state["bot"]["agent"] == "openai:gpt-5-mini"
    assert "openai:gpt-5-mini needs a key, here or in OPENAI_API_KEY" in state["lines"][0]
    playground.end()
