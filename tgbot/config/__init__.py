"""The settings, read from the environment and `.env`."""

from tgbot.config.reading import (
    ENV_FILE,
    PREFIX,
    SECRETS,
    ConfigError,
    as_database_url,
    database_url,
    environment,
    exposed_files,
    given,
    load,
    named_secret_files,
    nobody_allowed,
    only_in_shell,
    secret,
    unknown_names,
    wrong_setting,
)
from tgbot.config.settings import TELEGRAM_URL, Settings

__all__ = [
    "ENV_FILE",
    "PREFIX",
    "SECRETS",
    "TELEGRAM_URL",
    "ConfigError",
    "Settings",
    "as_database_url",
    "database_url",
    "environment",
    "exposed_files",
    "given",
    "load",
    "named_secret_files",
    "nobody_allowed",
    "only_in_shell",
    "secret",
    "unknown_names",
    "wrong_setting",
]
