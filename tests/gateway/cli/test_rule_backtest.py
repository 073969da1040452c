"""`edge-gateway rules backtest`: sources, labels, JSON, mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge_gateway.cli.commands import app
from fleet_recordings.labels import Label, iso, write_labels
from tests.gateway.backtest.weighed import MINUTE, START
from tests.gateway.store.fleet import SETTINGS, T0, closed, named
from tests.gateway.store.stored import opened

RULES = """\
version: 1
groups:
- name: g
  rules:
  - {alert: Hot, expr: t, above: 10}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(RULES)
    values = [1, 11, 11, 1, 1]
    rows = [f"2014-01-01T00:0{number}:00Z,d1,t,{value}" for number, value in enumerate(values)]
    (tmp_path / "day.csv").write_text("\n".join(["time,device,metric,value", *rows]) + "\n")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["rules", "backtest", *arguments])
    error = str(result.exception) if result.exception and not isinstance(result.exception, SystemExit) else ""
    return result.exit_code, " ".join((result.output + error).replace("│", " ").split())


def told(*arguments: str) -> dict[str, Any]:
    status, text = run(*arguments, "--json")
    assert status == 0, text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_recording_with_the_rules_of_the_directory(place: Path) -> None:
    report = told("--from", "day.csv")
    assert [(each["rule"], each["fired"], each["ended"]) for each in report["alerts"]] == [
        ("Hot", "2014-01-01T00:01:00Z", "2014-01-01T00:03:00Z")
    ]
    assert "Hot d1" in run("--from", "day.csv")[1]


def test_a_part_of_it_other_rules_and_labels(place: Path) -> None:
    (place / "new").mkdir()
    (place / "new" / "n.yaml").write_text(RULES.replace("above: 10", "above: 0"))
    write_labels(place / "l.csv", [Label(START + MINUTE, "d1", "t", "bias", START + 2 * MINUTE, 10.0)])
    report = told("--from", "day.csv", "--rules", "new", "--since", "2014-01-01T00:01Z", "--labels", "l.csv")
    assert report["samples"] == 4
    assert report["scores"][0]["found"] == 1


def test_rules_over_groups_are_left_out_and_named(place: Path) -> None:
    rules = RULES + "  - {alert: SiteHot, expr: avg(t), by: [site], above: 10}\n"
    (place / "rules" / "r.yaml").write_text(rules)
    status, text = run("--from", "day.csv")
    assert status == 0
    assert "left out, because a backtest plays no groups of devices: SiteHot" in text
    assert "Hot d1" in text
    (place / "rules" / "r.yaml").write_text(rules.replace("  - {alert: Hot, expr: t, above: 10}\n", ""))
    status, text = run("--from", "day.csv")
    assert status != 0
    assert "no alert rule to run" in text


def test_sensitivity_needs_enough_readings(place: Path) -> None:
    assert "are needed: give a longer recording" in run("--from", "day.csv", "--sensitivity")[1]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--from", "gone.csv"), "cannot read gone.csv"),
        (("--from", "day.csv", "--rules", "gone"), "gone"),
        (("--from", "day.csv", "-m", "nab"), "no column timestamp"),
        (("--from", "day.csv", "--labels", "gone.csv"), "gone.csv: cannot be read"),
        (("--from", "day.csv", "--labels", "bad.csv"), "a label without a time"),
        (("--from", "day.csv", "--labels", "other.csv"), "no rule is called 'Hott'; did you mean 'Hot'?"),
        (("--from", "day.csv", "--since", "soon"), "'soon' is not a time"),
        (("--from", "day.csv", "--since", "2020-01-01"), "no reading lies within"),
        (("--from", "day.csv", "--within", "5"), "--within: '5' is not a duration"),
        (("--from", "history"), "no"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], why: str, place: Path) -> None:
    (place / "bad.csv").write_text("device,start,end\nd1,,2014-01-01\n")
    write_labels(place / "other.csv", [Label(START, "d1", "", "", START + 1, None, "Hott")])
    status, text = run(*arguments)
    assert status != 0
    assert why in text


def test_no_rules(place: Path) -> None:
    (place / "rules" / "r.yaml").write_text(
        "version: 1\ngroups: [{name: g, rules: [{record: x, expr: t * 2}]}]\n"
    )
    assert "no alert rule to run" in run("--from", "day.csv", "--rules", "rules")[1]


def test_the_history_of_a_gateway_that_has_it_open(place: Path) -> None:
    (place / "gateway.yaml").write_text(
        "mqtt: {url: mqtt://localhost}\nspool: {path: spool}\nwindows: [{every: 1m, bucket: b, keep: 30d}]\n"
    )
    (place / "spool").mkdir()
    (place / "rules" / "r.yaml").write_text(RULES.replace("expr: t", "expr: temperature"))
    store = opened(place / "spool", SETTINGS)
    values = [1.0, 11.0, 12.0, 1.0]
    rows = [(0, T0 + number * MINUTE, value) for number, value in enumerate(values)]
    store.apply([(1, [named(range(1), windows=(closed(0, rows),))])])
    before = (place / "spool" / "store.sqlite").read_bytes()
    report = told("--from", "history")
    assert (place / "spool" / "store.sqlite").read_bytes() == before
    store.close()
    assert [(each["device"], each["fired"], each["for_ms"]) for each in report["alerts"]] == [
        ("dev-0", iso(T0 + 2 * MINUTE - 1), 2 * MINUTE)
    ]
    assert "windows of 1m: each counts as one reading" in report["notes"][0]
    assert told("--from", "history", "--since", str(T0 + 2 * MINUTE))["samples"] == 2
