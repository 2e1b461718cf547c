"""Settings from the environment and `.env`: the only reader of either."""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tgbot.model import BotId, UserId

PREFIX = "TGBOT_"
ENV_FILE = ".env"


class ConfigError(Exception):
    """A setting is missing or wrong; the text is one line for the person at the terminal."""


class Settings(BaseSettings):
    """Every setting, with its default. Units stand last in the name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    token: SecretStr = Field(description="the bot's token, from @BotFather")
    api_url: str = Field("https://api.telegram.org", description="a Bot API server, http:// or https://")
    database_url: str = Field("sqlite:///tgbot.db", description="sqlite:///FILE")
    agent: str = Field("echo", description="echo, or package.module:name")
    allowed_users: Annotated[frozenset[UserId] | None, NoDecode] = Field(
        frozenset(), description="user ids with commas between, or * for everyone"
    )
    max_turns: int = Field(64, ge=1, description="how many turns run at once, at least 1")
    attempts_max: int = Field(3, ge=1, description="how often a message is tried, at least 1")
    queue_max: int = Field(100, ge=1, description="how many messages wait in a chat, at least 1")
    grace_seconds: float = Field(25, ge=0, description="the seconds from SIGTERM to cancel, 0 or more")
    turn_timeout_seconds: float = Field(1800, gt=0, description="the seconds of the longest turn, above 0")
    stream: Literal["edit", "draft", "off"] = Field("edit", description="edit, draft or off")
    format: Literal["entities", "rich"] = Field("entities", description="entities or rich")
    receipts: bool = Field(default=True, description="true or false")
    notify_after_seconds: float = Field(
        20, ge=0, description='the seconds until a "done" message, 0 for none'
    )
    rate_overall_per_second: float = Field(
        30, ge=0, allow_inf_nan=False, description="0 or more, 0 for no limit"
    )
    rate_chat_per_second: float = Field(1, ge=0, allow_inf_nan=False, description="0 or more, 0 for no limit")
    rate_group_per_minute: float = Field(
        20, ge=0, allow_inf_nan=False, description="0 or more, 0 for no limit"
    )
    start_within_seconds: float = Field(
        300, ge=0, description="the seconds that a start waits for a database that refuses, 0 or more"
    )
    send_within_seconds: float = Field(
        86400, gt=0, description="the seconds that an answer can wait unsent, above 0"
    )

    @field_validator("token")
    @classmethod
    def _token_has_a_bot_id(cls, token: SecretStr) -> SecretStr:
        # Telegram's ids have at most 52 bits: sixteen digits, and SQLite can keep them.
        if not re.fullmatch(r"[0-9]{1,16}:\S+", token.get_secret_value()):
            raise ValueError("a token looks like 123456:ABC-DEF")
        return token

    @field_validator("api_url")
    @classmethod
    def _url_has_a_scheme(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url):
            raise ValueError("not a URL")
        _ = urlsplit(url).port  # raises ValueError for a port that can not be
        return url.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database_is_a_file(cls, url: str) -> str:
        if not re.fullmatch(r"sqlite:///[^?:]+", url):
            raise ValueError("only a SQLite file is supported")
        path = Path(url.partition(":///")[2])
        if not path.parent.is_dir():
            raise ValueError("its folder does not exist")
        if path.is_dir():
            raise ValueError("this is a folder")
        return url

    @field_validator("allowed_users", mode="before")
    @classmethod
    def _users_from_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip() == "*":
            return None
        return frozenset(part.strip() for part in value.split(",") if part.strip())

    @property
    def bot_id(self) -> BotId:
        """The number before the colon of the token: Telegram's id of the bot."""
        return BotId(int(self.token.get_secret_value().partition(":")[0]))

    @property
    def database_path(self) -> Path:
        """The SQLite file behind `database_url`."""
        return Path(self.database_url.partition(":///")[2])


def load(**overrides: Any) -> Settings:  # noqa: ANN401 - any field's value; pydantic checks it
    """Read the settings. Raises ConfigError, one line that names the setting and how to set it."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        # A misspelled name is a missing setting: say both.
        raise ConfigError("; ".join([_one_line(error), *unknown_names()])) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{ENV_FILE} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{ENV_FILE} can not be read ({error.strerror}): let this user read it") from None


def wrong_setting(field: str, reason: object) -> ConfigError:
    """Make the error for a value that only its user can tell to be wrong."""
    return ConfigError(_how_to_set(field, f"is wrong ({reason})"))


def database_path() -> Path:
    """Find the SQLite file alone, for commands that need no token. Raises ConfigError."""
    # Any token will do: it is not used, and `status` must work where the token is not at hand.
    return load(token="0:unused").database_path  # noqa: S106 - not a secret


def unknown_names() -> list[str]:
    """One line for each TGBOT_ name that no setting has, with the nearest known one."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    given = [*os.environ, *(dotenv_values(ENV_FILE) if Path(ENV_FILE).is_file() else {})]
    strange = {name for name in given if name.upper().startswith(PREFIX) and name.upper() not in known}
    return [f"unknown setting {name}{_nearest(name.upper(), known)}" for name in sorted(strange)]


def exposed_files(database: Path) -> list[str]:
    """One line for each file with secrets or messages that is not its owner's alone."""
    modes = {path: path.stat().st_mode & 0o777 for path in (Path(ENV_FILE), database) if path.is_file()}
    return [
        f"{path} is open to other users (its mode is {mode:o}): chmod 600 {path}"
        for path, mode in modes.items()
        if mode & 0o077
    ]


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    reason = first["msg"].removeprefix("Value error, ")
    return _how_to_set(name, "is missing" if first["type"] == "missing" else f"is wrong ({reason})")


def _how_to_set(field: str, what: str) -> str:
    hint = Settings.model_fields[field].description
    return f"{PREFIX}{field.upper()} {what}: set it in the environment or in {ENV_FILE} to {hint}"
