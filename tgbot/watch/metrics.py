"""Pure: the numbers of a process and its database, in the format that Prometheus reads."""

import math
import platform
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from tgbot import __version__
from tgbot.model import InstanceId
from tgbot.store.instances import Worker
from tgbot.store.report import Report
from tgbot.tally import Histogram, Tally

NANO = 1_000_000_000


class _Once(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Seen(NamedTuple):
    """What the database holds: all of it in numbers, who works on it, and which of them this process is."""

    report: Report
    workers: Sequence[Worker]
    instance_id: InstanceId


def text(tally: Tally, seen: Seen, now: float) -> bytes:
    """Write all of them; `now` is on the clock of `tally.polled_at`."""
    registry = CollectorRegistry()
    registry.register(_Once(families(tally, seen, now)))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def families(tally: Tally, seen: Seen, now: float) -> Iterator[Metric]:
    """Give all of our own, each with its help text; the arguments are those of `text`."""
    versions = {"version": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    yield InfoMetricFamily("tgbot_build", "What runs: its version, and those below it", versions)
    yield from _of_workers(seen)
    yield from _of_database(seen.report)
    yield from _of_process(tally, now)
    yield from _of_turns(tally)
    yield from _of_writer(tally)
    yield from _of_models(tally)


def _of_workers(seen: Seen) -> Iterator[Metric]:
    me = {"id": str(seen.instance_id)}
    yield InfoMetricFamily("tgbot_worker", "The worker that answers, by its id in `tgbot status`", me)
    other_polls = any(one.polls and one.instance_id != seen.instance_id for one in seen.workers)
    words = "1 where this worker stands by while another one polls Telegram, else 0"
    yield _gauge("standing_by", words, float(other_polls))
    yield _shared("workers", "Workers whose lease is not over", sum(not one.is_gone for one in seen.workers))


def _of_database(found: Report) -> Iterator[Metric]:
    running = "Turns that run or still wind down; each holds the guard of its session"
    yield _shared("running", running, len(found.running))
    yield _shared("waiting", "Messages that wait for their turn", found.queued)
    yield _shared("oldest_waiting_seconds", "How long a message has waited at most", found.waiting_seconds)
    yield _shared("asking", "Turns that wait until somebody presses a button", found.asking)
    yield _shared("held", "Messages that /stop has put on hold", found.held)
    yield _shared("dead", "Messages that were given up, or could not be read", found.dead)
    yield _shared("unsent", "Parts of answers that are not on screen yet", found.unsent)
    yield _shared("parked", "Parts of answers that Telegram refused for good", found.parked)


def _of_process(tally: Tally, now: float) -> Iterator[Metric]:
    age = float("nan") if tally.polled_at is None else now - tally.polled_at
    polled = "Since when getUpdates has not succeeded; about 0 while the worker stands by"
    yield _gauge("poll_age_seconds", polled, age)
    yield _counter("floods", "Refusals with “too many requests” (429)", tally.floods)
    yield _counter(
        "flood_seconds", "How long these made chats, or the poll, wait, in seconds", tally.flood_seconds
    )
    yield _counter("settles", "Requests of unknown outcome that were looked for", tally.settles)
    late = "How late the event loop was, looked at once a second: what it does waits so long"
    yield _histogram("loop_lag_seconds", late, tally.loop_lags)


def _of_turns(tally: Tally) -> Iterator[Metric]:
    yield _counters("turns", "Turns that ended, by how", "state", tally.turns)
    whole = "From the claim of a message to the commit of its ending, for each turn"
    yield _histogram("turn_seconds", whole, tally.turn_seconds)
    first = "From the receipt of a message until its answer begins to be on screen; drafts do not count"
    yield _histogram("first_words_seconds", first, tally.first_words_seconds)


def _of_writer(tally: Tally) -> Iterator[Metric]:
    took = "How long a transaction of the database's writer takes, its commit included"
    yield _histogram("commit_seconds", took, tally.commit_seconds)
    yield _histogram("commit_writes", "Operations that share a commit", tally.commit_writes)


def _of_models(tally: Tally) -> Iterator[Metric]:
    yield _counters(
        "model_requests", "Requests to models that said what they took", "model", tally.model_requests
    )
    tokens = CounterMetricFamily(
        "tgbot_model_tokens", "Tokens that these took, in and out", labels=["model", "direction"]
    )
    for direction, counted in (("input", tally.model_input_tokens), ("output", tally.model_output_tokens)):
        for model, number in sorted(counted.items()):
            tokens.add_metric([model, direction], number)
    yield tokens
    dollars = {model: number / NANO for model, number in tally.model_nano_dollars.items()}
    yield _counters("model_dollars", "What these cost, where the price is known", "model", dollars)


def _shared(name: str, words: str, value: float) -> Metric:
    return _gauge(name, f"{words} (of all workers: take max, not sum)", value)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tgbot_{name}", words, value)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"tgbot_{name}", words, value)


def _counters(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    made = CounterMetricFamily(f"tgbot_{name}", words, labels=[label])
    for value, number in sorted(values.items()):
        made.add_metric([value], number)
    return made


def _histogram(name: str, words: str, counted: Histogram) -> Metric:
    bounds = map(floatToGoString, (*counted.bounds, math.inf))
    buckets = list(zip(bounds, accumulate(counted.counts), strict=True))
    return HistogramMetricFamily(f"tgbot_{name}", words, buckets, counted.total)
