"""Makes all the checks in turn, and repairs what it may."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from tgbot import config
from tgbot.config import ConfigError, Settings
from tgbot.doctor import bot_api, database, files, model
from tgbot.doctor import settings as settings_checks
from tgbot.doctor.check import Check, ok
from tgbot.store import workers
from tgbot.store.engine.errors import StorageError
from tgbot.store.engine.place import Place, place_of
from tgbot.telegram.errors import BotApiError

Show = Callable[[Check], None]


def examine(settings: Settings | None, show: Show, *, fix: bool) -> None:
    """Make the checks that these settings allow; `fix` repairs what is harmless to repair."""
    if settings:
        show(settings_checks.agent(settings))
    asyncio.run(_examine(settings, show, fix=fix))


async def _examine(settings: Settings | None, show: Show, *, fix: bool) -> None:
    async for check in _checks(settings):
        show(await _repaired(check) if fix and check.repair else check)


async def _checks(settings: Settings | None) -> AsyncIterator[Check]:
    for place, secret_files in _places():
        for check in [*files.checks(place.file, secret_files), *database.checks(place)]:
            yield check
    if settings is None:
        return
    place = place_of(settings.database_url)
    async for check in bot_api.checks(settings, lambda: _may_run(place)):
        yield check
    async for check in model.checks(settings):
        yield check


def _may_run(place: Place) -> bool:
    """Say whether the bot may run. Where its database cannot be asked nobody should poll in its place."""
    try:
        return workers.is_running(place)
    except StorageError:
        return True


def _places() -> list[tuple[Place, list[Path]]]:
    """Find the database and the files with secrets, also where other settings are wrong; none if they are."""
    try:
        return [(place_of(config.database_url()), config.named_secret_files())]
    except ConfigError:  # said already
        return []


async def _repaired(check: Check) -> Check:
    assert check.repair
    try:
        await check.repair()
    except OSError as error:
        return replace(check, what=f"{check.what}, and that could not be fixed ({error.strerror})")
    except BotApiError as error:
        return replace(check, what=f"{check.what}, and that could not be fixed ({error})")
    return ok(check.name, f"fixed: {check.what}")
