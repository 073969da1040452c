"""/metrics has every number of the report, with HELP and TYPE."""

from __future__ import annotations

import re
from typing import Any

from edge_gateway.status.counters import Counters
from edge_gateway.status.prometheus import prometheus
from edge_gateway.status.report import as_plain
from tests.gateway.status.reports import report_of


def leaves(plain: Any, path: str = "") -> dict[str, Any]:
    """Every number of a report, by its path joined with `_`."""
    if isinstance(plain, dict):
        return {
            inner: number
            for key, value in plain.items()
            for inner, number in leaves(value, f"{path}_{key}" if path else key).items()
        }
    return {path: plain} if isinstance(plain, (int, float)) else {}


def test_prometheus_has_every_number_with_help_and_type() -> None:
    made = report_of(counters=Counters(rule_reloads=2))
    text = prometheus(made)
    lines = text.splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert len(lines) == 3 * len(samples)
    names = {line.split()[0] for line in samples}
    assert len(names) == len(samples)
    for name in names:
        assert re.search(rf"^# HELP {name} \S.*$", text, re.MULTILINE), name
        assert re.search(rf"^# TYPE {name} (counter|gauge)$", text, re.MULTILINE), name
    paths = {path.removesuffix("_total") for path in (name.removeprefix("edge_gateway_") for name in names)}
    numbers = {path for path in leaves(as_plain(made)) if not path.startswith(("metrics_", "windows_"))}
    assert numbers <= paths
    assert (
        "# TYPE edge_gateway_counters_rule_reloads_total counter\nedge_gateway_counters_rule_reloads_total 2"
        in text
    )
    assert "# TYPE edge_gateway_broker_lag gauge\nedge_gateway_broker_lag 12" in text
    assert "edge_gateway_counters_reading_paused_total 0" in text
    assert "edge_gateway_sinks_influx_waiting_lines 20" in text
    assert "# TYPE edge_gateway_sinks_influx_requests counter" in text
    assert "waiting_until" not in text, "nothing is waited for"
