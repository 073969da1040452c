"""Tables of a backtest: what each rule did, when, and how it scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from edge_gateway.cli.tables import Blocks
from fleet_config.counting import counted
from fleet_config.durations import format_duration
from fleet_console.drawing import Line, Styled, Table

Row = Mapping[str, Any]

WIDTH = 60
"""Columns of a time line."""
MOST_LINES = 20
"""Time lines, and missed labels or false alerts of a rule, that a table shows."""
FULL, EMPTY = "█", "·"


def backtest_view(report: Row) -> Blocks:
    """Return what ran, a row for each rule, time lines of what fired, and the scores if there are any."""
    samples, devices = counted(report["samples"], "sample"), counted(report["devices"], "device")
    blocks: Blocks = [
        Line(f"{samples} of {devices}, {report['start']} to {report['end']}"),
        *(Line(note, "yellow") for note in report["notes"]),
    ]
    if not report["rules"]:
        return [*blocks, Line("no rule matches a device of these readings")]
    return [*blocks, _rules(report), *_time_lines(report), *_scores(report.get("scores", ()))]


def _rules(report: Row) -> Table:
    table = Table(("rule", "devices", "alerts", "a device-week", "fires for", "longest", "silences"))
    for rule in report["rules"]:
        rate = rule["per_device_week"]
        table.add(
            rule["rule"],
            f"{rule['devices']:,}",
            Styled(f"{rule['alerts']:,}", "bold red" if rule["alerts"] else ""),
            "" if rate is None else f"{rate:.2g}",
            duration(rule["firing_ms"]),
            duration(rule["longest_ms"]),
            f"{rule['silences']:,}",
        )
    return table


def duration(ms: int | None) -> str:
    """Return a duration in its two largest units; nothing for None."""
    if ms is None:
        return ""
    for unit, finer in ((86_400_000, 3_600_000), (3_600_000, 60_000), (60_000, 1_000)):
        if ms >= unit:
            return format_duration(ms - ms % finer)
    return format_duration(ms)


def _time_lines(report: Row) -> Blocks:
    """Return a line over time for each rule and device on which it fired: `█` where it did."""
    begin, end = _ms(report["start"]), _ms(report["end"])
    lines: dict[tuple[str, str], list[bool]] = {}
    for each in report["alerts"]:
        marks = lines.setdefault((each["rule"], each["device"]), [False] * WIDTH)
        fired = _ms(each["fired"])
        for column in range(_column(fired, begin, end), _column(fired + each["for_ms"], begin, end) + 1):
            marks[column] = True
    if not lines:
        return [Line("no alert")]
    table = Table(("", ""), title=f"when, from {report['start']} to {report['end']}")
    for (rule, device), marks in sorted(lines.items())[:MOST_LINES]:
        table.add(f"{rule} {device}", "".join(FULL if mark else EMPTY for mark in marks))
    more = len(lines) - MOST_LINES
    return [table, *([Line(f"and {more:,} more; --json has all")] if more > 0 else [])]


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _column(at: int, begin: int, end: int) -> int:
    return min((at - begin) * WIDTH // max(end - begin, 1), WIDTH - 1)


def _scores(scores: Sequence[Row]) -> Blocks:
    if not scores:
        return []
    table = Table(
        ("rule", "precision", "recall", "found", "missed", "false", "delay", "p90"), title="by the labels"
    )
    for each in scores:
        table.add(
            each["rule"],
            _share(each["precision"]),
            _share(each["recall"]),
            f"{each['found']:,}",
            f"{len(each['missed']):,}",
            f"{len(each['false']):,}",
            duration(each["delay_median_ms"]),
            duration(each["delay_p90_ms"]),
        )
    return [table, *(line for each in scores for line in _wrong(each))]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _wrong(each: Row) -> list[Line]:
    """Return lines with what a rule missed, could not tell, and raised for nothing."""
    told = (
        ("missed", [_label(label) for label in each["missed"]]),
        ("not judged, since it fired before", [_label(label) for label in each["not_judged"]]),
        ("false", [f"{one['device']} {one['fired']}" for one in each["false"]]),
    )
    return [
        Line(f"{each['rule']} {what}: {', '.join(names[:MOST_LINES])}{_more(names)}")
        for what, names in told
        if names
    ]


def _label(label: Row) -> str:
    size = "" if label["size"] is None else f" {label['size']:g}"
    return f"{label['device']} {label['kind'] or 'label'}{size} {label['start']}"


def _more(names: Sequence[str]) -> str:
    more = len(names) - MOST_LINES
    return f" and {more:,} more" if more > 0 else ""
