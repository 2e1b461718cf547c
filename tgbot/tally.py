"""What the process has counted since its start, for whoever watches it from outside."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Each number only grows, but for the two that are moments. One thread alone writes each of them.

    `polled_at` is when getUpdates last succeeded, or with a webhook Telegram last said that it has no trouble
    with it, on the clock of `time.monotonic`; None before the first.
    `loop_lag_seconds` is how late the event loop was the last time that somebody looked.
    """

    turns: Counter[str] = field(default_factory=Counter)  # by the state in which they ended
    commits: int = 0
    writes: int = 0  # operations; several share a commit
    floods: int = 0  # refusals with "too many requests", and how long they made a chat wait
    flood_seconds: float = 0.0
    settles: int = 0  # requests of unknown outcome that were looked for
    polled_at: float | None = None
    loop_lag_seconds: float = 0.0


tally = Tally()
