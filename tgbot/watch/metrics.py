"""Pure: the numbers of a process and its database, in the format that Prometheus reads."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tgbot.store.report import Report
from tgbot.tally import Tally


class _Once(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def text(tally: Tally, found: Report, oldest_waiting_seconds: float, now: float) -> bytes:
    """Write all of them; `now` is on the clock of `tally.polled_at`."""
    registry = CollectorRegistry()
    registry.register(_Once([*_of_database(found, oldest_waiting_seconds), *_of_process(tally, now)]))
    return generate_latest(registry)


def _of_database(found: Report, oldest_waiting_seconds: float) -> Iterator[Metric]:
    yield _gauge("running", "Turns that run, or are still winding down", len(found.running))
    yield _gauge("waiting", "Messages that wait for their turn", found.queued)
    yield _gauge("oldest_waiting_seconds", "How long a message has waited at most", oldest_waiting_seconds)
    yield _gauge("asking", "Turns that wait until somebody presses a button", found.asking)
    yield _gauge("held", "Messages that /stop has put on hold", found.held)
    yield _gauge("dead", "Messages that were given up, or could not be read", found.dead)
    yield _gauge("unsent", "Parts of answers that are not on screen yet", found.unsent)
    yield _gauge("parked", "Parts of answers that Telegram refused for good", found.parked)


def _of_process(tally: Tally, now: float) -> Iterator[Metric]:
    turns = CounterMetricFamily("tgbot_turns", "Turns that ended, by how", labels=["state"])
    for state, number in sorted(tally.turns.items()):
        turns.add_metric([state], number)
    yield turns
    yield _counter("commits", "Transactions of the database's writer", tally.commits)
    yield _counter("writes", "Operations in these; several share a commit", tally.writes)
    yield _counter("floods", "Refusals with “too many requests”", tally.floods)
    yield _counter("flood_seconds", "How long these made chats wait, in seconds", tally.flood_seconds)
    yield _counter("settles", "Requests of unknown outcome that were looked for", tally.settles)
    age = float("nan") if tally.polled_at is None else now - tally.polled_at
    yield _gauge("poll_age_seconds", "Since when getUpdates has not succeeded", age)
    yield _gauge("loop_lag_seconds", "How late the event loop was a moment ago", tally.loop_lag_seconds)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tgbot_{name}", words, value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"tgbot_{name}", words, value)
