"""Limits the rate of requests to Telegram: overall, per chat and per group, fair among chats."""

import asyncio
import math
from bisect import insort
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

from tgbot.model import ChatId
from tgbot.tally import tally

# Telegram's FAQ (core.telegram.org/bots/faq) asks for one message a second in a chat, 20 a minute in a group,
# about 30 a second overall, and allows "short bursts" beyond that in a chat. A burst is a loan: in the long
# run the rate is kept exactly.
CHAT_BURST = 3  # a short answer never waits: typing, its reaction, its text
OVERALL_BURST = 10  # a third of a second's worth: a few chats at the same moment do not queue
NOTICES_PER_MINUTE = 10  # over all chats, and as many at once: strangers may come by the thousand

AGAIN_SECONDS = 0.1  # the shortest wait of a notice while others wait
_SWEEP_SECONDS = 60.0
_EVERYONE = ChatId(0)  # the key of a limit over all chats; no chat has this id


class Priority(IntEnum):
    """Which waiting request goes first: the lowest. Requests that may be dropped use `try_acquire`.

    CONTROL is a reply to a command, ANSWER a final text, GROWING the first words of a streamed answer.
    """

    CONTROL = 0
    ANSWER = 1
    GROWING = 2


class _Limit:
    """A rate for each chat, by the GCRA: one float a chat, when its whole burst is free again."""

    def __init__(self, interval_seconds: float, burst: int) -> None:
        self.interval_seconds = interval_seconds
        self._ahead_seconds = (burst - 1) * interval_seconds
        self._whole_at: dict[ChatId, float] = {}
        self._sweep_at = -math.inf

    def ready_at(self, chat_id: ChatId) -> float:
        return self._whole_at.get(chat_id, -math.inf) - self._ahead_seconds

    def spend(self, chat_id: ChatId, now: float) -> None:
        self._sweep(now)
        self._whole_at[chat_id] = max(self._whole_at.get(chat_id, now), now) + self.interval_seconds

    def block(self, chat_id: ChatId, until: float) -> None:
        """Allow one request at `until`, and the next an interval later: no burst is left then."""
        self._whole_at[chat_id] = max(self._whole_at.get(chat_id, until), until + self._ahead_seconds)

    def _sweep(self, now: float) -> None:
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            self._whole_at = {chat_id: at for chat_id, at in self._whole_at.items() if at > now}


@dataclass(order=True, slots=True)
class _Waiter:
    priority: Priority
    arrival: int
    chat_id: ChatId = field(compare=False)
    turn: asyncio.Event = field(compare=False, default_factory=asyncio.Event)


