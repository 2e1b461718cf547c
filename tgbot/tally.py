"""What the process has counted since its start, for whoever watches it from outside."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field


class Histogram:
    """How often a value was at most each of `bounds`; `total` is the sum of all. Adding is a bisection.

    `counts` are those of each interval alone, the last one of what is above every bound.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def _short() -> Histogram:
    return Histogram(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def _long() -> Histogram:
    return Histogram(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


def _sizes() -> Histogram:
    return Histogram(1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(slots=True)
class Tally:
    """Each number only grows, but for those that are moments. One thread alone writes each of them.

    `polled_at` is when getUpdates last succeeded, or with a webhook Telegram last said that it has no trouble
    with it, on the clock of `time.monotonic`; None before the first.
    `poll_tried_at` is when Telegram was last asked either, whatever it answered; None before it was.
    `loop_lag_seconds` is how late the event loop was the last time that somebody looked; `loop_lags` has all.
    """

    turns: Counter[str] = field(default_factory=Counter)  # by the state in which they ended
    turn_seconds: Histogram = field(default_factory=_long)  # from the claim to the committed ending
    first_words_seconds: Histogram = field(default_factory=_long)  # from the receipt to the screen
    commit_seconds: Histogram = field(default_factory=_short)
    commit_writes: Histogram = field(default_factory=_sizes)  # operations that share a commit
    floods: int = 0  # refusals with "too many requests", and how long they made a chat or the poll wait
    flood_seconds: float = 0.0
    settles: int = 0  # requests of unknown outcome that were looked for
    polled_at: float | None = None
    poll_tried_at: float | None = None
    loop_lag_seconds: float = 0.0
    loop_lags: Histogram = field(default_factory=_short)
    # What requests to models took, by model, as far as they said so. Agents run in one thread.
    model_requests: Counter[str] = field(default_factory=Counter)
    model_input_tokens: Counter[str] = field(default_factory=Counter)
    model_output_tokens: Counter[str] = field(default_factory=Counter)
    model_nano_dollars: Counter[str] = field(default_factory=Counter)


tally = Tally()
