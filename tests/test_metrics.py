"""The metrics are what Prometheus can read, and what the documents, the dashboard and the alarms name."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.forking import ROOT
from tgbot.model import InstanceId
from tgbot.store.instances import Worker
from tgbot.store.report import Report
from tgbot.tally import Histogram, Tally
from tgbot.watch import metrics
from tgbot.watch.metrics import Seen

NOTHING = Seen(Report([], 0, 0.0, 0, 0, 0, 0, 0), [], InstanceId(1))
ROW = re.compile(r"^\| `(tgbot_\w+(?:\{[a-z, ]+\})?)` \| (\w+) \| (.*) \|$", re.MULTILINE)
EXPRESSION = re.compile(r"^        expr: (.+)$", re.MULTILINE)
# What an expression has beside the names of metrics.
WORDS = {
    *("rate", "increase", "sum", "by", "histogram_quantile", "le", "max", "time", "clamp_min"),
    *("state", "model", "direction", "job", "and", "unless", "changes"),
}
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "info": ("_info",),
    "histogram": ("_bucket", "_sum", "_count"),
}
# Of others: prometheus-client's where the system tells it, and Prometheus' own.
OTHERS = {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds", "up"}


def counted() -> Tally:
    """Make a tally in which everything that has a label was counted once."""
    tally = Tally()
    tally.turns["done"] += 1
    for of_model in (tally.model_requests, tally.model_input_tokens, tally.model_output_tokens):
        of_model["test:m"] += 1
    tally.model_nano_dollars["test:m"] += 250_000_000
    return tally


def families() -> list[Metric]:
    return [*metrics.families(counted(), NOTHING, 0.0)]


def samples() -> set[str]:
    return OTHERS | {family.name + suffix for family in families() for suffix in SUFFIXES[family.type]}


def row(family: Metric) -> tuple[str, str, str]:
    """Give what the table has of one: its name with its labels, its type and its help text."""
    labels = [name for name in family.samples[0].labels if name != "le"] if family.type != "info" else []
    name = family.name + ("" if family.type == "histogram" else SUFFIXES[family.type][0])
    return name + (f"{{{', '.join(labels)}}}" if labels else ""), family.type, family.documentation


def test_a_histogram_counts_a_value_that_is_its_bound_below_it() -> None:
    histogram = Histogram(1.0, 2.0)
    for value in (0.5, 1.0, 1.5, 99.0):
        histogram.add(value)
    assert (histogram.counts, histogram.total) == ([2, 1, 1], 102.0)


def test_histograms_are_written_as_prometheus_reads_them() -> None:
    tally = counted()
    for seconds in (0.2, 0.2, 3.0, 5_000.0):
        tally.turn_seconds.add(seconds)
    text = metrics.text(tally, NOTHING, 0.0).decode()
    found = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["tgbot_turn_seconds_bucket", "0.1"] == 0
    assert found["tgbot_turn_seconds_bucket", "0.25"] == 2
    assert found["tgbot_turn_seconds_bucket", "5.0"] == 3
    assert found["tgbot_turn_seconds_bucket", "+Inf"] == found["tgbot_turn_seconds_count", None] == 4
    assert found["tgbot_turn_seconds_sum", None] == pytest.approx(5003.4)
    assert found["tgbot_model_dollars_total", None] == 0.25


@pytest.mark.parametrize(("poller", "standing_by"), [(1, 0), (2, 1), (None, 0)])
def test_a_worker_says_whether_it_stands_by_and_how_many_live(poller: int | None, standing_by: int) -> None:
    leases = {1: 9.0, 2: 9.0, 3: 0.0}  # the last one is gone
    workers = [
        Worker(InstanceId(number), "alpha", 7, 0.0, [], 0, left, polls=number == poller)
        for number, left in leases.items()
    ]
    text = metrics.text(counted(), NOTHING._replace(workers=workers), 0.0).decode()
    assert f"tgbot_standing_by {standing_by}.0\n" in text
    assert "tgbot_workers 2.0\n" in text
    assert 'tgbot_worker_info{id="1"} 1.0\n' in text


def test_the_table_in_the_documents_has_each_metric_with_its_help_text() -> None:
    """Where it fails, take the table that it wants."""
    rows = set(map(row, families()))
    listed = set(ROW.findall((ROOT / "docs" / "metrics.md").read_text()))
    wanted = "\n".join(f"| `{name}` | {kind} | {words} |" for name, kind, words in sorted(rows - listed))
    assert listed == rows, f"in docs/metrics.md are missing:\n{wanted}"


def expressions() -> Iterator[tuple[str, str]]:
    """Give each expression of the dashboard and the alarms, with where it is from."""
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for expression in EXPRESSION.findall((ROOT / "docs" / "alerts.yml").read_text()):
        yield "alerts.yml", expression


@pytest.mark.parametrize(("where", "expression"), [*expressions()])
def test_each_expression_uses_only_metrics_that_exist(where: str, expression: str) -> None:
    without_texts = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
    names = set(re.findall(r"[a-zA-Z_]\w*", without_texts)) - WORDS
    assert names, where
    assert names <= samples(), where
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing), where


def test_counters_are_only_used_as_rates() -> None:
    """A counter begins at 0 with each process: alone it says nothing."""
    counters = {name for name in samples() if name.endswith(("_total", "_bucket", "_sum", "_count"))}
    alone = [
        (where, name)
        for where, expression in expressions()
        for name in set(re.findall(r"\w+", expression)) & counters
        if not re.search(rf"(rate|increase)\({name}(\{{[^}}]*\}})?\[", expression)
    ]
    assert alone == []


def test_the_dashboard_has_ids_titles_and_places_of_their_own_and_each_alarm_says_what_to_do() -> None:
    dashboard: dict[str, Any] = json.loads((ROOT / "docs" / "grafana.json").read_text())
    panels = dashboard["panels"]
    for unique in ("id", "title", "gridPos"):
        values = [json.dumps(panel[unique]) for panel in panels]
        assert len(values) == len(set(values))
    alarms = re.split(r"^      - alert: ", (ROOT / "docs" / "alerts.yml").read_text(), flags=re.MULTILINE)[1:]
    assert len(alarms) > 5
    for alarm in alarms:
        keys = re.findall(r"^ {8,10}(\w+):", alarm, re.MULTILINE)
        assert keys == ["expr", "for", "labels", "severity", "annotations", "summary", "description"]
