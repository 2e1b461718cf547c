"""The questions: each takes an option, asks, or keeps what is known; and checks it at once."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tgbot import config, logs
from tgbot.agents.llm import names
from tgbot.config import TELEGRAM_URL, Settings, parsers
from tgbot.init import asking, checks
from tgbot.init.asking import InitError
from tgbot.turns.agent import MODEL_AGENT, AgentError, load_agent

AGENTS = "echo, llm (a model), or package.module:name"
OLLAMA_URL = "http://127.0.0.1:11434/v1"
MODEL_NAME = "provider:model, like openai:gpt-5-mini or ollama:qwen3"


class Questions:
    """Gathers the `values` to write, by the names of their settings.

    Each question raises InitError and ConfigError. With `yes` nothing is asked that can be left as it is.
    """

    def __init__(self, arguments: argparse.Namespace, show: Callable[[str], None]) -> None:
        self.values: dict[str, str] = {}
        self._given = arguments
        self._show = show
        self._token = ""

    def ask_token(self) -> None:
        """Find the token, and see whose it is."""
        known = config.secret("token")
        file = self._given.token_file
        if file:
            self.values["token_file"] = str(Path(file).absolute())
            self._take_token(_content(file))
        elif self._given.token not in {None, "-"}:
            self.values["token"] = self._take_token(self._given.token)
        elif known and self._given.yes and not self._given.token:
            self._take_token(known)
        else:
            self._ask_for_token(known)

    def _ask_for_token(self, known: str | None) -> None:
        keep = " (Enter keeps the one you have)" if known else ""
        question = f"The bot's token, from @BotFather{keep}: "
        token = self._until_right(lambda: asking.secret(question) or known or "", self._take_token)
        if token != known:
            self.values["token"] = token

    def _take_token(self, text: str) -> str:
        token = _parsed("the token", parsers.token, text)
        logs.configure(token)  # not even an error may show it
        api_url = _parsed("TGBOT_API_URL", parsers.server, _known("api_url") or TELEGRAM_URL)
        self._show(f"This token belongs to @{checks.username(token, api_url)}.")
        self._token = token
        return token

    def ask_agent(self) -> None:
        """Find what answers, and see that it is there."""
        known = _known("agent") or "echo"
        given = self._given.agent or (MODEL_AGENT if self._given.model else None)
        agent = self._answer(given, f"What answers: {AGENTS}", known, _importable)
        self.values["agent"] = agent
        if agent == MODEL_AGENT:
            self._ask_model()

    def _ask_model(self) -> None:
        given, known = self._given.model_url, _known("model_url")
        check = _some_model if given or known else _model_of_provider
        name = self._answer(self._given.model, "The model, like openai:gpt-5-mini", _known("model"), check)
        self.values["model"] = name
        if not given and not name.startswith("ollama:"):
            self._ask_key(name, known or None)
            return
        take = partial(self._take_server, name)
        self._answer(given, "Its server's address", known or OLLAMA_URL, take)

    def _take_server(self, name: str, text: str) -> str:
        """Take an address at which the model's server answers."""
        url = _parsed("the model's URL", parsers.server, text)
        self.values["model_url"] = url
        self._ask_key(name, url)
        return url

    def _ask_key(self, name: str, url: str | None) -> None:
        """Find the key, if the model needs one, and ask its server whether it is right."""
        file, known = self._given.model_key_file, config.secret("model_key")
        if file:
            self.values["model_key_file"] = str(Path(file).absolute())
        key = _content(file) if file else known
        provider = names.full(name, url).partition(":")[0]
        if key or url or provider not in names.KEYS or names.key_of(provider):
            self._take_model(name, url, key)
            return
        question = f"The key of {provider}: "
        if self._given.yes:
            raise InitError(f"{name} needs a key: set {names.KEYS[provider]}, or give --model-key-file")
        self.values["model_key"] = self._until_right(
            lambda: asking.secret(question), lambda typed: self._take_model(name, url, typed)
        )

    def _take_model(self, name: str, url: str | None, key: str | None) -> str:
        if key:
            key = _parsed("the key", parsers.key, key)
            logs.configure(self._token, key)
        settings = Settings(token=self._token, agent=MODEL_AGENT, model=name, model_url=url, model_key=key)
        names.check(settings)
        self._show(checks.model(settings))
        return key or ""

    def ask_people(self) -> None:
        """Find who may talk; nobody: then a link makes whoever opens it the owner."""
        check = _people
        question = (
            "Who may talk: user ids with commas between, or nothing for a link that makes you its owner"
        )
        people = self._answer(self._given.allow, question, _known("allowed_users"), check)
        if people:
            self.values["allowed_users"] = people

    def _answer(self, given: str | None, question: str, known: str, check: Callable[[str], str]) -> str:
        """Take the option, or else what is typed, or else what is known."""
        if given is not None or self._given.yes:
            return check(given if given is not None else known)
        asked = f"{question} [{known}]: " if known else f"{question}: "
        return self._until_right(lambda: asking.line(asked) or known, check)

    def _until_right(self, ask: Callable[[], str], check: Callable[[str], str]) -> str:
        return asking.until_right(ask, check, self._show)


def _known(name: str) -> str:
    return config.given(name).get(name, "")


def _content(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InitError(f"{file} cannot be read: {error}") from None


def _parsed(what: str, parse: Callable[[str], object], text: str) -> str:
    """See that the bot could read it. The text itself, which may be a secret, is not shown."""
    try:
        parse(text)
    except ValueError as error:
        raise InitError(f"{what} is wrong{f' ({error})' if str(error) else ''}") from None
    return text


def _people(text: str) -> str:
    try:
        parsers.users(text)
    except ValueError:
        raise InitError(
            "who may talk is wrong (a user id is a number like 123456789; a name is none)"
        ) from None
    return text


def _some_model(text: str) -> str:
    if not text:
        raise InitError(f"a model is needed: {MODEL_NAME}")
    return text


def _model_of_provider(text: str) -> str:
    if _some_model(text) != names.DEMO and not all(text.partition(":")):
        raise InitError(f"{text!r} names no provider: {MODEL_NAME}")
    return text


def _importable(agent: str) -> str:
    try:
        if agent != MODEL_AGENT:
            load_agent(agent)
    except AgentError as error:
        raise InitError(str(error)) from None
    return agent
