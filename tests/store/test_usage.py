"""What requests to models cost, and that no limit is overrun: neither by parallel turns nor by a crash."""

import pytest

from tests.store.instance import Instance, StartInstance, key
from tests.store.test_chats import NEW, OLD, upgraded
from tgbot.model import BotId, Turn, session_key
from tgbot.store import history, usage
from tgbot.store.fence import LostGuardError
from tgbot.store.usage import DAY_SECONDS, Amount, Exhausted, Limit, Limits, ReservationId, Scope, Total

NOON = 20_000.5 * DAY_SECONDS
BIG = 60  # of a limit of 100 tokens: one fits, two do not
OF_USER: Limits = {"user": Limit(tokens=100)}
OF_CHAT: Limits = {"chat": Limit(tokens=100)}
NOTHING = Total(0, 0, 0, 0, 0)


def reserve(
    instance: Instance, turn: Turn, tokens: int, limits: Limits | None = None, at: float = NOON
) -> ReservationId | Exhausted:
    """Reserve so many tokens, of which each costs a nano-dollar."""
    most = Amount(tokens - 1, 1, tokens)
    return instance.do(usage.reserve, turn, limits or {}, usage.Request("m", at, most))


def reserved(
    instance: Instance, turn: Turn, tokens: int, limits: Limits | None = None, at: float = NOON
) -> ReservationId:
    reservation = reserve(instance, turn, tokens, limits, at)
    assert not isinstance(reservation, Exhausted)
    return reservation


def spend(instance: Instance, turn: Turn, actual: Amount, at: float = NOON) -> None:
    instance.do(usage.settle, turn, reserved(instance, turn, 1, at=at), actual)


def refused(instance: Instance, turn: Turn, limits: Limits, at: float = NOON) -> bool:
    return isinstance(reserve(instance, turn, BIG, limits, at), Exhausted)


def by_user(instance: Instance, user: int, chat: int) -> Turn:
    [turn] = instance.say(
        "x", chat=chat, **{"from": {"id": user, "is_bot": False, "first_name": "A"}}
    ).claimed
    return turn


def test_two_parallel_turns_of_a_user_cannot_overspend(instance: Instance) -> None:
    private, group = by_user(instance, 7, 7), by_user(instance, 7, -8)
    reserved(instance, private, BIG, OF_USER)
    assert reserve(instance, group, BIG, OF_USER) == Exhausted("user", "tokens", 100, BIG, BIG)
    reserved(instance, group, 40, OF_USER)


def test_the_limit_of_a_user_is_no_other_users(instance: Instance) -> None:
    reserved(instance, by_user(instance, 7, -8), BIG, OF_USER)
    reserved(instance, by_user(instance, 8, 8), BIG, OF_USER)


def test_the_limit_of_a_chat_is_for_all_who_write_there_in_whatever_topic(instance: Instance) -> None:
    reserved(instance, by_user(instance, 7, -8), BIG, OF_CHAT)
    more = {"from": {"id": 9, "is_bot": False, "first_name": "B"}}
    [other] = instance.say("x", chat=-8, message_thread_id=3, is_topic_message=True, **more).claimed
    assert refused(instance, other, OF_CHAT)
    assert not refused(instance, by_user(instance, 9, 9), OF_CHAT)


@pytest.mark.parametrize("limits", [OF_USER, OF_CHAT])
def test_two_bots_on_one_database_do_not_mix(start_instance: StartInstance, limits: Limits) -> None:
    one, other = start_instance(), start_instance(bot_id=BotId(43))
    reserved(one, one.start("a"), BIG, limits)
    turn = other.start("a")
    reserved(other, turn, BIG, limits)
    assert other.do(usage.report, session_key(BotId(43), turn.chat_id), NOON).all.tokens == BIG
    assert one.do(usage.report, key(), NOON).all.tokens == BIG


@pytest.mark.parametrize("scope", ["turn", "user", "chat"])
def test_what_was_reserved_before_a_crash_stays_spent(
    instance: Instance, start_instance: StartInstance, scope: Scope
) -> None:
    instance.say("/status")  # or the numbers of rows and turns would be equal
    reserved(instance, instance.start("a"), BIG)
    another = start_instance()
    another.recover()
    [again] = another.claim_waiting()
    assert refused(another, again, {scope: Limit(tokens=100)})


@pytest.mark.parametrize(
    ("limit", "exhausted"),
    [
        (Limit(steps=2), Exhausted("turn", "steps", 2, 2, 1)),
        (Limit(tokens=100), Exhausted("turn", "tokens", 100, 80, 40)),
        (Limit(nano_dollars=100), Exhausted("turn", "cost", 100, 80, 40)),
    ],
)
def test_a_turn_ends_at_its_limit_and_the_next_one_begins_anew(
    instance: Instance, limit: Limit, exhausted: Exhausted
) -> None:
    turn = instance.start("a", "b")
    for _ in range(2):
        reserved(instance, turn, 40, {"turn": limit})
    assert reserve(instance, turn, 40, {"turn": limit}) == exhausted
    following = instance.finish(turn)
    assert following
    reserved(instance, following, 40, {"turn": limit})


def test_a_limit_may_be_used_up_to_the_last_token(instance: Instance) -> None:
    turn = instance.start("a")
    reserved(instance, turn, 100, OF_USER)
    assert isinstance(reserve(instance, turn, 1, OF_USER), Exhausted)


def test_what_a_request_really_took_counts_from_its_end_on(instance: Instance) -> None:
    turn = instance.start("a")
    reservation = reserved(instance, turn, BIG, OF_USER)
    instance.do(usage.settle, turn, reservation, Amount(10, 5, 3))
    assert instance.do(usage.of_turn, turn) == Total(1, 15, 3, unpriced=0, open=0)
    assert not refused(instance, turn, OF_USER)


