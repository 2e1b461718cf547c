"""Which agent the playground starts the bot with."""

import pytest

from tgbot.playground.agents import DEMO, ECHO, Choice, at_start, model, offered

OWN = Choice("mine:agent", {"TGBOT_AGENT": "mine:agent"})
GPT = model("openai:gpt-5-mini")


@pytest.mark.parametrize(
    ("agent", "named", "given", "chosen"),
    [
        (None, None, {}, DEMO),
        ("demo", None, {"agent": "echo"}, DEMO),
        ("echo", None, {}, ECHO),
        ("mine:agent", None, {"agent": "echo"}, OWN),
        (None, None, {"agent": "mine:agent"}, OWN),
        (None, "openai:gpt-5-mini", {"agent": "echo", "model": "ollama:qwen3"}, GPT),
        (
            None,
            None,
            {"agent": "llm", "model": "ollama:qwen3"},
            Choice("ollama:qwen3", {"TGBOT_AGENT": "llm"}),
        ),
        ("llm", None, {"model": "ollama:qwen3"}, Choice("ollama:qwen3", {"TGBOT_AGENT": "llm"})),
        ("llm", None, {}, Choice("llm", {"TGBOT_AGENT": "llm"})),
    ],
)
def test_options_choose_the_agent_before_the_settings_of_the_bot_do(
    agent: str | None, named: str | None, given: dict[str, str], chosen: Choice
) -> None:
    assert at_start(agent, named, given) == chosen


def test_what_needs_no_key_is_always_offered() -> None:
    assert list(offered(DEMO)) == ["demo", "echo"]
    assert list(offered(GPT)) == ["demo", "echo", "openai:gpt-5-mini"]


def test_a_model_is_asked_through_the_agent_for_models() -> None:
    assert GPT.settings == {"TGBOT_AGENT": "llm", "TGBOT_MODEL": "openai:gpt-5-mini"}
