"""Counts what is ignored by decision, so that nobody has to guess why nothing happens."""

import logging
import time
from collections import Counter

log = logging.getLogger(__name__)

LOG_SECONDS = 60.0  # between two lines about the same kind


class Ignored:
    """Counts by kind since the start of the process; the log has the first of a kind, then one a minute."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._due: dict[str, float] = {}

    def note(self, kind: str, times: int = 1) -> None:
        """Count what was ignored; `kind` is one of few."""
        self.counts[kind] += times
        now = time.monotonic()
        if times and now >= self._due.get(kind, now):
            self._due[kind] = now + LOG_SECONDS
            log.info("intake.ignored kind=%s count=%s", kind, self.counts[kind])
