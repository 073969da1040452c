"""The table of sensitivities."""

from typing import Any

from edge_gateway.cli.sensitivity_table import sensitivity_view
from fleet_console.drawing import Line, Table


def row(**facts: Any) -> dict[str, Any]:
    usual = {
        "rule": "Hot",
        "metric": "t",
        "kind": "bias up",
        "smallest": 1.0123,
        "of": "t",
        "largest_tried": 16.0,
    }
    return {
        **usual,
        "onsets": 60,
        "judged": 60,
        "found": 58,
        "delay_median_ms": 60_000,
        "delay_p90_ms": 120_000,
        **facts,
    }


def test_found_not_found_and_not_told() -> None:
    rows = [
        row(),
        row(kind="drift up", of="t per hour"),
        row(kind="dropout", of="ms", smallest=300_000.0),
        row(kind="stuck", of="ms", smallest=None, largest_tried=600_000.0),
        row(kind="noise", smallest=None),
        row(metric="h", judged=3, smallest=None),
    ]
    plain = [
        {"rule": "Hot", "alerts": 3, "per_device_week": 0.25},
        {"rule": "Cold", "alerts": 0, "per_device_week": None},
    ]
    table, first, second, named, alerts = sensitivity_view(
        {"sensitivity": rows, "plain": plain, "not_tried": ["Named"]}
    )
    assert isinstance(table, Table)
    assert [[str(each.text) for each in cells] for cells in table.rows] == [
        ["Hot", "bias up of t", "1.01", "58 of 60", "1m", "2m"],
        ["Hot", "drift up of t", "1.01 per hour", "58 of 60", "1m", "2m"],
        ["Hot", "dropout of t", "5m", "58 of 60", "1m", "2m"],
    ]
    assert isinstance(first, Line)
    assert isinstance(second, Line)
    assert first.text == "Hot: not told for h, since it fires without a fault at 57 of 60 onsets"
    assert second.text == "Hot does not find stuck of t up to 10m, noise of t up to 16"
    assert isinstance(named, Line)
    assert named.text == "Named is not tried: it matches devices by name, which copies do not have"
    assert isinstance(alerts, Table)
    assert [[str(each.text) for each in cells] for cells in alerts.rows] == [
        ["Hot", "3", "0.25"],
        ["Cold", "0", ""],
    ]


def test_no_rule_for_these_readings() -> None:
    (line,) = sensitivity_view({"sensitivity": [], "plain": []})
    assert isinstance(line, Line)
