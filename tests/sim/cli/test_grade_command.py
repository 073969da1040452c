"""`fleet-sim grade`: what it compares, what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleet_sim.cli.judging import grade_rows
from fleet_sim.devices.pacing import Percentiles
from fleet_sim.judging.grade import CommandGrade, Grade, RuleGrade
from tests.sim.cli.recorded_run import ALERT, Cli, command_line, recorded


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return command_line(capsys, monkeypatch)


def test_alerts_of_a_history_are_graded(cli: Cli, tmp_path: Path) -> None:
    recorded(tmp_path / "run")
    file = tmp_path / "alerts.jsonl"
    file.write_text(json.dumps(ALERT))
    for source in (("--alerts", str(file)), ("--alerts-cmd", f"cat {file}")):
        status, out, _ = cli("grade", str(tmp_path / "run"), *source, "--json")
        found = json.loads(out)
        assert (status, found["alerts.missed"], found["rules"]["Hot"]["fired"]) == (0, 0, 1)
    status, out, _ = cli("grade", str(tmp_path / "run"))
    assert status == 1, "the run itself heard no alert"
    assert "expected 1, missed 1, fired 0, false 0" in out
    assert "missed: Hot on d within 5s of heat_up" in out
    file.write_text(json.dumps(ALERT | {"level": "severe"}))
    status, _, err = cli("grade", str(tmp_path / "run"), "--alerts", str(file))
    assert (status, f"{file}: row 1 is not an alert row: 'level' is \"severe\"" in err) == (2, True)


@pytest.mark.parametrize(("most", "status"), [(1.0, 0), (0.0, 1)])
def test_a_scenario_that_expects_alerts_to_be_missed_decides_itself(
    cli: Cli, tmp_path: Path, most: float, status: int
) -> None:
    recorded(tmp_path / "run", expect={"alerts.missed": ["<=", most, f"<= {most:g}"]})
    assert cli("grade", str(tmp_path / "run"))[0] == status


@pytest.mark.parametrize(
    ("expect", "status", "told"),
    [
        ({}, 1, "FAILED  expected == 0, found 1"),
        ({"alerts.missed": ["==", 0.0, "== 0"]}, 1, "FAILED  expected == 0, found 1"),
        ({"alerts.precision": [">", 0.1, "> 10%"]}, 1, "FAILED  expected == 0, found 1"),
        (
            {"alerts.false": ["<=", 1.0, "<= 1"]},
            0,
            "alerts.false is 1, which the scenario allows: it expects <= 1",
        ),
        ({"alerts.false": ["<=", 0.0, "<= 0"]}, 1, "FAILED  expected <= 0, found 1"),
    ],
)
def test_a_false_alert_ends_in_1_unless_the_scenario_expects_it(
    cli: Cli, tmp_path: Path, expect: dict[str, Any], status: int, told: str
) -> None:
    recorded(tmp_path / "run", expect=expect)
    file = tmp_path / "alerts.jsonl"
    stray = ALERT | {"id": "b", "subject": "e"}
    file.write_text(json.dumps(ALERT) + "\n" + json.dumps(stray))
    code, out, _ = cli("grade", str(tmp_path / "run"), "--alerts", str(file))
    assert (code, told in out) == (status, True), out
    found = json.loads(cli("grade", str(tmp_path / "run"), "--alerts", str(file), "--json")[1])
    assert {check["name"] for check in found["expectations"]} == {*expect, "alerts.false"}


def test_a_command_that_was_done_twice_ends_in_1_unless_the_scenario_expects_it(
    cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_text(json.dumps(ALERT))
    for name, limit, status in (("none", 0.0, 1), ("one", 1.0, 0)):
        ledger = tmp_path / name
        recorded(ledger, expect={"commands.repeated": ["<=", limit, f"<= {limit:g}"]}, done_twice=True)
        assert cli("grade", str(ledger), "--alerts", str(file))[0] == status


def test_the_table_of_a_grade() -> None:
    spread = Percentiles(3, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0)
    commands = CommandGrade(received=2, executed=1, rejected=1, latency=spread)
    rows = dict(grade_rows(Grade(rules={"Hot": RuleGrade(expected=2, fired=1)}, open=1, commands=commands)))
    assert rows["Hot"] == "expected 2, missed 0, fired 1, false 0"
    assert rows["open"] == "1 label whose time was not over"
    unbegun = dict(grade_rows(Grade(open=3, not_begun=2)))
    assert unbegun["open"] == "3 labels whose time was not over, 2 not begun"
    assert rows["alert latency"] == "none"
    assert rows["command latency"] == "p50 1.0ms  p95 3.0ms  p99 4.0ms  max 5.0ms  (3)"