def test_a_request_that_was_refused_took_nothing(instance: Instance) -> None:
    turn = instance.start("a")
    instance.do(usage.give_back, turn, reserved(instance, turn, BIG))
    assert instance.do(usage.of_turn, turn) == NOTHING


def test_an_unknown_price_passes_the_limits_of_cost_and_counts_no_cost(instance: Instance) -> None:
    turn = instance.start("a")
    cost: Limits = {"user": Limit(nano_dollars=100)}
    spend(instance, turn, Amount(1, 1, 100))
    request = usage.Request("unpriced", NOON, Amount(1, 1, None))
    assert not isinstance(instance.do(usage.reserve, turn, cost, request), Exhausted)
    assert refused(instance, turn, cost)
    assert instance.do(usage.of_turn, turn) == Total(2, 4, 100, unpriced=1, open=1)


@pytest.mark.parametrize("limits", [OF_USER, OF_CHAT])
def test_a_day_begins_anew_at_midnight_in_utc(instance: Instance, limits: Limits) -> None:
    midnight = NOON + DAY_SECONDS / 2
    turn = instance.start("a")
    reserved(instance, turn, BIG, at=midnight - 0.001)
    assert refused(instance, turn, limits, at=midnight - 0.0005)
    reserved(instance, turn, BIG, limits, at=midnight)
    assert refused(instance, turn, limits, at=midnight + DAY_SECONDS - 0.001)


def test_a_request_counts_on_the_day_on_which_it_began(instance: Instance) -> None:
    midnight = NOON + DAY_SECONDS / 2
    turn = instance.start("a")
    spend(instance, turn, Amount(BIG, 0, None), at=midnight - 1)
    assert not refused(instance, turn, OF_USER, at=midnight)


@pytest.mark.parametrize("days", [0.5, 365])
def test_what_a_clock_noted_that_was_ahead_blocks_nobody_today(instance: Instance, days: float) -> None:
    turn = instance.start("a")
    reserved(instance, turn, BIG, at=NOON + days * DAY_SECONDS)
    assert not refused(instance, turn, OF_USER)


def test_who_lost_the_guard_can_neither_reserve_nor_settle(instance: Instance) -> None:
    turn = instance.start("a")
    reservation = reserved(instance, turn, BIG)
    instance.finish(turn)
    with pytest.raises(LostGuardError):
        reserve(instance, turn, 1)
    with pytest.raises(LostGuardError):
        instance.do(usage.settle, turn, reservation, Amount(1, 1, 1))
    with pytest.raises(LostGuardError):
        instance.do(usage.give_back, turn, reservation)
    assert instance.do(usage.of_turn, turn) == Total(1, BIG, BIG, unpriced=0, open=1)


def test_a_turn_settles_only_what_it_reserved_itself(instance: Instance) -> None:
    mine, other = instance.start("a", chat=7), instance.start("a", chat=8)
    reservation = reserved(instance, mine, BIG)
    instance.do(usage.settle, other, reservation, Amount(1, 1, 1))
    instance.do(usage.give_back, other, reservation)
    assert instance.do(usage.of_turn, mine).tokens == BIG


def test_the_report_of_a_session_has_today_the_time_since_new_and_all(instance: Instance) -> None:
    turn = instance.start("a")
    spend(instance, turn, Amount(1, 1, 5), at=1.0)
    spend(instance, turn, Amount(10, 0, None), at=NOON)
    instance.finish(turn)
    fresh = instance.start("/new")
    instance.do(history.append, fresh, "fresh", "")
    instance.rows("UPDATE history SET at = :at RETURNING id", at=NOON + 1)
    instance.finish(fresh)
    turn = instance.start("b")
    spend(instance, turn, Amount(100, 0, 7), at=NOON + 2)
    elsewhere = instance.start("c", chat=8)
    spend(instance, elsewhere, Amount(1000, 0, 1000))
    found = instance.do(usage.report, key(), NOON + 3)
    assert found.today == Total(2, 110, 7, unpriced=1, open=0)
    assert found.session == Total(1, 100, 7, unpriced=0, open=0)
    assert found.all == Total(3, 112, 12, unpriced=1, open=0)


def test_a_session_that_never_began_anew_is_all_there_is(instance: Instance) -> None:
    turn = instance.start("a")
    spend(instance, turn, Amount(1, 1, 5), at=1.0)
    found = instance.do(usage.report, key(), NOON)
    assert (found.today, found.session) == (NOTHING, found.all)


def test_neither_a_new_that_failed_nor_a_summary_begins_anew(instance: Instance) -> None:
    turn = instance.start("a")
    spend(instance, turn, Amount(BIG, 0, 1), at=1.0)
    instance.do(history.append, turn, "summary", "")
    instance.finish(turn)
    failing = instance.start("/new")
    instance.do(history.append, failing, "fresh", "")
    instance.fail(failing)
    assert instance.do(usage.report, key(), NOON).session.tokens == BIG


def test_what_was_spent_moves_with_the_chat(instance: Instance) -> None:
    turn = instance.start("a", chat=OLD)
    spend(instance, turn, Amount(BIG, 0, 1))
    instance.say("b", chat=OLD, message_thread_id=3, is_topic_message=True)
    instance.receive(upgraded(1))
    assert refused(instance, turn, OF_CHAT)
    assert instance.do(usage.report, key(NEW), NOON).all.tokens == BIG
    reserved(instance, turn, 1)
    assert instance.rows("SELECT DISTINCT chat_id, session_key FROM usage") == [(NEW, key(NEW))]
