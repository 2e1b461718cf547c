"""Settings from the environment and `.env`: the only reader of either."""

import dataclasses
import difflib
import glob
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints
from urllib.parse import urlsplit

from dotenv import dotenv_values

from tgbot import secret_files
from tgbot.model import MODES, Activation, BotId, ChatId, GroupSessions, Mode, ReactionsIn, UserId

PREFIX = "TGBOT_"
ENV_FILE = ".env"
TOKENS_MIN = 10_000  # of a limit: a single request to a model may take as much
PORT_MAX = 65_535
CONTEXT_MAX = 50  # messages to others that a turn in a group is given
SECRETS = ("token", "model_key")  # may also stand in a file of their own


class ConfigError(Exception):
    """Settings are missing or wrong; the text has one line for each, for the person at the terminal."""


def _token(text: str) -> str:
    # Telegram's ids have at most 52 bits: sixteen digits, and SQLite can keep them.
    if not re.fullmatch(r"[0-9]{1,16}:\S+", text):
        raise ValueError("a token looks like 123456:ABC-DEF")
    return text


def _server(text: str) -> str:
    try:
        _ = urlsplit(text).port  # raises for a port that cannot be
    except ValueError:
        raise ValueError("its host or port cannot be") from None
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", text):
        raise ValueError("not the URL of a server")
    return text.rstrip("/")


def _database(text: str) -> str:
    if not re.fullmatch(r"sqlite:///[^?:]+", text):
        raise ValueError("only a SQLite file is supported")
    path = Path(text.partition(":///")[2])
    if not path.parent.is_dir():
        raise ValueError("its folder does not exist")
    if path.is_dir():
        raise ValueError("this is a folder")
    return text


def _file(text: str) -> Path:
    path = Path(text)
    try:
        path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    return path


def _key(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):  # a client would fail on anything else, in odd ways
        raise ValueError("a key has neither spaces nor special characters")
    return text


def _users(text: str) -> tuple[UserId, ...] | None:
    return None if text == "*" else tuple(UserId(_count(part)) for part in _listed(text))


def _chats(text: str) -> tuple[ChatId, ...]:
    return tuple(ChatId(-_count(part.removeprefix("-"))) for part in _listed(text))


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[\w.:\[\]-]*", host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError
    if int(port) > PORT_MAX:
        raise ValueError
    return host.strip("[]") or "127.0.0.1", int(port)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):  # SQLite can keep it
        raise ValueError
    return int(text)


