"""Reads the settings from the environment and `.env`: the only reader of either."""

import dataclasses
import difflib
import glob
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from dotenv import dotenv_values

from tgbot import secret_files
from tgbot.config.settings import How, Settings

PREFIX = "TGBOT_"
ENV_FILE = ".env"
SECRETS = ("token", "model_key", "admin_token", "viewer_token")  # may also stand in a file of their own


class ConfigError(Exception):
    """Settings are missing or wrong; the text has one line for each, for the person at the terminal."""


_FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
_HOW: dict[str, How] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Settings, include_extras=True).items()
}


def load() -> Settings:
    """Read the settings. Raises ConfigError: a line for each wrong one says how to set it."""
    settings = Settings(**_read(_FIELDS))
    if settings.viewer_token is not None and settings.viewer_token == settings.admin_token:
        raise wrong_setting("viewer_token", "it is the same as TGBOT_ADMIN_TOKEN")
    return settings


def database_url() -> str:
    """Read where the database is alone, for commands that need no token. Raises ConfigError."""
    url: str = _read(["database_url"]).get("database_url", _FIELDS["database_url"].default)
    return url


def as_database_url(name: str, text: str) -> str:
    """Take a database's URL that stands in `name`, which is no setting. Raises ConfigError."""
    how = _HOW["database_url"]
    try:
        return str(how.parse(text))
    except ValueError as error:
        raise ConfigError(f"{name} is wrong ({error}): it has to be {how.hint}") from None


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
    how = f"become its owner with the link that is printed, or set {_variable('allowed_users')}"
    return None if everyone or settings.allowed_users else f"nobody may talk to the bot yet: {how}"


def unknown_names() -> list[str]:
    """One line for each TGBOT_ name that no setting has, with the nearest known one."""
    known = [*map(_variable, _FIELDS), *(secret_files.file_variable(_variable(name)) for name in SECRETS)]
    strange = {name for name in environment() if name.upper().startswith(PREFIX) and name not in known}
    return [f"unknown setting {name}{_nearest(name.upper(), known)}" for name in sorted(strange)]


def exposed_files(database: Path | None) -> list[str]:
    """One line for each file with secrets or messages that is not its owner's alone, copies included.

    Raises ConfigError.
    """
    copies = sorted(database.parent.glob(f"{glob.escape(database.name)}.*")) if database else []
    paths = (Path(ENV_FILE), *([database] if database else []), *named_secret_files(), *copies)
    modes = {path: _mode(path) for path in paths}
    return [
        f"{path} is open to other users (its mode is {mode:o}): chmod 600 {path}"
        for path, mode in modes.items()
        if mode & 0o077
    ]


def _mode(path: Path) -> int:
    """Give the bits of who may do what with a file, 0 if there is none."""
    try:
        status = path.stat()
    except OSError:  # a copy may go at any moment
        return 0
    return stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else 0


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
    # Without a file of its own the key stands in that of the certificate.
    key = given.get(_variable("webhook_key"), "").strip() or given.get(_variable("webhook_cert"), "").strip()
    return [path for path in (*named, Path(key) if key else None) if path]


def secret(name: str) -> str | None:
    """Find one of the secrets alone, wherever it stands; None if it is nowhere. Raises ConfigError."""
    try:
        return secret_files.find(_variable(name), environment())
    except secret_files.SecretFileError as error:
        raise ConfigError(str(error)) from None


def only_in_shell(*others: str) -> list[str]:
    """List the settings, and those of `others`, that this process was given and `.env` has not.

    Raises ConfigError.
    """
    in_file = _in_file()
    ours = (name for name in os.environ if name.startswith(PREFIX) or name in others)
    return sorted(name for name in ours if os.environ[name] != in_file.get(name))


def environment() -> dict[str, str]:
    """Read what is set, also for others: the environment before the file. Raises ConfigError."""
    return {**_in_file(), **os.environ}


def _in_file() -> dict[str, str]:
    try:
        in_file = dotenv_values(ENV_FILE)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{ENV_FILE} is not UTF-8 ({error.reason}): save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{ENV_FILE} cannot be read ({error.strerror}): let this user read it") from None
    return {name: value for name, value in in_file.items() if value is not None}


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _line(name: str, what: str) -> str:
    return f"{_variable(name)} {what}: set it in the environment or in {ENV_FILE} to {_HOW[name].hint}"
