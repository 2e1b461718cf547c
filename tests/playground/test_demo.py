"""The first minutes of somebody without a key: `tgbot play` as it is, with the demo behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.playground.conftest import Json
from tests.playground.process import Playground, until

ADA = 1001


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    running = Playground(tmp_path)
    yield running
    running.end()


def buttons(playground: Playground) -> dict[str, Json]:
    """Return the message and the data of each button in the chat, by its label."""
    return {
        button["text"]: {"message_id": message["message_id"], "callback_data": button["callback_data"]}
        for message in playground.get(f"playground/chats/{ADA}/messages")
        for row in message.get("reply_markup", {}).get("inline_keyboard", [])
        for button in row
    }


def press(playground: Playground, label: str) -> None:
    place = until(lambda: buttons(playground).get(label))
    playground.post("playground/press", chat_id=ADA, user_id=ADA, **place)


def test_it_says_what_to_try_and_asks_again_about_a_payment_that_a_kill_interrupted(
    playground: Playground,
) -> None:
    bot = playground.get("playground/state")
    assert (bot["bot"]["agent"], bot["agents"]) == ("demo", ["demo", "echo"])
    playground.say("hello")
    until(lambda: any("pay 20 € to Ann" in answer for answer in playground.answers()))
    playground.say("pay 20 € to Ann")
    press(playground, "Allow")
    until(lambda: any("Paying 20 € to Ann" in answer for answer in playground.answers()))
    playground.post("playground/bot/kill")
    playground.post("playground/bot/start")
    press(playground, "Skip")
    until(lambda: any("I leave it as it is" in answer for answer in playground.answers()))
    asked = [answer for answer in playground.answers() if "It may have run" in answer]
    assert len(asked) == 1
    assert asked[0].endswith("→ Skip")
    assert not any("Paid" in answer for answer in playground.answers())


def test_a_model_is_named_at_the_start_and_what_it_lacks_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    playground = Playground(tmp_path, "--model", "openai:gpt-5-mini")
    state = until(lambda: (now := playground.get("playground/state")) and now["lines"] and now)
    assert state["bot"]["agent"] == "openai:gpt-5-mini"
    assert "openai:gpt-5-mini needs a key, here or in OPENAI_API_KEY" in state["lines"][0]
    playground.end()
