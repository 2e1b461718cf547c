"""Webhooks: updates posted to the bot's URL, again until it answers 2xx, in order within a chat."""

import asyncio
import itertools
import re
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from tgbot.playground.bots import Bot
from tgbot.playground.errors import bad_request
from tgbot.playground.files import Upload
from tgbot.playground.registry import Params, method
from tgbot.playground.world import World

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  the name of a header
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")  # https://core.telegram.org/bots/api#setwebhook
CONNECTIONS_DEFAULT, CONNECTIONS_MAX = 40, 100
RETRY_SECONDS_FIRST, RETRY_SECONDS_MAX = 0.1, 60.0
ANSWER_SECONDS_MAX = 30.0
SCANNED_MAX = 1_000  # how far into the queue a chat without a post under way is looked for
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Webhook:
    """Posts one bot's updates to its URL, at most `max_connections` at once, one at a time per chat."""

    def __init__(
        self, bot: Bot, url: str, secret: str, max_connections: int, certificate: Upload | None
    ) -> None:
        self.url = url
        self.max_connections = max_connections
        self.has_certificate = certificate is not None
        self.last_error: tuple[int, str] | None = None
        self._bot = bot
        self._trusted = _trusting(certificate)
        self._headers = {SECRET_HEADER: secret} if secret else {}
        self._changed = asyncio.Event()
        self._posting: dict[int, asyncio.Task[None]] = {}  # by update_id
        self._task = asyncio.create_task(self._run())
        bot.listeners.append(self._wake)

    async def stop(self) -> None:
        """Post nothing more; what was not answered stays queued."""
        self._bot.listeners.remove(self._wake)
        tasks = [self._task, *self._posting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wake(self, _what: str, _update: dict[str, Any]) -> None:
        self._changed.set()

    async def _run(self) -> None:
        async with httpx.AsyncClient(
            headers=self._headers, timeout=ANSWER_SECONDS_MAX, verify=self._trusted
        ) as client:
            while True:
                self._changed.clear()
                self._start(client)
                await self._changed.wait()

    def _start(self, client: httpx.AsyncClient) -> None:
        """Start a post for the oldest update of each chat that has none under way."""
        busy: set[object] = set()
        for update in list(itertools.islice(self._bot.updates, SCANNED_MAX)):
            if len(self._posting) >= self.max_connections:
                return
            lane, update_id = _chat_id(update), update["update_id"]
            if lane not in busy and update_id not in self._posting:
                self._posting[update_id] = asyncio.create_task(self._post_until_taken(client, update))
            busy.add(lane)

    async def _post_until_taken(self, client: httpx.AsyncClient, update: dict[str, Any]) -> None:
        retry_seconds = RETRY_SECONDS_FIRST
        while not await self._post(client, update):
            await asyncio.sleep(retry_seconds)
            retry_seconds = min(retry_seconds * 2, RETRY_SECONDS_MAX)
        self._bot.forget(update)
        del self._posting[update["update_id"]]
        self._changed.set()

    async def _post(self, client: httpx.AsyncClient, update: dict[str, Any]) -> bool:
        """Post once, and tell whether the bot took it."""
        try:
            response = await client.post(self.url, json=update)
        except httpx.HTTPError as error:
            self._failed(f"Connection failed: {type(error).__name__}")
            return False
        if not response.is_success:
            self._failed(f"Wrong response from the webhook: {response.status_code} {response.reason_phrase}")
        return response.is_success

    def _failed(self, reason: str) -> None:
        self.last_error = (int(time.time()), reason)


def _trusting(certificate: Upload | None) -> ssl.SSLContext:
    """Trust this one alone, where there is one. Raises ApiError."""
    if certificate is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=certificate.data.decode("ascii"))
    except (ValueError, ssl.SSLError):
        raise bad_request("bad webhook: the certificate is no PEM file") from None


def _chat_id(update: dict[str, Any]) -> object:
    """Return the chat an update belongs to; those of no chat share one lane."""
    for value in update.values():
        if isinstance(value, dict):
            chat = value.get("chat") or value.get("message", {}).get("chat") or {}
            return chat.get("id")
    return None


@method(
    "setWebhook",
    optional={
        "url": str,
        "certificate": Upload,
        "ip_address": str,
        "max_connections": int,
        "allowed_updates": list,
        "drop_pending_updates": bool,
        "secret_token": str,
    },
)
async def set_webhook(world: World, bot: Bot, params: Params) -> object:
    """Have updates posted to a URL on loopback."""
    if not params.get("url"):
        return await delete_webhook(world, bot, params)
    if urlsplit(params["url"]).hostname not in LOOPBACK:
        raise bad_request("bad webhook: the playground posts to loopback only")
    secret = params.get("secret_token", "")
    if secret and not SECRET.fullmatch(secret):
        raise bad_request("bad webhook: secret token contains unallowed characters")
    connections = params.get("max_connections", CONNECTIONS_DEFAULT)
    if not 1 <= connections <= CONNECTIONS_MAX:
        raise bad_request("bad webhook: max_connections must be between 1 and 100")
    bot.allow(params.get("allowed_updates"))
    await delete_webhook(world, bot, params)
    bot.webhook = Webhook(bot, params["url"], secret, connections, params.get("certificate"))
    return True


@method("deleteWebhook", optional={"drop_pending_updates": bool})
async def delete_webhook(_world: World, bot: Bot, params: Params) -> object:
    """Go back to getUpdates."""
    if params.get("drop_pending_updates"):
        bot.drop_pending()
    if bot.webhook is not None:
        await bot.webhook.stop()
    bot.webhook = None
    return True


@method("getWebhookInfo")
def get_webhook_info(_world: World, bot: Bot, _params: Params) -> object:
    """Return a WebhookInfo."""
    info: dict[str, object] = {
        "url": "",
        "has_custom_certificate": False,
        "pending_update_count": len(bot.updates),
    }
    if bot.allowed is not None:
        info["allowed_updates"] = sorted(bot.allowed)
    if bot.webhook is not None:
        info |= {
            "url": bot.webhook.url,
            "max_connections": bot.webhook.max_connections,
            "has_custom_certificate": bot.webhook.has_certificate,
            "ip_address": "127.0.0.1",
        }
        if bot.webhook.last_error:
            info["last_error_date"], info["last_error_message"] = bot.webhook.last_error
    return info