def _context(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", text) or (count := int(text)) > CONTEXT_MAX:
        raise ValueError
    return count


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise ValueError
    return int(text)


def _amount(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text):
        raise ValueError
    return float(text)


def _positive(text: str) -> float:
    if not (amount := _amount(text)):
        raise ValueError
    return amount


def _tokens(text: str) -> int:
    if (count := _count(text)) < TOKENS_MIN:
        raise ValueError
    return count


def _dollars(text: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not (amount := Decimal(text)):
        raise ValueError
    return amount


def _flag(text: str) -> bool:
    return _one_of("true", "false")(text.lower()) == "true"


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return parse


class _How(NamedTuple):
    """How a setting is read: `parse` raises ValueError, with a reason where `hint` does not say it all."""

    parse: Callable[[str], object]
    hint: str  # ends the sentence "set it to ..."


_SECONDS = "a number of seconds, 0 or more"
_RATE = _How(_amount, "a number, 0 or more, 0 for no limit")
_TOKENS = _How(_tokens, f"a whole number of tokens, at least {TOKENS_MIN}, or leave it out for no limit")
_MESSAGES = _How(_count, "a whole number of at least 1, or leave it out for no limit")
_COST = _How(_dollars, "a number of dollars above 0, or leave it out for no limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its default. Units stand last in the name."""

    token: Annotated[str, _How(_token, "the bot's token, from @BotFather")] = field(repr=False)
    api_url: Annotated[str, _How(_server, "a Bot API server, http:// or https://")] = (
        "https://api.telegram.org"
    )
    database_url: Annotated[str, _How(_database, "sqlite:///FILE")] = "sqlite:///tgbot.db"
    agent: Annotated[str, _How(str, "echo, llm, or package.module:name")] = "echo"
    model: Annotated[str, _How(str, "provider:model, like openai:gpt-5-mini")] = ""
    models: Annotated[tuple[str, ...], _How(_listed, "models with commas between")] = ()
    context_tokens: Annotated[int, _How(_count, "a whole number of tokens")] = 100_000
    model_url: Annotated[str | None, _How(_server, "an OpenAI-compatible server, http:// or https://")] = None
    model_key: Annotated[str | None, _How(_key, "the key of the model's provider")] = field(
        default=None, repr=False
    )
    transcribe_model: Annotated[str | None, _How(str, "a model like whisper-1")] = None
    prompt_file: Annotated[Path | None, _How(_file, "a text file with the instructions for the model")] = None
    tools: Annotated[str | None, _How(str, "a module whose public functions are tools")] = None
    mcp: Annotated[Path | None, _How(_file, "a JSON file of MCP servers")] = None
    allowed_users: Annotated[
        tuple[UserId, ...] | None,
        _How(_users, "user ids with commas between (the bot shows a stranger theirs), or * for everyone"),
    ] = ()
    speakers: Annotated[
        tuple[ChatId, ...],
        _How(_chats, "ids of groups and channels with commas between, like -1001234567890"),
    ] = ()
    group_activation: Annotated[Activation, _How(_one_of("mention", "always"), "mention or always")] = (
        "mention"
    )
    group_sessions: Annotated[GroupSessions, _How(_one_of("chat", "user"), "chat or user")] = "chat"
    group_context_messages: Annotated[int, _How(_context, f"a whole number from 0 to {CONTEXT_MAX}")] = 0
    reactions: Annotated[ReactionsIn, _How(_one_of("private", "all", "off"), "private, all or off")] = (
        "private"
    )
    user_minute_messages_max: Annotated[int | None, _MESSAGES] = None
    user_day_turns_max: Annotated[int | None, _MESSAGES] = None
    max_turns: Annotated[int, _How(_count, "a whole number of at least 1")] = 64
    crashes_max: Annotated[
        int,
        _How(
            _count,
            "how often a message may crash the bot before it is given up, a whole number of at least 1",
        ),
    ] = 3
    mode: Annotated[Mode, _How(_one_of(*MODES), "queue, collect, interrupt or steer")] = "queue"
    queue_max: Annotated[int, _How(_count, "a whole number of at least 1")] = 100
    grace_seconds: Annotated[float, _How(_amount, _SECONDS)] = 25
    turn_timeout_seconds: Annotated[float, _How(_positive, "a number of seconds above 0")] = 1800
    stream: Annotated[
        Literal["edit", "draft", "off"], _How(_one_of("edit", "draft", "off"), "edit, draft or off")
    ] = "edit"
    format: Annotated[Literal["entities", "rich"], _How(_one_of("entities", "rich"), "entities or rich")] = (
        "entities"
    )
    receipts: Annotated[bool, _How(_flag, "true or false")] = True
    notify_after_seconds: Annotated[float, _How(_amount, f"{_SECONDS}, 0 for no such message")] = 20
    rate_overall_per_second: Annotated[float, _RATE] = 30
    rate_chat_per_second: Annotated[float, _RATE] = 1
    rate_group_per_minute: Annotated[float, _RATE] = 20
    send_within_seconds: Annotated[float, _How(_positive, "a number of seconds above 0")] = 86400
    keep_days: Annotated[int, _How(_days, "a whole number of days, or 0 to keep all")] = 30
    start_within_seconds: Annotated[
        float, _How(_amount, f"{_SECONDS}, that a start waits for the database")
    ] = 300
    http_address: Annotated[
        tuple[str, int] | None, _How(_address, "HOST:PORT, or PORT alone for this machine only")
    ] = None
    turn_steps_max: Annotated[int, _How(_count, "a whole number of at least 1")] = 50
    turn_tokens_max: Annotated[int | None, _TOKENS] = None
    turn_cost_max: Annotated[Decimal | None, _COST] = None
    user_day_tokens_max: Annotated[int | None, _TOKENS] = None
    user_day_cost_max: Annotated[Decimal | None, _COST] = None
    chat_day_tokens_max: Annotated[int | None, _TOKENS] = None
    chat_day_cost_max: Annotated[Decimal | None, _COST] = None
    show_cost: Annotated[bool, _How(_flag, "true or false")] = False

    @property
    def bot_id(self) -> BotId:
        """The number before the colon of the token: Telegram's id of the bot."""
        return BotId(int(self.token.partition(":")[0]))

    @property
    def owner_id(self) -> UserId | None:
        """The user who owns the bot: the first one who may talk to it. None where everyone may, or nobody."""
        return next(iter(self.allowed_users or ()), None)

    @property
    def allowed_models(self) -> tuple[str, ...]:
        """The models that a chat may choose: the default first, each once."""
        return tuple(dict.fromkeys([self.model, *self.models]))

    @property
    def database_path(self) -> Path:
        """The SQLite file behind `database_url`."""
        return _path(self.database_url)


_FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
_HOW: dict[str, _How] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Settings, include_extras=True).items()
}


def load() -> Settings:
    """Read the settings. Raises ConfigError: a line for each wrong one says how to set it."""
    return Settings(**_read(_FIELDS))


def database_path() -> Path:
    """Find the SQLite file alone, for commands that need no token. Raises ConfigError."""
    return _path(_read(["database_url"]).get("database_url", _FIELDS["database_url"].default))


def given(*names: str) -> dict[str, str]:
    """Give those of these settings that are set, as they are written. Raises ConfigError."""
    values = environment()
    return {name: text for name in names if (text := values.get(_variable(name), "").strip())}


def wrong_setting(name: str, reason: object) -> ConfigError:
    """Make the error for a value that only its user can tell to be wrong."""
    return ConfigError(_line(name, f"is wrong ({reason})"))


def nobody_allowed(settings: Settings) -> str | None:
    """Say how to let people in, if the settings let nobody talk to the bot."""
    everyone = settings.allowed_users is None
    return (
        None if everyone or settings.allowed_users else _line("allowed_users", "lets nobody talk to the bot")
    )


def unknown_names() -> list[str]:
    """One line for each TGBOT_ name that no setting has, with the nearest known one."""
    known = [*map(_variable, _FIELDS), *(secret_files.file_variable(_variable(name)) for name in SECRETS)]
    strange = {name for name in environment() if name.upper().startswith(PREFIX) and name not in known}
    return [f"unknown setting {name}{_nearest(name.upper(), known)}" for name in sorted(strange)]


def exposed_files(database: Path) -> list[str]:
    """One line for each file with secrets or messages that is not its owner's alone, copies included.

    Raises ConfigError.
    """
    copies = sorted(database.parent.glob(f"{glob.escape(database.name)}.*"))
    paths = (Path(ENV_FILE), database, *named_secret_files(), *copies)
    modes = {path: path.stat().st_mode & 0o777 for path in paths if path.is_file()}
    return [
        f"{path} is open to other users (its mode is {mode:o}): chmod 600 {path}"
        for path, mode in modes.items()
        if mode & 0o077
    ]


def _read(names: Iterable[str]) -> dict[str, Any]:
    """Parse those that are set. Raises ConfigError."""
    given = environment()
    values: dict[str, Any] = {}
    wrong = []
    for name in names:
        try:
            values |= _parsed(name, given)
        except secret_files.SecretFileError as error:
            wrong.append(str(error))
        except ValueError as error:
            wrong.append(_line(name, f"is wrong ({error})" if str(error) else "is wrong"))
        except KeyError:
            wrong.append(_line(name, "is missing"))
    if wrong:  # a misspelled name is a missing setting: say both
        raise ConfigError("\n".join([*wrong, *unknown_names()]))
    return values


def _parsed(name: str, given: Mapping[str, str]) -> dict[str, object]:
    """Give the value by its name, nothing for the default. Raises ValueError, KeyError without either."""
    variable = _variable(name)
    text = secret_files.find(variable, given) if name in SECRETS else given.get(variable)
    if text is not None:
        return {name: _HOW[name].parse(text.strip())}
    if _FIELDS[name].default is dataclasses.MISSING:
        raise KeyError(name)
    return {}


def named_secret_files() -> list[Path]:
    """List the files with secrets in them that the settings name, not those that systemd gives.

    Raises ConfigError.
    """
    given = environment()
    named = (secret_files.named_file(_variable(name), given) for name in SECRETS)
    return [path for path in named if path]


def environment() -> dict[str, str]:
    """Read what is set, also for others: the environment before the file. Raises ConfigError."""
    try:
        in_file = dotenv_values(ENV_FILE)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{ENV_FILE} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{ENV_FILE} cannot be read ({error.strerror}): let this user read it") from None
    return {**{name: value for name, value in in_file.items() if value is not None}, **os.environ}


def _path(database_url: str) -> Path:
    return Path(database_url.partition(":///")[2])


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _line(name: str, what: str) -> str:
    return f"{_variable(name)} {what}: set it in the environment or in {ENV_FILE} to {_HOW[name].hint}"
