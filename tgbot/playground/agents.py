"""The agents that the page offers, each with the settings that choose it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

AGENT, MODEL = "TGBOT_AGENT", "TGBOT_MODEL"
MODEL_AGENT = "llm"


@dataclass(frozen=True, slots=True)
class Choice:
    """An agent to run the bot with: its name on the page, and the bot's settings for it."""

    name: str
    settings: Mapping[str, str] = field(hash=False)


def model(name: str) -> Choice:
    """Choose a model by its name."""
    return Choice(name, {AGENT: MODEL_AGENT, MODEL: name})


DEMO = model("demo")
ECHO = Choice("echo", {AGENT: "echo"})


def offered(start: Choice) -> dict[str, Choice]:
    """Map names to choices: the one that the bot starts with, and those that need no key."""
    return {choice.name: choice for choice in (DEMO, ECHO, start)}


def at_start(
    agent: str | None, model_name: str | None, given: Mapping[str, str], default: Choice = DEMO
) -> Choice:
    """Choose by the options --agent and --model, else by the settings of `tgbot run`, else the default.

    `given` are the settings that are set, by their names in lower case ("agent", "model").
    """
    name = agent or given.get("agent")
    if model_name:
        return model(model_name)
    if name == MODEL_AGENT:
        return Choice(given.get("model", MODEL_AGENT), {AGENT: MODEL_AGENT})
    known = {DEMO.name: DEMO, ECHO.name: ECHO}
    return known.get(name, Choice(name, {AGENT: name})) if name else default
