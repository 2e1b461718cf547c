"""The limiter, on a loop whose clock jumps to the next timer: hours pass in an instant, to the same digit."""

import asyncio
import selectors
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgbot.model import ChatId
from tgbot.telegram.rate_limit import (
    CHAT_BURST,
    NOTICES_PER_MINUTE,
    OVERALL_BURST,
    Priority,
    RateLimiter,
)

ANN, BOB, CARL = ChatId(1), ChatId(2), ChatId(3)
GROUP = ChatId(-1)
START = 1_000_000.0  # as long after boot as a server may run; floats are coarser there
EPSILON = 1e-6
ROUNDS_MAX = 50_000  # of the loop in one test

Grant = tuple[float, ChatId]


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that sets its clock to the next timer instead of sleeping until then."""

    def __init__(self) -> None:
        self.now = START
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.now


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits and nothing will ever happen"
        self._rounds += 1
        assert self._rounds < ROUNDS_MAX, "it looks again and again, and gets nowhere"
        self._loop.now += timeout
        return super().select(0)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def elapsed() -> float:
    return asyncio.get_running_loop().time() - START


async def ask(limiter: RateLimiter, chat_id: ChatId, times: int, grants: list[Grant]) -> None:
    for _ in range(times):
        await limiter.acquire(chat_id, Priority.ANSWER)
        grants.append((elapsed(), chat_id))


async def crowd(limiter: RateLimiter, chat_ids: Iterable[ChatId], times: int) -> list[Grant]:
    grants: list[Grant] = []
    await asyncio.gather(*(ask(limiter, chat_id, times, grants) for chat_id in chat_ids))
    return grants


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def chats(number: int) -> list[ChatId]:
    return [ChatId(1 + index) for index in range(number)]


def kept(limiter: RateLimiter) -> int:
    return sum(
        len(limit._whole_at) for limit in (limiter._overall, limiter._chat, limiter._group, limiter._notices)
    )


def drain(limiter: RateLimiter) -> None:
    """Use up the overall burst, with chats that no test uses."""
    for index in range(OVERALL_BURST):
        assert limiter.try_acquire(ChatId(9000 + index))


@pytest.mark.parametrize(
    ("rates", "chat_ids", "times", "burst", "interval_seconds"),
    [
        pytest.param((30, 0, 0), chats(100), 30, OVERALL_BURST, 1 / 30, id="overall"),
        pytest.param((30, 1, 20), chats(200), 20, OVERALL_BURST, 1 / 30, id="overall, above the chats' sum"),
        pytest.param((0, 1, 0), [ANN], 3600, CHAT_BURST, 1, id="a chat"),
        pytest.param((30, 1, 20), [GROUP], 1200, CHAT_BURST, 3, id="a group"),
        pytest.param((30, 1, 600), [GROUP], 600, CHAT_BURST, 1, id="a group has a chat's limit too"),
    ],
)
def test_after_its_burst_each_limit_gives_exactly_its_rate(
    rates: tuple[float, float, float],
    chat_ids: list[ChatId],
    times: int,
    burst: int,
    interval_seconds: float,
) -> None:
    async def main() -> None:
        grants = await crowd(RateLimiter(*rates), chat_ids, times)
        assert [at for at, _ in grants[:burst]] == [0] * burst
        assert grants[burst][0] > 0
        assert grants[-1][0] == pytest.approx((len(grants) - burst) * interval_seconds, abs=EPSILON)

    run(main)


def test_one_of_four_processes_has_a_quarter_of_the_overall_rate_and_of_its_burst() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 0, 0)
        limiter.share(4)
        grants = await crowd(limiter, chats(20), 6)
        at_once = sum(at == 0 for at, _ in grants)
        assert at_once == 1 + (OVERALL_BURST - 1) // 4
        assert grants[-1][0] == pytest.approx(
            (len(grants) - 1) * 4 / 30 - (OVERALL_BURST - 1) / 30, abs=EPSILON
        )
        limiter.share(1)
        began_at = elapsed()
        grants = await crowd(limiter, chats(20), 6)
        assert grants[-1][0] - began_at == pytest.approx(119 / 30, abs=0.2)

    run(main)


def test_each_of_many_chats_has_its_own_rate() -> None:
    async def main() -> None:
        grants = await crowd(RateLimiter(0, 1, 20), [*chats(50), GROUP], 103)
        ends = {chat_id: at for at, chat_id in grants}
        assert ends.pop(GROUP) == pytest.approx(300, abs=EPSILON)
        assert list(ends.values()) == pytest.approx([100] * 50, abs=EPSILON)

    run(main)


@pytest.mark.parametrize("rates", [(0, 1, 20), (30, 0, 20), (30, 1, 0), (0, 0, 0)])
def test_a_rate_of_zero_switches_its_limit_off(rates: tuple[float, float, float]) -> None:
    overall, chat, group = rates

    async def main() -> None:
        at_once = await crowd(RateLimiter(*rates), chats(100), 1)
        assert (at_once[-1][0] == 0) == (overall == 0)
        alone = await crowd(RateLimiter(*rates), [ANN], OVERALL_BURST)
        assert (alone[-1][0] == alone[0][0]) == (chat == 0)
        in_group = await crowd(RateLimiter(*rates), [GROUP], OVERALL_BURST)
        assert (in_group[-1][0] == in_group[0][0]) == (chat == group == 0)

    run(main)


def test_nobody_waits_for_more_than_one_request_of_each_other_chat() -> None:
    async def main() -> None:
        limiter = RateLimiter(5, 0, 0)
        drain(limiter)
        grants = await crowd(limiter, chats(40), 10)
        last: dict[ChatId, int] = {}
        for index, (_, chat_id) in enumerate(grants):
            between = Counter(other for _, other in grants[last.get(chat_id, -1) + 1 : index])
            assert set(between.values()) <= {1}
            last[chat_id] = index

    run(main)


def test_the_overall_rate_is_given_by_priority_then_by_arrival() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 0, 0)
        drain(limiter)
        order: list[tuple[Priority, int]] = []

        async def one(priority: Priority, arrival: int) -> None:
            await limiter.acquire(ChatId(100 * priority + arrival + 1), priority)
            order.append((priority, arrival))

        arrivals = [(priority, arrival) for arrival in range(3) for priority in reversed(Priority)]
        await asyncio.gather(*(one(*each) for each in arrivals))
        assert order == sorted(arrivals)

    run(main)


def test_a_better_priority_that_comes_between_a_wake_up_and_its_turn_goes_first() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 0, 0)
        final = await woken(limiter, ANN)
        await limiter.acquire(BOB, Priority.CONTROL)
        assert elapsed() == 1
        await final
        assert elapsed() == pytest.approx(2)

    run(main)


async def woken(limiter: RateLimiter, chat_id: ChatId) -> asyncio.Task[None]:
    """Bring a waiter to where its turn has come, on the first second, and it has not run yet."""
    drain(limiter)
    task = asyncio.create_task(limiter.acquire(chat_id, Priority.ANSWER))
    await settle()
    cast("VirtualLoop", asyncio.get_running_loop()).now += 1
    await asyncio.sleep(0)  # the timer is due
    await asyncio.sleep(0)  # it ran
    assert [waiter.turn.is_set() for waiter in limiter._waiters] == [True]
    return task


async def notice(limiter: RateLimiter, chat_id: ChatId) -> float:
    """Send one as soon as it may go, and give the time."""
    while wait_seconds := limiter.try_notice(chat_id):  # noqa: ASYNC110 - nobody wakes it
        await asyncio.sleep(wait_seconds)
    return elapsed()


def test_notices_have_a_budget_of_their_own_and_delay_nobody_else() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        notices = [asyncio.create_task(notice(limiter, stranger)) for stranger in chats(30)]
        await settle()
        friends = await crowd(limiter, [ChatId(1000 + index) for index in range(60)], 1)
        assert friends[-1][0] == pytest.approx(2), "as long as without strangers: they have had the burst"
        at = sorted(await asyncio.gather(*notices))
        assert at[:NOTICES_PER_MINUTE] == [0] * NOTICES_PER_MINUTE
        assert at[NOTICES_PER_MINUTE:] == pytest.approx([6 * (1 + index) for index in range(20)], abs=1)

    run(main)


def test_a_notice_does_not_go_while_anybody_else_could() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 0, 0)
        drain(limiter)
        waiting = asyncio.create_task(notice(limiter, ANN))
        await crowd(limiter, chats(20), 1)
        assert not waiting.done()
        assert await waiting == pytest.approx(21, abs=0.2)

    run(main)


def test_notices_beyond_their_budget_keep_no_preview_from_going() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        notices = [asyncio.create_task(notice(limiter, one)) for one in chats(15)]
        await asyncio.sleep(1)
        assert limiter.wait_seconds(ChatId(1000)) == 0
        assert limiter.try_acquire(ChatId(1000))
        await asyncio.gather(*notices)

    run(main)


def test_a_chat_says_when_it_may_send_again_whatever_the_others_do() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 1, 20)
        drain(limiter)
        assert limiter.ready_in(ANN) == 0.0, "it takes its place among those who wait"
        limiter.pause(ANN, 100)
        assert limiter.ready_in(ANN) == pytest.approx(100)
        await asyncio.sleep(limiter.ready_in(ANN))
        before = elapsed()
        await limiter.acquire(ANN, Priority.ANSWER)
        assert elapsed() == before
        assert limiter.ready_in(ANN) == pytest.approx(1)

    run(main)


def test_how_long_a_notice_would_wait_for_its_budget_is_known() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        for stranger in chats(NOTICES_PER_MINUTE):
            assert limiter.try_notice(stranger) == 0.0
        assert limiter.try_notice(ChatId(1000)) == pytest.approx(6)
        assert limiter.ready_in(ChatId(1000)) == 0.0

    run(main)


def test_who_is_cancelled_after_its_wake_up_leaves_its_turn_to_the_next() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 1, 20)
        cancelled = await woken(limiter, ANN)
        following = asyncio.create_task(limiter.acquire(BOB, Priority.GROWING))
        cancelled.cancel()
        await following
        assert cancelled.cancelled()
        assert elapsed() == 1
        assert ANN not in limiter._chat._whole_at

    run(main)


def test_who_is_cancelled_in_the_queue_gives_its_place_back() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 0, 0)
        drain(limiter)
        queue = [
            asyncio.create_task(limiter.acquire(chat_id, Priority.ANSWER)) for chat_id in (ANN, BOB, CARL)
        ]
        await settle()
        queue[0].cancel()
        queue[1].cancel()
        await queue[2]
        assert elapsed() == pytest.approx(1)

    run(main)


def test_a_penalty_holds_its_chat_and_delays_no_other() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        limiter.pause(ANN, 100)
        held = asyncio.create_task(crowd(limiter, [ANN], 3))
        await settle()
        assert limiter.try_acquire(BOB)
        others = await crowd(limiter, [CARL, GROUP], CHAT_BURST)
        assert others[-1][0] == 0
        assert not limiter.try_acquire(ANN)
        assert limiter.wait_seconds(ANN) == pytest.approx(101), (
            "the first after a penalty is for what must go out"
        )
        assert [at for at, _ in await held] == pytest.approx([100, 101, 102])

    run(main)


def test_a_shorter_penalty_does_not_end_a_longer_one() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        limiter.pause(GROUP, 100)
        limiter.pause(GROUP, 1)
        grants = await crowd(limiter, [GROUP], 3)
        assert [at for at, _ in grants] == pytest.approx([100, 103, 106])

    run(main)


def test_a_penalty_holds_with_all_limits_off() -> None:
    async def main() -> None:
        limiter = RateLimiter(0, 0, 0)
        limiter.pause(ANN, 5)
        assert [at for at, _ in await crowd(limiter, [ANN, BOB], 2)] == pytest.approx([0, 0, 5, 5])

    run(main)


def test_a_penalty_that_comes_between_a_wake_up_and_its_turn_holds() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 1, 20)
        task = await woken(limiter, ANN)
        limiter.pause(ANN, 50)
        await task
        assert elapsed() == pytest.approx(51)

    run(main)


def test_what_may_be_dropped_goes_only_when_it_is_nobodys_turn() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 1, 20)
        task = await woken(limiter, ANN)
        assert not limiter.try_acquire(BOB)
        assert limiter.wait_seconds(BOB) == pytest.approx(1)
        await task
        assert elapsed() == 1

    run(main)


def test_what_may_be_dropped_does_not_take_its_own_chats_turn() -> None:
    async def main() -> None:
        limiter = RateLimiter(0, 1, 20)
        limiter.pause(ANN, 1)
        task = await woken(limiter, ANN)
        assert not limiter.try_acquire(ANN)
        await task
        assert elapsed() == 1

    run(main)


def test_who_may_be_dropped_sleeps_until_all_before_it_are_served() -> None:
    async def main() -> None:
        limiter = RateLimiter(1, 0, 0)
        drain(limiter)
        queue = asyncio.create_task(crowd(limiter, chats(20), 1))
        await settle()
        delay = limiter.wait_seconds(ChatId(99))
        await queue
        assert delay == pytest.approx(elapsed() + 1)

    run(main)


@given(st.sampled_from([ANN, GROUP]), st.lists(st.floats(0, 10), max_size=20))
def test_a_preview_costs_the_final_part_one_interval_at_most(chat_id: ChatId, gaps: list[float]) -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        for gap in gaps:
            limiter.try_acquire(chat_id)
            await asyncio.sleep(gap)
        await asyncio.sleep(limiter.wait_seconds(chat_id))
        assert limiter.try_acquire(chat_id)
        before = elapsed()
        await limiter.acquire(chat_id, Priority.ANSWER)
        assert elapsed() - before <= (3 if chat_id < 0 else 1) + EPSILON

    run(main)


def test_a_preview_that_is_refused_spends_nothing() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        while limiter.try_acquire(GROUP):
            pass
        delay = limiter.wait_seconds(GROUP)
        assert not any(limiter.try_acquire(GROUP) for _ in range(100))
        assert limiter.wait_seconds(GROUP) == delay
        assert limiter.wait_seconds(ANN) == 0

    run(main)


def test_nothing_is_left_of_chats_that_fell_quiet() -> None:
    async def main() -> None:
        limiter = RateLimiter(0, 1, 20)
        await crowd(limiter, [*chats(1000), *(ChatId(-index) for index in range(1, 1000))], 2)
        assert kept(limiter) > 2000
        assert (limiter._waiters, limiter._timer) == ([], None)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(3600)
        limiter.try_acquire(GROUP)
        await asyncio.sleep(3600)
        limiter.try_acquire(GROUP)
        assert kept(limiter) == 3  # this one, in each limit

    run(main)


def test_no_timer_is_left_of_those_who_gave_up() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        for chat_id in (ANN, BOB, CARL):
            limiter.pause(chat_id, 1000)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(limiter.acquire(chat_id, Priority.ANSWER), 1)
        loop = cast("Any", asyncio.get_running_loop())
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []

    run(main)


def test_what_is_kept_of_a_stream_of_new_chats_is_bounded() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        most = 0
        for index in range(10_000):
            await limiter.acquire(ChatId(index + 1), Priority.ANSWER)
            most = max(most, kept(limiter))
        assert most < 30 * 70

    run(main)


def test_a_sweep_forgets_no_penalty() -> None:
    async def main() -> None:
        limiter = RateLimiter(30, 1, 20)
        limiter.pause(ANN, 1000)
        for _ in range(5):
            await asyncio.sleep(100)
            await limiter.acquire(BOB, Priority.ANSWER)
        await limiter.acquire(ANN, Priority.ANSWER)
        assert elapsed() == pytest.approx(1000)

    run(main)


@dataclass(frozen=True)
class Call:
    """One thing that happens to the limiter, so long after the one before."""

    gap: float
    chat_id: ChatId
    what: str
    priority: Priority
    seconds: float  # of a penalty, or of the patience of who gives up


calls = st.lists(
    st.builds(
        Call,
        gap=st.sampled_from([0.0, 0.0, 0.0, 0.01, 1 / 30, 0.5, 1.0]) | st.floats(0, 3),
        chat_id=st.integers(-3, 6).filter(bool).map(ChatId),
        what=st.sampled_from(["wait", "wait", "wait", "take", "give up", "penalize"]),
        priority=st.sampled_from(Priority),
        seconds=st.floats(0, 5),
    ),
    min_size=20,
    max_size=60,
)


def within(times: list[float], burst: int, rate: float) -> bool:
    """In no period are there more requests than the burst plus what the rate allows."""
    return all(
        until - number <= burst + (times[until] - times[number]) * rate - 1 + EPSILON
        for number in range(len(times))
        for until in range(number, len(times))
    )


@given(calls)
def test_whatever_happens_no_limit_is_passed_and_all_who_wait_are_served(history: list[Call]) -> None:
    limiter = RateLimiter(3, 1, 20)
    grants: list[Grant] = []
    blocked_until: defaultdict[ChatId, float] = defaultdict(float)

    def granted(chat_id: ChatId) -> None:
        assert elapsed() >= blocked_until[chat_id] - EPSILON
        grants.append((elapsed(), chat_id))

    async def play(call: Call) -> None:
        if call.what == "take":
            delay = limiter.wait_seconds(call.chat_id)
            if limiter.try_acquire(call.chat_id):
                assert delay == 0
                granted(call.chat_id)
        elif call.what == "penalize":
            blocked_until[call.chat_id] = max(blocked_until[call.chat_id], elapsed() + call.seconds)
            limiter.pause(call.chat_id, call.seconds)
        else:
            async with asyncio.timeout(call.seconds if call.what == "give up" else None):
                await limiter.acquire(call.chat_id, call.priority)
                granted(call.chat_id)

    async def main() -> None:
        tasks = []
        for call in history:
            await asyncio.sleep(call.gap)
            tasks.append(asyncio.create_task(play(call)))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for call, outcome in zip(history, outcomes, strict=True):
            assert outcome is None or (call.what == "give up" and isinstance(outcome, TimeoutError))
        assert (limiter._waiters, limiter._timer) == ([], None)

    run(main)
    assert within([at for at, _ in grants], OVERALL_BURST, 3)
    for chat_id in {chat_id for _, chat_id in grants}:
        times = [at for at, other in grants if other == chat_id]
        assert within(times, CHAT_BURST, 1)
        assert chat_id > 0 or within(times, CHAT_BURST, 20 / 60)
