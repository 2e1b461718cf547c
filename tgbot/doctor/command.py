"""`tgbot doctor`: its arguments, and what it prints."""

import argparse
import asyncio
import json
import re
from collections.abc import Callable

from tgbot import config, logs
from tgbot.agents.llm import names
from tgbot.config import Settings
from tgbot.doctor import live
from tgbot.doctor import settings as settings_checks
from tgbot.doctor.check import Check, MisuseError
from tgbot.doctor.checkup import examine
from tgbot.model import ChatId

SHOWN = ("level", "name", "what", "fix")  # of a check, for programs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("--json", action="store_true", help="for programs")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--fix",
        action="store_true",
        help="fix what is harmless to fix: file modes, a webhook that keeps the bot from polling",
    )
    which.add_argument(
        "--live",
        metavar="CHAT_ID",
        help="check on the real server what sending relies on, with three silent messages in this chat"
        " (your own user id is one) that are deleted again",
    )


def run(arguments: argparse.Namespace, show: Callable[[str], None]) -> bool:
    """Make the checks and show them; whether none failed.

    Raises for a live check MisuseError, ConfigError, DoctorError, TokenRefusedError.
    """
    printed = _Printed(show, as_json=arguments.json)
    if arguments.live is None:
        _check(printed, fix=arguments.fix)
    else:
        _check_live(printed, arguments.live)
    printed.end()
    return printed.well


class _Printed:
    """Prints checks without any secret: each at once, or all at the end for programs."""

    def __init__(self, show: Callable[[str], None], *, as_json: bool) -> None:
        self.well = True
        self._show = show
        self._entries: list[dict[str, str]] | None = [] if as_json else None
        self._secrets: list[str] = []

    def hide(self, settings: Settings) -> None:
        ours = [settings.token, *settings.page_tokens, *settings.database_passwords]
        self._secrets = [*ours, *names.secrets(settings)]
        logs.configure(*self._secrets)

    def add(self, check: Check) -> None:
        self.well = self.well and check.level != "fail"
        if self._entries is None:
            self._show(self._without_secrets(check.line))
        else:
            self._entries.append({name: self._without_secrets(getattr(check, name)) for name in SHOWN})

    def end(self) -> None:
        if self._entries is not None:
            for line in json.dumps({"ok": self.well, "checks": self._entries}, indent=2).split("\n"):
                self._show(line)

    def _without_secrets(self, text: str) -> str:
        return logs.redacted(text, self._secrets)


def _check(printed: _Printed, *, fix: bool) -> None:
    settings, checks = settings_checks.load()
    if settings:
        printed.hide(settings)
    for check in checks:
        printed.add(check)
    examine(settings, printed.add, fix=fix)


def _check_live(printed: _Printed, chat: str) -> None:
    chat_id = _chat_id(chat)
    settings = config.load()
    printed.hide(settings)
    asyncio.run(live.check_live(settings, chat_id, printed.add))


def _chat_id(text: str) -> ChatId:
    if not re.fullmatch(r"-?[1-9][0-9]{0,15}", text):
        raise MisuseError(f"CHAT_ID is a number like 7 or -1001234567890, not {text!r}")
    return ChatId(int(text))