class RateLimiter:
    """Decides when a request may be sent; a rate of 0 means no such limit.

    A group is a chat whose id is negative; it has the limits of a chat and of a group. Time is the running
    event loop's, so every method must be called on it. No task or timer is left while nobody waits.
    """

    def __init__(self, overall_per_second: float, chat_per_second: float, group_per_minute: float) -> None:
        self._overall_seconds = _interval(1, overall_per_second)
        self._overall = _Limit(self._overall_seconds, OVERALL_BURST)
        self._chat = _Limit(_interval(1, chat_per_second), CHAT_BURST)
        self._group = _Limit(_interval(60, group_per_minute), CHAT_BURST)
        self._notices = _Limit(_interval(60, NOTICES_PER_MINUTE), NOTICES_PER_MINUTE)
        self._waiters: list[_Waiter] = []  # sorted: the first is the next
        self._arrivals = count()
        self._timer: asyncio.TimerHandle | None = None

    def share(self, among: int) -> None:
        """Keep to a part of the overall rate, as one of so many processes that send for the same bot."""
        self._overall.interval_seconds = self._overall_seconds * among

    async def acquire(self, chat_id: ChatId, priority: Priority) -> None:
        """Wait until one request to this chat may be sent, and spend it; a cancelled wait spends nothing.

        Chats that are ready share the overall rate by priority, then by arrival.
        """
        waiter = _Waiter(priority, next(self._arrivals), chat_id)
        insort(self._waiters, waiter)
        try:
            # Asked again after each wake-up: a penalty or a better priority may have come in between.
            while self._first_ready() is not waiter:
                waiter.turn.clear()
                self._wake_next()
                await waiter.turn.wait()
            # Spent here and not by the waker: a waiter cancelled before this line has nothing to give back.
            self._spend(chat_id)
        finally:
            self._waiters.remove(waiter)
            self._wake_next()

    def try_acquire(self, chat_id: ChatId, leaving: int = 1) -> bool:
        """Spend one request that may be dropped; False if it cannot go now, or a waiter could.

        It leaves `leaving` requests of the chat's burst, so that a final text right behind it need not wait.
        Waiters whose own chat is not ready (because of a penalty, say) do not count.
        """
        if self.wait_seconds(chat_id, leaving) > 0 or self._first_ready() is not None:
            return False
        self._spend(chat_id)
        return True

    def try_notice(self, chat_id: ChatId) -> float:
        """Spend one request for what nobody asked for; else compute in how many seconds to try again.

        It has a budget of its own over all chats. It is not waited for, because an answer in the same chat
        would wait, too.
        """
        ready_at = max(self._ready_at(chat_id), self._notices.ready_at(_EVERYONE), self._overall_ready_at())
        if ready_at > _now() or self._first_ready() is not None:
            return max(ready_at - _now(), AGAIN_SECONDS)
        self._spend(chat_id)
        self._notices.spend(_EVERYONE, _now())
        return 0.0

    def ready_in(self, chat_id: ChatId) -> float:
        """Compute for how many seconds the chat itself must not send; 0.0 if `acquire` may grant at once.

        Who comes back after that time, instead of waiting, holds nothing through a long penalty. The overall
        rate does not count: it is shared out among those who wait for it.
        """
        return max(0.0, self._ready_at(chat_id) - _now())

    def wait_seconds(self, chat_id: ChatId, leaving: int = 1) -> float:
        """Compute how long `try_acquire` cannot succeed if no other request comes; 0 when it may succeed now.

        It counts the waiters that go first, so that many callers that sleep by it do not wake for nothing.
        Sleep for 0 too (which lets other tasks run): a waiter whose turn it is may not have run yet.
        """
        now = _now()
        free_at = max(self._overall_ready_at(), now)
        before = sum(self._ready_at(waiter.chat_id) <= free_at for waiter in self._waiters)
        after_them = self._overall_ready_at() + before * self._overall.interval_seconds
        free_then = max(
            limit.ready_at(chat_id) + leaving * limit.interval_seconds for limit in self._limits_of(chat_id)
        )
        return max(free_then, after_them, now) - now

    def pause(self, chat_id: ChatId, seconds: float) -> None:
        """Block this chat for `seconds` (Telegram's retry_after); after that no burst is left."""
        tally.floods += 1
        tally.flood_seconds += seconds
        for limit in self._limits_of(chat_id):
            limit.block(chat_id, _now() + seconds)

    def _limits_of(self, chat_id: ChatId) -> tuple[_Limit, ...]:
        return (self._chat, self._group) if chat_id < 0 else (self._chat,)

    def _ready_at(self, chat_id: ChatId) -> float:
        return max(limit.ready_at(chat_id) for limit in self._limits_of(chat_id))

    def _overall_ready_at(self) -> float:
        return self._overall.ready_at(_EVERYONE)

    def _first_ready(self) -> _Waiter | None:
        now = _now()
        if self._overall_ready_at() > now:
            return None
        ready = (one for one in self._waiters if self._ready_at(one.chat_id) <= now)
        return next(ready, None)

    def _spend(self, chat_id: ChatId) -> None:
        now = _now()
        self._overall.spend(_EVERYONE, now)
        for limit in self._limits_of(chat_id):
            limit.spend(chat_id, now)

    def _wake_next(self) -> None:
        """Wake the waiter whose turn it is, which calls this again as it leaves; or look again later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (first := self._first_ready()) is not None:
            first.turn.set()
        elif self._waiters:
            self._timer = asyncio.get_running_loop().call_at(self._look_again_at(), self._wake_next)

    def _look_again_at(self) -> float:
        # The chats are looked at only when the overall limit does not stop them anyway: a crowd stays cheap.
        if (overall := self._overall_ready_at()) > _now():
            return overall
        return min(self._ready_at(waiter.chat_id) for waiter in self._waiters)


def _interval(period_seconds: float, rate: float) -> float:
    return period_seconds / rate if rate else 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()
