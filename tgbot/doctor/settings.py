"""Checks the settings, and that the agent they name can be imported."""

import contextlib
import sys

from tgbot import config
from tgbot.agents.llm.agent import LlmAgent
from tgbot.config import ConfigError, Settings
from tgbot.doctor.check import Check, fail, ok, warn
from tgbot.turns.agent import MODEL_AGENT, AgentError, load_agent

NAME, AGENT = "settings", "agent"


def load() -> tuple[Settings | None, list[Check]]:
    """Read the settings; None if they are wrong, with a check for each line that says why."""
    try:
        settings = config.load()
        strange = config.unknown_names()
    except ConfigError as error:
        return None, [_wrong(line) for line in str(error).splitlines()]
    unknown = [warn(NAME, line, "correct or remove it") for line in strange]
    return settings, unknown or [ok(NAME, "all names and values are valid")]


def agent(settings: Settings) -> Check:
    """Import the agent. Call it while no event loop runs: a module may start one of its own."""
    try:
        # What a module prints must not come between the checks.
        with contextlib.redirect_stdout(sys.stderr):
            _import(settings)
    except AgentError as error:
        return fail(AGENT, str(error), "install or correct it, or set TGBOT_AGENT to another one")
    except ConfigError as error:
        return _wrong(str(error), AGENT)
    return ok(AGENT, f"{settings.agent} can be imported")


def _import(settings: Settings) -> None:
    if settings.agent == MODEL_AGENT:
        LlmAgent(settings)
    else:
        load_agent(settings.agent)


def _wrong(line: str, name: str = NAME) -> Check:
    """Take apart a line of a ConfigError, which ends with what to do."""
    what, _, fix = line.rpartition(": ")
    return fail(name, what or line, fix if what else "")
