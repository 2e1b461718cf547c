"""Checks what Telegram knows of the bot: its token, who gets its updates, and which."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

from tgbot.config import Settings
from tgbot.doctor.check import Check, fail, ok, warn
from tgbot.model import Raw
from tgbot.telegram import outcomes
from tgbot.telegram.client import BotApi
from tgbot.telegram.clock import server_time
from tgbot.telegram.errors import (
    BotApiError,
    ConflictError,
    FloodedError,
    TokenRefusedError,
    UnreachableError,
)
from tgbot.telegram.privacy import PRIVACY_MODE, has_privacy_mode

SERVER, TOKEN, CLOCK, WEBHOOK = "Bot API server", "token", "clock", "webhook"
POLLER, UPDATES, PRIVACY = "another poller", "allowed updates", "privacy mode"
WAIT_SECONDS = 10.0
POLL_SECONDS = 4  # within which another poller has asked again, and ends our poll
CLOCK_SECONDS_MAX = 60.0


async def checks(settings: Settings, is_running: Callable[[], bool]) -> AsyncIterator[Check]:
    """Check on the server. Changes nothing there, and takes no update from the bot."""
    server_seconds = await server_time(settings.api_url, WAIT_SECONDS)
    async with BotApi(settings.token, settings.api_url) as api:
        try:
            async for check in _on_server(api, settings, is_running):
                yield check
        except TokenRefusedError:
            yield fail(TOKEN, "the Bot API server does not know it", "check TGBOT_TOKEN and TGBOT_API_URL")
        except BotApiError as error:
            yield unanswered(error)
    if server_seconds is not None:
        yield clock(time.time() - server_seconds)


def unanswered(error: BotApiError) -> Check:
    """Judge a call without a usable answer."""
    if isinstance(error, FloodedError):
        return warn(SERVER, "too many requests", f"try again in {error.retry_after_seconds:.0f} s")
    if isinstance(error, UnreachableError):
        what = f"it does not answer ({error}), so what it knows of the bot was not checked"
        return fail(SERVER, what, "check the network and TGBOT_API_URL")
    return fail(SERVER, f"it refuses to say what it knows ({error})", "check TGBOT_API_URL")


def clock(ahead_seconds: float) -> Check:
    """Judge by how much the clock here is ahead of the server's."""
    away = f"{abs(ahead_seconds):.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} the server's"
    if abs(ahead_seconds) < CLOCK_SECONDS_MAX:
        return ok(CLOCK, f"within {CLOCK_SECONDS_MAX:.0f} s of the server's")
    return warn(CLOCK, f"it is {away}", "set it, as with `timedatectl set-ntp true`: limits a day go by it")


def privacy_mode(me: Raw, *, wanted_off: bool) -> Check:
    """Judge privacy mode, by what getMe says."""
    if not has_privacy_mode(me):
        return ok(PRIVACY, "off: the bot sees all messages in its groups")
    if wanted_off:
        return warn(PRIVACY, *_halves(PRIVACY_MODE))
    return ok(PRIVACY, "on, which fits a bot that answers mentions, replies and commands in groups")


def allowed_updates(info: Raw, wanted: list[str], *, running: bool) -> Check:
    """Judge which updates Telegram keeps for the bot, by what getWebhookInfo says."""
    kept = info.get("allowed_updates")
    missing = sorted(set(wanted).difference(kept)) if isinstance(kept, list) else []
    if running and missing:
        what = f"Telegram does not keep {', '.join(missing)}"
        return warn(UPDATES, what, "look for another program with this token: it asked for others")
    return ok(UPDATES, "the bot asks for what it needs")


def posts(info: Raw, url: str, *, running: bool) -> Check:
    """Judge the webhook that the settings want, by what getWebhookInfo says."""
    host, waiting = urlsplit(str(info.get("url"))).hostname, info.get("pending_update_count", 0)
    if info.get("url") != url:
        is_set = f"another one is set, at {host}" if info.get("url") else "none is set"
        if running:
            return fail(WEBHOOK, f"{is_set}, though the bot runs", "its log says why: look for intake.retry")
        return warn(WEBHOOK, f"{is_set}; {waiting} updates wait", "run `tgbot run`, which sets its own")
    if waiting and (reason := info.get("last_error_message")):
        what = f"{waiting} updates wait; Telegram could not post to {host} ({reason})"
        return warn(WEBHOOK, what, "see that what is posted there reaches TGBOT_WEBHOOK_ADDRESS")
    return ok(WEBHOOK, f"Telegram posts to {host}; {waiting} updates wait")


async def _on_server(api: BotApi, settings: Settings, is_running: Callable[[], bool]) -> AsyncIterator[Check]:
    me, info = await _ask(api, "getMe"), await _ask(api, "getWebhookInfo")
    yield ok(TOKEN, f"it belongs to @{me.get('username')} ({me.get('id')})")
    if settings.webhook_url:
        yield posts(info, settings.webhook_url, running=is_running())
    else:
        yield _no_webhook(api, info)
    if not info.get("url") and not settings.webhook_url:
        yield await _another_poller(api, is_running)
    wanted = outcomes.allowed_updates(reactions=settings.reactions != "off")
    yield allowed_updates(info, wanted, running=is_running())
    yield privacy_mode(me, wanted_off=settings.group_activation == "always")


async def _ask(api: BotApi, method: str) -> Any:  # noqa: ANN401 - each method has its own
    """Ask for an object. Raises BotApiError."""
    answer = await api.call(method, WAIT_SECONDS)
    if not isinstance(answer, dict):
        raise UnreachableError(f"{method} gives no object")
    return answer


def _no_webhook(api: BotApi, info: Raw) -> Check:
    if not info.get("url"):
        return ok(WEBHOOK, f"none is set; {info.get('pending_update_count', 0)} updates wait to be polled")

    async def delete() -> None:
        # Without drop_pending_updates: what people wrote waits for the bot.
        await api.call("deleteWebhook", WAIT_SECONDS)

    host = urlsplit(str(info["url"])).hostname  # the rest is often a secret
    what = f"Telegram sends the updates to {host}, so the bot, which polls, gets none"
    return fail(WEBHOOK, what, "run `tgbot doctor --fix`, which deletes the webhook and no update", delete)


async def _another_poller(api: BotApi, is_running: Callable[[], bool]) -> Check:
    """Poll for a moment, which any other poller with this token ends; no offset, so nothing is confirmed."""
    if is_running():  # our poll would end the bot's own
        return ok(
            POLLER, "not looked for, as the bot itself polls; its log has intake.conflict if there is one"
        )
    try:
        # Without allowed_updates, too: Telegram keeps what the bot asked for.
        await api.call("getUpdates", limit=1, timeout=POLL_SECONDS)
    except ConflictError:
        if is_running():
            return ok(POLLER, "the bot was started just now")
        what = "another program polls with this token, and takes the bot's messages"
        return fail(POLLER, what, "end it, or get a new token from @BotFather (/revoke)")
    return ok(POLLER, "none")


def _halves(text: str) -> tuple[str, str]:
    what, _, fix = text.partition(". ")
    return what, fix
