"""`tgbot init`: its arguments, and what it writes when all is answered."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from tgbot import config
from tgbot.config import ENV_FILE, PREFIX
from tgbot.init import asking, env_file
from tgbot.init.asking import InitError
from tgbot.init.questions import AGENTS, Questions

Show = Callable[[str], None]

# A secret may be given in one way only: the new one takes the place of the other.
INSTEAD = {
    "token": "token_file",
    "token_file": "token",
    "model_key": "model_key_file",
    "model_key_file": "model_key",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add = parser.add_argument
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token", help="the token, which others on this machine may see then; - reads it")
    token.add_argument(
        "--token-file", metavar="FILE", help="a file with nothing but the token; it stays there"
    )
    add("--agent", help=AGENTS)
    add("--model", help="a model, like openai:gpt-5-mini")
    add("--model-url", metavar="URL", help="an OpenAI-compatible server of your own")
    add("--model-key-file", metavar="FILE", help="a file with nothing but the key; it stays there")
    add("--allow", metavar="IDS", help="who may talk: user ids with commas between, or * for everyone")
    add("--yes", action="store_true", help="ask nothing: what is not given stays as it is")


def run(arguments: argparse.Namespace, show: Show) -> None:
    """Ask, check, write. Raises InitError, ConfigError: then nothing was written."""
    path = Path(ENV_FILE)
    text = env_file.read(path)
    questions = Questions(arguments, show)
    questions.ask_token()
    questions.ask_agent()
    questions.ask_people()
    values = {_variable(name): value for name, value in questions.values.items()}
    without = {_variable(INSTEAD[name]) for name in questions.values if name in INSTEAD}
    if text and not arguments.yes and not asking.agrees(f"Write {', '.join(values)} into {path}?"):
        raise InitError("nothing was written")
    env_file.write(path, env_file.changed(text, values, without))
    for line in _afterwards(values):
        show(line)


def _afterwards(values: Mapping[str, str]) -> list[str]:
    first = [name for name in config.only_in_shell() if name in values]
    shadowed = [
        f"{name} is set in this shell, too, to something else, which goes first: unset it" for name in first
    ]
    link = "" if config.given("allowed_users") else ", which shows a link: whoever opens it owns the bot"
    return [f"{ENV_FILE} is written; only you can read it.", *shadowed, f"Next: tgbot run{link}"]


def _variable(name: str) -> str:
    return PREFIX + name.upper()
