"""The report of a backtest."""

from pathlib import Path
from typing import Any

from edge_gateway.backtest.report import WEEK, backtest_report
from edge_gateway.backtest.run import run_rules
from fleet_recordings.labels import Label
from tests.gateway.backtest.weighed import MINUTE, START, readings, rules_of, series, settings


def report(folder: Path, *rules: str, labels: list[Label] | None = None, **sections: Any) -> dict[str, Any]:
    ruleset = rules_of(folder, *rules)
    given = readings(*series([1, 11, 11, 1, 1, 11]), *series([1] * 6, device="d2"))
    return backtest_report(ruleset, given, run_rules(given, ruleset, settings(**sections)), labels)


def test_figures_of_a_rule(tmp_path: Path) -> None:
    told = report(tmp_path, "{alert: Hot, expr: t, above: 10}")
    (rule,) = told["rules"]
    assert (told["devices"], told["samples"], told["start"]) == (2, 12, "2014-01-01T00:00:00Z")
    assert (rule["devices"], rule["alerts"]) == (2, 2)
    assert (rule["firing_ms"], rule["longest_ms"]) == (2 * MINUTE, 2 * MINUTE)
    assert rule["per_device_week"] == 2 * WEEK / (10 * MINUTE)
    assert [each["device"] for each in rule["by_device"]] == ["d1"]
    assert [each["ended"] for each in told["alerts"]] == ["2014-01-01T00:03:00Z", None]
    assert "scores" not in told


def test_what_did_nothing_is_told(tmp_path: Path) -> None:
    told = report(
        tmp_path,
        "{alert: Elsewhere, expr: t, above: 0, match: {site: moon}}",
        "{alert: Unread, expr: gone, above: 0}",
        "{alert: Other, expr: t, above: 0, unit: bar}",
        metrics={"t": {"range": [0, 10]}},
    )
    assert told["notes"] == [
        "3 values refused as by the gateway: out of the metric's range, or a code for missing",
        "no device matches: Elsewhere",
        "no reading evaluates: Unread",
    ]


def test_scores_by_labels(tmp_path: Path) -> None:
    label = Label(START, "d1", "t", "bias", START + 2 * MINUTE, 10.0)
    (score,) = report(tmp_path, "{alert: Hot, expr: t, above: 10}", labels=[label])["scores"]
    assert (score["precision"], score["recall"], score["found"]) == (0.5, 1.0, 1)
    assert (score["delay_median_ms"], score["missed"]) == (MINUTE, [])
    assert score["false"] == [{"device": "d1", "fired": "2014-01-01T00:05:00Z"}]
