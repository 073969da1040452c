"""Tables of backtests."""

from pathlib import Path

import pytest

from edge_gateway.backtest.report import backtest_report
from edge_gateway.backtest.run import run_rules
from edge_gateway.cli.backtest_tables import EMPTY, FULL, WIDTH, backtest_view, duration
from fleet_console.drawing import Line, Table
from fleet_recordings.labels import Label
from tests.gateway.backtest.weighed import MINUTE, START, readings, rules_of, series, settings


def texts(folder: Path, *rules: str, labels: list[Label] | None = None) -> tuple[list[str], list[Table]]:
    ruleset, given = rules_of(folder, *rules), readings(*series([1, 11, 11, 1, 1, 1, 1, 1, 1, 11]))
    report = backtest_report(ruleset, given, run_rules(given, ruleset, settings()), labels)
    blocks = backtest_view(report)
    tables = [block for block in blocks if isinstance(block, Table)]
    return [str(block.text) for block in blocks if isinstance(block, Line)], tables


def cells(table: Table) -> list[list[str]]:
    return [[str(each.text) for each in row] for row in table.rows]


def test_a_row_for_each_rule_and_a_line_over_time(tmp_path: Path) -> None:
    lines, (rules, plot) = texts(
        tmp_path, "{alert: Hot, expr: t, above: 10}", "{alert: Cold, expr: t, below: 0}"
    )
    assert lines == ["10 samples of 1 device, 2014-01-01T00:00:00Z to 2014-01-01T00:09:00Z"]
    assert cells(rules) == [
        ["Hot", "1", "2", "2.2e+03", "2m", "2m", "0"],
        ["Cold", "1", "0", "0", "0s", "0s", "0"],
    ]
    ((name, marks),) = cells(plot)
    assert (name, len(marks)) == ("Hot d1", WIDTH)
    assert marks == EMPTY * 6 + FULL * 15 + EMPTY * 38 + FULL


def test_scores_and_what_was_wrong(tmp_path: Path) -> None:
    labels = [
        Label(START, "d1", "t", "bias", START + 2 * MINUTE, 10.0),
        Label(START + 5 * MINUTE, "d1", "t", "", START + 6 * MINUTE),
    ]
    lines, tables = texts(tmp_path, "{alert: Hot, expr: t, above: 10}", labels=labels)
    assert cells(tables[-1]) == [["Hot", "50%", "50%", "1", "1", "1", "1m", "1m"]]
    assert lines[1:] == [
        "Hot missed: d1 label 2014-01-01T00:05:00Z",
        "Hot false: d1 2014-01-01T00:09:00Z",
    ]


def test_nothing_that_runs_and_nothing_that_fires(tmp_path: Path) -> None:
    elsewhere, none = texts(tmp_path, "{alert: Hot, expr: t, above: 10, match: {site: moon}}")
    assert elsewhere[1:] == ["no device matches: Hot", "no rule matches a device of these readings"]
    assert none == []
    assert texts(tmp_path, "{alert: Cold, expr: t, below: 0}")[0][1:] == ["no alert"]


@pytest.mark.parametrize(
    ("ms", "text"),
    [(None, ""), (0, "0s"), (900, "900ms"), (61_500, "1m1s"), (3_661_000, "1h1m"), (90_061_000, "1d1h")],
)
def test_durations_in_two_units(ms: int | None, text: str) -> None:
    assert duration(ms) == text
