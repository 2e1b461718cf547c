"""What people read about tokens and money."""

import pytest

from tgbot.agents.llm.costs import dollars, exhausted, footer, usage_text
from tgbot.store.usage import Exhausted, Report, Total

ANEW = "It resets at 00:00 UTC."
FOR_ONE = "for one message"
CENT = 10_000_000  # nano-dollars
NOTHING = Total(0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("reached", "line"),
    [
        (
            Exhausted("user", "cost", 100 * CENT, 100 * CENT, CENT),
            "Today's budget of $1.00 for you is used up. It resets at 00:00 UTC.",
        ),
        (
            Exhausted("user", "cost", 100 * CENT, 97 * CENT, 5 * CENT),
            f"Today's budget of $1.00 for you has $0.03 left, but this may take $0.05. {ANEW}",
        ),
        (
            Exhausted("chat", "tokens", 20_000, 20_001, 9_000),
            "Today's budget of 20,000 tokens for this chat is used up. It resets at 00:00 UTC.",
        ),
        (
            Exhausted("turn", "steps", 50, 50, 1),
            "The budget of 50 steps for one message is used up. Your next message has a new one.",
        ),
        (
            Exhausted("turn", "steps", 1, 1, 1),
            "The budget of 1 step for one message is used up. Your next message has a new one.",
        ),
        (
            Exhausted("turn", "tokens", 10_000, 0, 12_345),
            f"The budget of 10,000 tokens {FOR_ONE} is too small for this, which may take 12,345 tokens.",
        ),
    ],
)
def test_a_limit_is_one_line_that_names_it_and_when_it_ends(reached: Exhausted, line: str) -> None:
    assert exhausted(reached) == line


@pytest.mark.parametrize(
    ("total", "line"),
    [
        (Total(1, 1234, 3_100_000, 0, 0), "(1,234 tokens, $0.0031)"),
        (Total(2, 1234, 0, 2, 0), "(1,234 tokens, price unknown)"),
        (Total(2, 1234, 3_100_000, 1, 0), "(1,234 tokens, $0.0031 and 1 request of unknown price)"),
        (Total(4, 1234, 3_100_000, 3, 0), "(1,234 tokens, $0.0031 and 3 requests of unknown price)"),
        (Total(1, 1234, 99, 0, 0), "(1,234 tokens, less than $0.0001)"),
        (Total(2, 1234, 3_100_000, 0, 1), "(up to 1,234 tokens, $0.0031)"),
        (NOTHING, ""),
    ],
)
def test_the_footer_says_tokens_and_price_and_never_0_for_an_unknown_one(total: Total, line: str) -> None:
    assert footer(total) == line


def test_usage_says_today_this_session_and_in_all() -> None:
    today, session = Total(1, 1_000, CENT, 0, 0), Total(2, 2_000, CENT, 1, 0)
    assert usage_text(Report(today, session, Total(9, 1_234_567, 1234 * CENT, 0, 1))).splitlines() == [
        "Today (UTC): 1,000 tokens, $0.01",
        "This session: 2,000 tokens, $0.01 and 1 request of unknown price",
        "In all: up to 1,234,567 tokens, $12.34",
    ]


def test_usage_of_a_day_without_a_request_is_nothing_and_not_unknown() -> None:
    assert "Today (UTC): nothing" in usage_text(Report(NOTHING, NOTHING, Total(1, 5, 0, 1, 0)))


def test_usage_of_a_session_without_a_request_says_so() -> None:
    assert usage_text(Report(NOTHING, NOTHING, NOTHING)) == "Nothing has been used here yet."


@pytest.mark.parametrize(
    ("nano_dollars", "text"),
    [
        (1, "less than $0.0001"),
        (100_000, "$0.0001"),
        (3_149_999, "$0.0031"),
        (50 * CENT, "$0.50"),
        (999_999_999, "$1.00"),
        (123_456 * CENT, "$1,234.56"),
    ],
)
def test_money_has_two_digits_and_below_a_dollar_up_to_four(nano_dollars: int, text: str) -> None:
    assert dollars(nano_dollars) == text
