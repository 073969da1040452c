"""The table of `rules backtest --sensitivity`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_gateway.backtest.sensitivity import LEAST_JUDGED
from edge_gateway.cli.backtest_tables import duration
from edge_gateway.cli.tables import Blocks
from fleet_console.drawing import Line, Table

Row = Mapping[str, Any]


def sensitivity_view(report: Row) -> Blocks:
    """Return the smallest fault of each kind that each rule finds, then its alerts on the readings as they are."""
    if not report["plain"]:
        return [Line("no rule matches a device of these readings")]
    table = Table(("rule", "fault", "smallest found", "found", "delay", "p90"))
    for each in report["sensitivity"]:
        if each["smallest"] is not None:
            table.add(
                each["rule"],
                f"{each['kind']} of {each['metric']}",
                _size(each, each["smallest"]),
                f"{each['found']} of {each['judged']}",
                duration(each["delay_median_ms"]),
                duration(each["delay_p90_ms"]),
            )
    untried = [
        Line(f"{name} is not tried: it matches devices by name, which copies do not have", "yellow")
        for name in report["not_tried"]
    ]
    plain = Table(("rule", "alerts", "a device-week"), title="on the readings as they are")
    for each in report["plain"]:
        rate = each["per_device_week"]
        plain.add(each["rule"], f"{each['alerts']:,}", "" if rate is None else f"{rate:.2g}")
    return [*([table] if table.rows else []), *_not_found(report["sensitivity"]), *untried, plain]


def _not_found(rows: Sequence[Row]) -> Iterator[Line]:
    """Yield what each rule does not find, with the largest size that was tried, and where that cannot be told."""
    for rule in dict.fromkeys(each["rule"] for each in rows):
        own = [each for each in rows if each["rule"] == rule and each["smallest"] is None]
        fires = {each["metric"]: each for each in own if each["judged"] < LEAST_JUDGED}
        none = [
            f"{each['kind']} of {each['metric']} up to {_size(each, each['largest_tried'])}"
            for each in own
            if each["metric"] not in fires
        ]
        for metric, each in fires.items():
            anyway = f"{each['onsets'] - each['judged']} of {each['onsets']} onsets"
            yield Line(f"{rule}: not told for {metric}, since it fires without a fault at {anyway}", "yellow")
        if none:
            yield Line(f"{rule} does not find {', '.join(none)}")


def _size(each: Row, size: float) -> str:
    """Return a size or a duration as it is shown."""
    if each["of"] == "ms":
        return duration(int(size))
    return f"{size:.3g}{' per hour' if each['of'].endswith('per hour') else ''}"
