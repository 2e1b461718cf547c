"""Says what models cost, and which limit is reached: words of numbers, for people."""

from tgbot.store.usage import Exhausted, Report, Scope, Total, Unit

NANO = 1_000_000_000  # of a dollar
SMALLEST_DOLLARS = 0.0001  # that is said as a number

_BUDGET: dict[Scope, str] = {
    "turn": "The budget of {} for one message",
    "user": "Today's budget of {} for you",
    "chat": "Today's budget of {} for this chat",
}
_ENDS: dict[Scope, str] = {
    "turn": "Your next message has a new one.",
    "user": "It resets at 00:00 UTC.",
    "chat": "It resets at 00:00 UTC.",
}


def exhausted(reached: Exhausted) -> str:
    """Say in one line which limit is reached, and when it ends."""
    limit, left, wanted = (
        _said(reached.unit, number)
        for number in (reached.limit, reached.limit - reached.spent, reached.wanted)
    )
    budget = _BUDGET[reached.scope].format(limit)
    if reached.wanted > reached.limit:  # no other day helps
        return f"{budget} is too small for this, which may take {wanted}."
    if reached.spent < reached.limit:
        return f"{budget} has {left} left, but this may take {wanted}. {_ENDS[reached.scope]}"
    return f"{budget} is used up. {_ENDS[reached.scope]}"


def footer(total: Total) -> str:
    """Say what an answer took: "(1,234 tokens, $0.0031)"; "" if no model was asked."""
    return f"({_spent(total)})" if total.requests else ""


def usage_text(report: Report) -> str:
    """Say what a session took: today, since its last /new, and in all."""
    if not report.all.requests:
        return "Nothing has been used here yet."
    lines = {"Today (UTC)": report.today, "This session": report.session, "In all": report.all}
    return "\n".join(f"{name}: {_spent(total)}" for name, total in lines.items())


def dollars(nano_dollars: int) -> str:
    """Say an amount of money; what is less than a hundredth of a cent is not nothing."""
    amount = nano_dollars / NANO
    if 0 < amount < SMALLEST_DOLLARS:
        return f"less than ${SMALLEST_DOLLARS}"
    if amount >= 1:
        return f"${amount:,.2f}"
    digits = f"{amount:.4f}"
    return f"${digits[:-2]}{digits[-2:].rstrip('0')}"


def _spent(total: Total) -> str:
    """Say tokens and price; "up to" while nobody knows what one of the requests took."""
    if not total.requests:
        return "nothing"
    up_to = "up to " if total.open else ""
    return f"{up_to}{total.tokens:,} tokens, {_price(total)}"


def _price(total: Total) -> str:
    """Say a price, and how many requests it leaves out."""
    if not total.unpriced:
        return dollars(total.nano_dollars)
    if not total.nano_dollars:
        return "price unknown"
    requests = "1 request" if total.unpriced == 1 else f"{total.unpriced:,} requests"
    return f"{dollars(total.nano_dollars)} and {requests} of unknown price"


def _said(unit: Unit, number: int) -> str:
    if unit == "cost":
        return dollars(number)
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"
