"""How long to wait after failures."""

RETRY_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)  # the last one repeats


class Backoff:
    """Waits longer with each failure in a row; knows since when (in the event loop's time) it fails."""

    def __init__(self) -> None:
        self._failures = 0
        self.since = 0.0

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0

    def failed(self, now: float) -> float:
        """Count a failure, and return how many seconds to wait."""
        if not self._failures:
            self.since = now
        seconds = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1
        return seconds
