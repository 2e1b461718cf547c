"""What the process has counted since its start, for whoever watches it from outside."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Each number only grows, but for those that are moments. One thread alone writes each of them.

    `polled_at` is when getUpdates last succeeded, on the clock of `time.monotonic`; None before the first.
    `poll_tried_at` is when the poller last went on, whatever Telegram answered; None before it has tried.
    `loop_lag_seconds` is how late the event loop was the last time that somebody looked.
    """

    turns: Counter[str] = field(default_factory=Counter)  # by the state in which they ended
    commits: int = 0
    writes: int = 0  # operations; several share a commit
    floods: int = 0  # refusals with "too many requests", and how long they made a chat wait
    flood_seconds: float = 0.0
    settles: int = 0  # requests of unknown outcome that were looked for
    polled_at: float | None = None
    poll_tried_at: float | None = None
    loop_lag_seconds: float = 0.0


tally = Tally()
