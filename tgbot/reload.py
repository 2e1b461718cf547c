"""Reads the settings again on SIGHUP: what can change changes, and the log says what cannot."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterable

from tgbot.config import PREFIX, ConfigError, Settings
from tgbot.store.engine.errors import StorageError

log = logging.getLogger(__name__)

# The others are built into what is open: a file, a connection, the keys of sessions, the import of an agent.
CHANGEABLE = frozenset(
    {
        *("allowed_users", "speakers", "user_minute_messages_max", "user_day_turns_max"),
        *("mode", "queue_max", "group_activation", "group_context_messages", "reactions"),
        *("turn_timeout_seconds", "notify_after_seconds", "grace_seconds", "keep_days"),
        *("log", "log_level"),  # which have changed by then: whoever reads the settings sets up the log
        *("prompt_file", "models", "context_tokens", "show_cost"),
        *("turn_steps_max", "turn_tokens_max", "turn_cost_max"),
        *("user_day_tokens_max", "user_day_cost_max", "chat_day_tokens_max", "chat_day_cost_max"),
    }
)


class Reloader:
    """A service: it reads the settings again each time that it is asked to.

    `load` reads them, `adapt` lets the agent go by other ones, and `change` the rest of the bot. The first
    two may raise ConfigError, the last one StorageError. Then the bot goes by the old ones.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        adapt: Callable[[Settings], None],
        change: Callable[[Settings], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self._load = load
        self._adapt = adapt
        self._change = change
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Let it read them: now, or once more when it is done."""
        self._asked.set()

    async def serve(self) -> None:
        """Wait for whoever asks, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._reload(self._load())
            except (ConfigError, StorageError) as error:
                reason = "; ".join(str(error).splitlines())
                log.error("reload.refused the bot goes on with its old settings: %s", reason)  # noqa: TRY400 - a person's mistake

    async def _reload(self, new: Settings) -> None:
        names = _different(self.settings, new)
        changed = {name: getattr(new, name) for name in names if name in CHANGEABLE}
        if changed:
            await self._go_by(dataclasses.replace(self.settings, **changed))
        log.info("reload.done changed=%s", _listed(changed) or "nothing")
        if fixed := _listed(name for name in names if name not in CHANGEABLE):
            log.warning("reload.needs_restart settings=%s: they change with the next start", fixed)

    async def _go_by(self, settings: Settings) -> None:
        self._adapt(settings)
        try:
            await self._change(settings)
        except StorageError:
            self._adapt(self.settings)
            raise
        self.settings = settings


def _different(old: Settings, new: Settings) -> list[str]:
    names = (field.name for field in dataclasses.fields(Settings))
    return [name for name in names if getattr(old, name) != getattr(new, name)]


def _listed(names: Iterable[str]) -> str:
    """List them without their values: some are secrets."""
    return ",".join(f"{PREFIX}{name.upper()}" for name in names)
