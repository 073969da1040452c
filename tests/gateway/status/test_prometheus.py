"""/metrics has every number of the report, in the form and with the names that Prometheus asks for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_gateway.status.counters import AllCounters, Counters
from edge_gateway.status.fields import declared
from edge_gateway.status.problem import Gravity
from edge_gateway.status.prometheus import prometheus
from edge_gateway.status.report import Backlog, GatewayStatus, OpenProblem, SinkStatus, as_plain
from tests.gateway.status.exposition import Metric, faults, parse
from tests.gateway.status.reports import report_of

ODD = 'a"b\\c\nd'


def report_with(*sinks: str) -> GatewayStatus:
    """A report in which no number is null."""
    made = report_of(counters=Counters(rule_reloads=2))
    return msgspec.structs.replace(
        made,
        sinks={
            name: SinkStatus(requests=number, waiting_until=1_700_000_000_250, waiting=Backlog(oldest=5))
            for number, name in enumerate(sinks)
        },
    )


def numbers(plain: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], float]:
    """Every number of a report by its path."""
    if isinstance(plain, dict):
        return {
            inner: number
            for key, value in plain.items()
            for inner, number in numbers(value, (*path, key)).items()
        }
    return {path: plain} if isinstance(plain, (int, float)) else {}


def value(metrics: dict[str, Metric], name: str, **labels: str) -> float:
    return metrics[f"edge_gateway_{name}"].samples[tuple(labels.items())]


def test_every_metric_is_named_and_typed_as_prometheus_recommends() -> None:
    metrics = parse(prometheus(report_with("influx", "archive")))
    assert len(metrics) > 100
    assert [fault for metric in metrics.values() for fault in faults(metric)] == []


def test_every_number_of_the_report_is_there_once() -> None:
    made = report_with("influx", "archive")
    metrics = parse(prometheus(made))
    expected = [path for path in numbers(as_plain(made)) if path[0] not in ("metrics", "counters")]
    assert sum(len(metric.samples) for metric in metrics.values()) == len(expected) + len(
        declared(AllCounters)
    )


@pytest.mark.parametrize(
    ("name", "labels", "type_", "expected"),
    [
        ("counters_rule_reloads_total", {}, "counter", 2),
        ("counters_reading_paused_total", {}, "counter", 0),
        ("values_accepted", {}, "gauge", 0),
        ("values_bad_total", {}, "counter", 0),
        ("broker_lag_seconds", {}, "gauge", 0.012),
        ("broker_connected", {}, "gauge", 1),
        ("broker_unacknowledged_bytes", {}, "gauge", 0),
        ("started_timestamp_seconds", {}, "gauge", 1),
        ("spool_max_bytes", {}, "gauge", 1 << 30),
        ("spool_parts_journal_bytes", {}, "gauge", 0),
        ("spool_recovery_seconds", {}, "gauge", 0.001),
        ("rules_in_force", {}, "gauge", 0),
        ("sinks_requests_total", {"sink": ODD}, "counter", 1),
        ("sinks_waiting_until_timestamp_seconds", {"sink": ODD}, "gauge", 1_700_000_000.25),
    ],
)
def test_a_metric_has_the_number_in_base_units(
    name: str, labels: dict[str, str], type_: str, expected: float
) -> None:
    metrics = parse(prometheus(report_with("influx", ODD)))
    assert metrics[f"edge_gateway_{name}"].type == type_
    assert value(metrics, name, **labels) == expected


def test_every_open_problem_is_a_sample() -> None:
    problems = (
        OpenProblem("disk", 'full "x"\n', 5, Gravity.FAILURE),
        OpenProblem("broker_dropped", "7", 5, Gravity.NOTICE),
    )
    metric = parse(prometheus(report_of(problems=problems)))["edge_gateway_problem"]
    assert (metric.type, faults(metric)) == ("gauge", [])
    assert metric.samples == {
        (("code", "disk"), ("level", "failure")): 1,
        (("code", "broker_dropped"), ("level", "notice")): 1,
    }
    assert "edge_gateway_problem" not in parse(prometheus(report_of()))


def test_a_number_that_is_null_is_left_out() -> None:
    assert "waiting_until" not in prometheus(report_of())


@pytest.mark.parametrize(
    "text",
    [
        "# HELP a b\n# TYPE a gauge\na 1",
        "# HELP a b\n# TYPE a gauge\na 1\n\n",
        "# HELP a b\n# TYPE a gauge\na 1\na 2\n",
        '# HELP a b\n# TYPE a gauge\na 1\n# HELP c d\n# TYPE c gauge\nc 1\na{x="y"} 1\n',
        "# HELP a b\n# TYPE a gauge\na one\n",
        "# HELP a b\n# TYPE a gauge\na{x=y} 1\n",
        "# HELP a b\\c\n# TYPE a gauge\na 1\n",
        "# HELP a-b b\n# TYPE a-b gauge\na-b 1\n",
        "# HELP a b\na 1\n",
        "# HELP a b\n# TYPE a number\na 1\n",
    ],
)  # fmt: skip
def test_the_reader_of_the_format_is_strict(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|TYPE|sample|group"):
        parse(text)


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("a_total", "gauge"), ("a", "counter"), ("a_ms", "gauge"), ("a_milliseconds", "gauge"),
        ("a_count", "gauge"), ("a_bytes_used", "gauge"), ("gauge_a", "gauge"),
    ],
)  # fmt: skip
def test_the_rules_for_names_find_what_breaks_them(name: str, type_: str) -> None:
    assert faults(Metric(name, "help", type_))
