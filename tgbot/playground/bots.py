"""A bot account: its token, the updates it has not confirmed yet, and whoever polls for them."""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tgbot.playground.errors import ApiError, bad_request

LIMIT_MAX = 100  # updates a call, https://core.telegram.org/bots/api#getupdates
POLL_SECONDS_MAX = 50  # what Telegram's own server caps a long poll at
UPDATES_MAX = 100_000  # kept per bot; Telegram keeps them 24 hours

MADE_UP_TOKEN = re.compile(r"^(\d{1,6}):playground[A-Za-z0-9_-]*$")
_REAL_TOKEN = re.compile(r"^\d{7,}:[A-Za-z0-9_-]{20,}$")

# https://core.telegram.org/bots/api#update, up to Bot API 10.3
_UPDATE_TYPES = (
    "message edited_message channel_post edited_channel_post business_connection business_message "
    "edited_business_message deleted_business_messages guest_message message_reaction message_reaction_count "
    "inline_query chosen_inline_result callback_query shipping_query pre_checkout_query purchased_paid_media "
    "poll poll_answer my_chat_member chat_member chat_join_request chat_boost removed_chat_boost managed_bot "
    "subscription stopped_message_generation"
)
UPDATE_TYPES = frozenset(_UPDATE_TYPES.split())
_ASKED_FOR_ONLY = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


def bot_id(token: str) -> int:
    """Return the bot's id, or refuse a token that is not one of the playground's own."""
    if match := MADE_UP_TOKEN.match(token):
        return int(match[1])
    if _REAL_TOKEN.match(token):
        raise ApiError(401, "Unauthorized: this looks like a real bot's token; keep it out of the playground")
    raise ApiError(401, "Unauthorized: the playground's tokens look like 1:playground")


# Called with what happened ("queued", "confirmed", "settings") and the update it happened to, if any.
Notify = Callable[[str, dict[str, Any]], None]


class Webhook(Protocol):
    """What a bot must know of its webhook (`webhooks.Webhook`)."""

    url: str
    max_connections: int
    has_certificate: bool
    last_error: tuple[int, str] | None

    async def stop(self) -> None:
        """Post nothing more."""


class Bot:
    """One bot and its queue of updates; `next_update_id` is where its numbering goes on."""

    def __init__(self, token: str, next_update_id: int) -> None:
        self.id = bot_id(token)
        self.token = token
        self.updates: deque[dict[str, Any]] = deque()
        self.next_update_id = next_update_id
        self.dropped = 0
        self.allowed: frozenset[str] | None = None
        self.webhook: Webhook | None = None
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.listeners: list[Notify] = []
        self._poll: asyncio.Future[None] | None = None

    @property
    def user(self) -> dict[str, Any]:
        """Return the bot as a User."""
        return {
            "id": self.id,
            "is_bot": True,
            "first_name": "Playground bot",
            "username": f"playground{self.id}_bot",
        }

    def allow(self, update_types: list[str] | None) -> None:
        """Remember which updates the bot wants; None keeps what was said before."""
        if update_types is None:
            return
        unknown = [kind for kind in update_types if kind not in UPDATE_TYPES]
        if unknown:
            raise bad_request(f'allowed_updates: "{unknown[0]}" is not an update type')
        self.allowed = frozenset(update_types) or None
        self.tell("settings")

    def wants(self, update: dict[str, Any]) -> bool:
        """Tell whether an update of this kind is queued for the bot. One of no known kind always is."""
        kinds = update.keys() & UPDATE_TYPES
        if not kinds:
            return True
        return not kinds.isdisjoint(
            self.allowed if self.allowed is not None else UPDATE_TYPES - _ASKED_FOR_ONLY
        )

    def push(self, update: dict[str, Any]) -> None:
        """Queue an update under the next number, and wake whoever waits for it."""
        if not self.wants(update):
            return
        numbered = {"update_id": self.next_update_id, **update}
        self.next_update_id += 1
        self.updates.append(numbered)
        self.tell("queued", numbered)
        if len(self.updates) > UPDATES_MAX:
            self.dropped += 1
            self._forget_first()
        self._wake()

    def confirm(self, offset: int) -> None:
        """Forget the updates below `offset`; a negative one keeps only that many from the end."""
        if offset < 0:
            while len(self.updates) > -offset:
                self._forget_first()
        while offset > 0 and self.updates and self.updates[0]["update_id"] < offset:
            self._forget_first()

    def drop_pending(self) -> None:
        """Forget all updates, as `drop_pending_updates` asks."""
        while self.updates:
            self._forget_first()

    def forget(self, update: dict[str, Any]) -> None:
        """Drop one update that the bot's webhook has taken."""
        with contextlib.suppress(
            ValueError
        ):  # dropped meanwhile, by drop_pending_updates or for want of room
            self.updates.remove(update)
            self.tell("confirmed", update)

    async def poll(self, offset: int, limit: int, timeout_seconds: float) -> list[dict[str, Any]]:
        """Answer a getUpdates call: what is not confirmed, or what arrives within the timeout."""
        if self.webhook is not None:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        self._end_older_poll()
        self.confirm(offset)
        if not self.updates and timeout_seconds > 0:
            await self._wait(min(timeout_seconds, POLL_SECONDS_MAX))
        limit = limit if 1 <= limit <= LIMIT_MAX else LIMIT_MAX
        return [self.updates[index] for index in range(min(limit, len(self.updates)))]

    def tell(self, what: str, update: dict[str, Any] | None = None) -> None:
        """Tell the listeners what happened."""
        for listener in list(self.listeners):
            listener(what, update or {})

    def end_poll(self) -> None:
        """Let a waiting poll return at once, as at shutdown."""
        self._wake()

    def _forget_first(self) -> None:
        self.tell("confirmed", self.updates.popleft())

    def _end_older_poll(self) -> None:
        # The newer request wins, as at Telegram: the older one may be the dead socket of a killed process.
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(
                ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; "
                    "make sure that only one bot instance is running",
                )
            )

    async def _wait(self, timeout_seconds: float) -> None:
        poll = self._poll = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_seconds):
                await poll
        except TimeoutError:
            return

    def _wake(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
