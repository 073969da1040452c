"""A run's result as a table and as JUnit."""

import math
import re
import shlex
import unicodedata
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from fleet_console.drawing import Line, Table, draw
from fleet_sim.cli import judging
from fleet_sim.cli.looking import chart_rows
from fleet_sim.cli.outcome import result_rows
from fleet_sim.devices.counters import Counters
from fleet_sim.devices.pacing import Percentiles
from fleet_sim.judging.grade import CommandGrade, Grade, RuleGrade
from fleet_sim.judging.report import Check, check_rows, checks_of, judged, rows_table, unmet
from fleet_sim.judging.verify import Comparison
from fleet_sim.runtime.measures import measures_of
from fleet_sim.scenario.expectations import EXPECTABLE, REQUIRED, REQUIRED_OF_ALERTS, Expectation
from tests.sim.results import result

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
HOSTILE = "[/red]\x1b[2J\x9b\n\u202e\ud800" + "x" * 64


GATEWAY = {"alerts.missed": 0.0}
VERIFY = 'fleet-sim verify runs/a --history-cmd "edge-gateway query windows --json" --wait 40s'


@pytest.mark.parametrize(
    ("name", "measures", "why"),
    [
        ("publish.ack.p99", {}, "the broker acknowledged no message"),
        ("pacing.lag.max", {}, "no message was sent"),
        ("alerts.missed", {}, "no gateway was heard; run one on the same broker"),
        ("commands.failed", {}, "no gateway was heard; run one on the same broker"),
        ("alerts.latency.p50", GATEWAY, "no alert reached a device"),
        ("commands.ack.p50", GATEWAY, "no command came"),
    ],
)
def test_what_was_not_measured_says_what_is_missing(name: str, measures: dict[str, float], why: str) -> None:
    [check] = checks_of({name: Expectation("==", 0.0, "== 0")}, measures, Path("runs/a"))
    assert check == Check(name, "== 0", f"not measured: {why}", None)
    [table] = check_rows([check])
    assert isinstance(table, Table)
    assert table.rows[0][1].text == f"open  expected == 0; not measured: {why}"


@pytest.mark.parametrize("name", ["delivery.lost", "windows.wrong"])
@pytest.mark.parametrize(("directory", "quoted"), [("runs/a", "runs/a"), ("my runs/a", "'my runs/a'")])
def test_the_command_that_measures_delivery_can_be_pasted(name: str, directory: str, quoted: str) -> None:
    expect = {each: Expectation("==", 0.0, "== 0") for each in (name, "delivery.duplicate")}
    checks = checks_of(expect, GATEWAY, Path(directory))
    command = VERIFY.replace("runs/a", quoted)
    found = "not measured: compare with what a gateway stored"
    assert checks[0] == Check(name, "== 0", found, None, command=command)
    for terminal in (True, False):
        lines = shown(*check_rows(checks), terminal=terminal)
        assert lines[-2:] == ["To measure what is open:", command], "once, and on a line of its own"
        assert len(shlex.split(lines[-1])) == 7
    assert check_rows([Check("a", "== 0", "1", passed=False)])[1:] == []


def test_an_expectation_is_met_or_not() -> None:
    limit = Expectation("<", 1.0, "< 1")
    [table] = check_rows(checks_of({"a.b": limit, "c.d": limit}, {"a.b": 0.5, "c.d": 1.5}))
    assert isinstance(table, Table)
    assert [row[1].text for row in table.rows] == [
        "ok  expected < 1, found 0.5",
        "FAILED  expected < 1, found 1.5",
    ]
    assert check_rows([]) == []


def test_a_ledger_is_judged_by_what_there_is_a_measure_for() -> None:
    header = {"expect": {"a.b": ["<", 1.0, "< 1"], "c.d": ["<", 1.0, "< 1"]}}
    assert judged(header, {"a.b": 0.5}) == [Check("a.b", "< 1", "0.5", passed=True)]
    assert judged({}, {"a.b": 0.5}) == []
    assert judged(header, {"a.b": 0.0}, why_open="no window could be judged") == [
        Check("a.b", "< 1", "not measured: no window could be judged", None)
    ]


def test_what_is_required_is_left_to_a_scenario_that_expects_something_of_it() -> None:
    none = Expectation("==", 0.0, "== 0")
    required, measures = {"a.b": none, "c.d": none, "e.f": none}, {"a.b": 1.0, "c.d": 1.0, "e.f": 0.0}
    assert unmet(required, {"c.d"}, measures) == [Check("a.b", "== 0", "1", passed=False)]


def test_somebody_measures_whatever_a_scenario_may_expect() -> None:
    times = Percentiles(1, 1.0, 1.0, 1.0, 1.0, 1.0)
    counters = Counters()
    counters.ack.add([1.0])
    counters.lag.add([1.0])
    commands = CommandGrade(latency=times, ack=times)
    measured = {
        *Comparison().measures(),
        *Grade(latency=times, commands=commands).measures(),
        *measures_of(counters, 1, 1.0),
    }
    assert measured == EXPECTABLE
    assert REQUIRED.keys() | REQUIRED_OF_ALERTS.keys() <= measured


@pytest.mark.parametrize("terminal", [False, True])
def test_every_table_shows_any_text_and_obeys_none(terminal: bool) -> None:
    spread = Percentiles(1, math.nan, math.inf, -math.inf, 1e300, -1.0)
    grade = Grade(
        rules={HOSTILE: RuleGrade(expected=2**64)}, latency=spread, repeated=1, examples=[HOSTILE, "a " * 90]
    )
    check = Check(HOSTILE, HOSTILE, HOSTILE, passed=None)
    odd = {f"publish.ack.{each}": spread.most for each in ("p50", "p95", "p99", "max")}
    told = replace(result(), directory=Path(HOSTILE.replace("\ud800", "")), measures=odd)
    tables: list[Table | Line] = [
        rows_table(HOSTILE, [(HOSTILE, HOSTILE), ("", "")]),
        rows_table("grade", judging.grade_rows(grade)),
        rows_table("run", result_rows(told.summary())),
        rows_table(
            "preview",
            chart_rows(
                [{"a": HOSTILE, "b": math.nan, "c": None, "d": True, "e": [1], "f": math.inf, "g": 1}]
            ),
        ),
        *check_rows([check, replace(check, passed=True), replace(check, passed=False)]),
    ]
    lines = shown(*tables, terminal=terminal)
    assert all(unicodedata.category(one) not in UNSEEN for line in lines for one in line)
    if terminal:
        assert max(map(cell_len, lines)) <= 80
    else:
        assert len(lines) == sum(1 + len(table.rows) for table in tables if isinstance(table, Table))


@pytest.mark.parametrize("terminal", [False, True])
def test_tables_of_two_columns_are_aligned_under_their_title(terminal: bool) -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=terminal, width=60, color_system=None)
    draw(console, rows_table("title", [("a", "1"), ("long name", "2")]))
    assert re.sub(r"\x1b\[\d*m", "", written.getvalue()).splitlines() == [
        "title",
        "  a          1",
        "  long name  2",
    ]


def shown(*blocks: Table | Line, terminal: bool) -> list[str]:
    written = StringIO()
    draw(Console(file=written, force_terminal=terminal, width=80, color_system=None), *blocks)
    return re.sub(r"\x1b\[\d*m", "", written.getvalue()).removesuffix("\n").split("\n")
