"""Has Telegram post the updates to the bot: sets the webhook, listens, and looks if posts get through."""

import asyncio
import hmac
import logging
import re
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

from tgbot import config, http_server
from tgbot.config import TELEGRAM_URL, Settings
from tgbot.intake.acceptor import Acceptor
from tgbot.intake.attempts import Attempts
from tgbot.intake.collector import Collector
from tgbot.intake.listener import Listener
from tgbot.model import Raw
from tgbot.tally import tally
from tgbot.telegram.client import BotApi, Upload
from tgbot.telegram.errors import UnreachableError

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0  # between two looks at what Telegram says of the webhook
CONNECTIONS = 40  # Telegram's default: it posts as many updates at once, of different chats

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\r?\n?", re.DOTALL)


class Webhook:
    """Takes updates from Telegram's posts, and hands them to the acceptor.

    Raises ConfigError where the URL, the certificate or its key cannot be used.
    """

    def __init__(self, settings: Settings, api: BotApi, acceptor: Acceptor, tries: Attempts) -> None:
        assert settings.webhook_url
        self._url = settings.webhook_url
        if settings.api_url == TELEGRAM_URL and not self._url.startswith("https://"):
            raise config.wrong_setting("webhook_url", "Telegram posts to https:// only")
        self._address = settings.webhook_address
        self._tls = settings.webhook_cert, settings.webhook_key
        self._uploaded = _to_upload(*self._tls)
        self._secret = secret_of(settings.token)
        self._api = api
        self._acceptor = acceptor
        self._tries = tries
        self._collector = Collector(acceptor.accept)
        self._listener = Listener(urlsplit(self._url).path or "/", self._secret, self._collector.take)
        self._looked = False
        self._asked_for: list[str] | None = None  # kinds of updates, at the last look
        self._failed_at: object = None  # when a post failed last, as Telegram says

    async def serve(self) -> None:
        """Listen for ever.

        Raises ConfigError where the address cannot be had, TokenRefusedError if the token was never good.
        """
        listening = self._socket()
        try:
            async with asyncio.TaskGroup() as storing:
                storing.create_task(self._collector.serve(), name="collector")
                await self._listen(listening)
        except ExceptionGroup as died:
            raise died.exceptions[0] from None  # by itself, as the poller would raise it

    async def _listen(self, listening: socket.socket) -> None:
        async with http_server.serving(self._listener, listening, *self._tls):
            try:
                await self._tries.repeat(self._look)
            finally:
                self._listener.open = False  # what is under way is stored still

    def _socket(self) -> socket.socket:
        try:
            listening = http_server.listen(self._address)
        except ValueError as error:
            raise config.wrong_setting("webhook_address", error) from None
        address = "{}:{}".format(*listening.getsockname())  # one field of the log
        log.info("webhook.listening address=%s url_host=%s", address, urlsplit(self._url).hostname)
        return listening

    async def _look(self) -> None:
        """Set the webhook if it is not as it must be, or note whether posts get through; then wait."""
        self._listener.open = True  # it is known by now who the bot is
        info = await self._api.call("getWebhookInfo")
        tally.poll_tried_at = time.monotonic()
        if not isinstance(info, dict):
            raise UnreachableError("getWebhookInfo gives no object")
        if self._must_be_set(info):
            await self._set()
            self._failed_at = None
        else:
            self._note(info)
        self._listener.right_secrets = self._listener.wrong_secrets = 0
        self._looked, self._asked_for = True, self._acceptor.allowed_updates
        await asyncio.sleep(LOOK_SECONDS)

    def _must_be_set(self, info: Raw) -> bool:
        wanted = {
            "url": self._url,
            "max_connections": CONNECTIONS,
            "has_custom_certificate": self._uploaded is not None,
        }
        # The secret is in no answer: another program may have set the same URL with its own.
        strange = bool(self._listener.wrong_secrets) and not self._listener.right_secrets
        return strange or self._is_new(info) or any(info.get(name) != wanted[name] for name in wanted)

    def _is_new(self, info: Raw) -> bool:
        """Whether this start or a reload brings other kinds of updates, or the start another certificate.

        Other looks compare neither: a server that does not know a kind never lists it.
        """
        kept, wanted = info.get("allowed_updates"), self._acceptor.allowed_updates
        same = wanted == self._asked_for or (isinstance(kept, list) and set(kept) == set(wanted))
        return not same or (not self._looked and self._uploaded is not None)

    async def _set(self) -> None:
        # Without drop_pending_updates: what people wrote waits for the bot.
        await self._api.call(
            "setWebhook",
            url=self._url,
            certificate=self._uploaded,
            max_connections=CONNECTIONS,
            allowed_updates=self._acceptor.allowed_updates,
            secret_token=self._secret,
        )
        tally.polled_at = time.monotonic()
        log.info("webhook.set")

    def _note(self, info: Raw) -> None:
        """Take it as a poll that succeeded, unless posts failed since the last look, and updates wait."""
        failed_at, waiting = info.get("last_error_date"), info.get("pending_update_count")
        if self._looked and failed_at != self._failed_at and waiting:
            log.warning("webhook.failing waiting=%s reason=%s", waiting, info.get("last_error_message"))
        else:
            tally.polled_at = time.monotonic()
        self._failed_at = failed_at


def secret_of(token: str) -> str:
    """Derive the secret that Telegram has to send along: as secret as the token, and no setting."""
    return hmac.digest(token.encode(), b"tgbot webhook", "sha256").hex()


def _to_upload(certificate: Path | None, key: Path | None) -> Upload | None:
    """Give the certificate for Telegram to trust, if nobody but itself has signed it. Raises ConfigError."""
    if certificate is None:
        return None
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        tls.load_cert_chain(certificate, key, password="")  # never asked for at the terminal
        tls.load_verify_locations(certificate)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise config.wrong_setting("webhook_cert", f"it and its key cannot be used: {error}") from None
    if not any(one["subject"] == one["issuer"] for one in tls.get_ca_certs()):
        return None
    # The file may have the key in it, too, which is nobody else's.
    return Upload("document", "certificate.pem", b"".join(_CERTIFICATE.findall(certificate.read_bytes())))
