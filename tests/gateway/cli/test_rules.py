"""`rules check` and `rules test`: output, exit status and files written."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from edge_gateway.cli import main
from edge_gateway.configuration.shipped import shipped

RULES = """version: 1
groups:
- name: g
  rules:
  - {alert: A, expr: x, above: %s}
"""
TEST = """rule_files: [a.yaml]
tests:
- name: one
  interval: 10s
  devices: {d: {}}
  input: {d.x: "0 2"}
  expect: [{at: 10s, alert: A, state: %s}]
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["rules", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def rules(tmp_path: Path, *, limit: str = "1", state: str = "firing") -> str:
    (tmp_path / "a.yaml").write_text(RULES % limit)
    (tmp_path / "a.test.yaml").write_text(TEST % state)
    return str(tmp_path)


def test_check_counts_the_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(tmp_path)
    assert run(capsys, "check", path)[:2] == (0, f"{path}: 1 rule, good\n")
    status, out, _ = run(capsys, "check", "--json", path)
    report = json.loads(out)
    assert (status, report["ok"], report["rules"], report["problems"]) == (0, True, 1, [])


def test_check_shows_every_error_with_its_position(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rules(tmp_path, limit="1, abov: 2")
    message = "unknown key 'abov'"
    status, out, err = run(capsys, "check", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"{path}/a.yaml:5:35: {message}")
    status, out, _ = run(capsys, "check", "--json", path)
    (problem,) = json.loads(out)["problems"]
    assert (status, problem["line"], problem["column"]) == (2, 5, 35)
    assert problem["message"].startswith(message)


def test_a_rule_that_cannot_work_is_a_warning_and_exits_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = rules(tmp_path, limit="1}\n  - {alert: B, expr: temprature, above: 1")
    message = "expr: no device, test or record has a metric 'temprature'"
    place = f"{tmp_path / 'a.yaml'}:6:22"
    assert run(capsys, "check", path) == (
        0,
        f"{path}: 2 rules, 1 warning\n",
        f"{place}: warning: {message}\n",
    )
    status, out, _ = run(capsys, "check", "--json", path)
    report = json.loads(out)
    assert (status, report["ok"], report["problems"]) == (0, True, [])
    assert report["warnings"] == [
        {"file": str(tmp_path / "a.yaml"), "line": 6, "column": 22, "message": message}
    ]


def test_a_gateway_without_rules_has_none_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text("mqtt: {url: mqtt://localhost}\nrules: null\n")
    status, out, err = run(capsys, "check")
    assert (status, out) == (2, "")
    assert err.startswith("this gateway has no rules: rules.path is null")


def test_the_rules_of_the_working_directory_are_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules").mkdir()
    rules(tmp_path / "rules")
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "check")[:2] == (0, "rules: 1 rule, good\n")


def test_a_passing_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(tmp_path)
    status, out, _ = run(capsys, "test", path)
    assert status == 0
    assert "not covered: A: warning was never cleared" in out
    assert run(capsys, "test", "--coverage", path)[0] == 1


def test_a_failing_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(tmp_path, state="pending")
    status, out, _ = run(capsys, "test", "--json", path)
    (result,) = json.loads(out)["tests"]
    assert (status, result["ok"], result["failures"][0]["line"]) == (1, False, 7)


def test_rules_without_tests_get_a_first_one_to_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cold-chain.yaml").write_text(shipped("rules").joinpath("cold-chain.yaml").read_text())
    status, out, _ = run(capsys, "test", str(tmp_path))
    said, where, _, *example = out.splitlines()
    assert (status, said) == (0, f"no tests in {tmp_path}")
    file = tmp_path / "cold-chain.test.yaml"
    assert str(file) in where
    file.write_text("\n".join(example))
    status, out, _ = run(capsys, "test", str(tmp_path))
    assert (status, "fires when it stays too warm, and clears" in out) == (0, True)


def test_a_directory_without_rules_has_nothing_to_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--json"]):
        status, out, err = run(capsys, "test", *more, str(tmp_path))
        assert (status, out, err) == (2, "", f"no rules and no tests in {tmp_path}\n")


def test_what_is_not_there_is_named_as_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "test", str(tmp_path / "nodir"))
    assert (status, out, err) == (2, "", f"{tmp_path}/nodir: there is no such file or directory\n")


def test_the_last_line_is_the_total(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(tmp_path)
    assert run(capsys, "test", path)[1].splitlines()[-1] == "1 test in 1 file passed"
    (tmp_path / "b.test.yaml").write_text(TEST % "pending")
    status, out, _ = run(capsys, "test", path)
    assert (status, out.splitlines()[-1]) == (1, "1 of 2 tests in 2 files failed")


def test_junit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, file = rules(tmp_path), tmp_path / "out.xml"
    assert run(capsys, "test", "--junit", str(file), path)[0] == 0
    (suite,) = ET.parse(file).getroot()
    assert suite.get("tests") == "1"


@pytest.mark.parametrize("file", ["", "nowhere/out.xml"])
def test_junit_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str) -> None:
    status, _, err = run(capsys, "test", "--junit", str(tmp_path / file), rules(tmp_path))
    assert status == 2
    assert f"--junit: {tmp_path / file} cannot be written" in err.replace("\n", " ")


def test_the_cost_of_rules_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rules(tmp_path)
    status, out, _ = run(capsys, "check", "--cost", "--devices", "50", path)
    assert status == 0
    assert "if every rule runs on 50 devices" in out
    status, out, _ = run(capsys, "check", "--cost", "--json", path)
    cost = json.loads(out)["cost"]
    assert (status, [row["rule"] for row in cost["rules"]], cost["total"]["devices"]) == (0, ["A"], 1_000)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_record_that_the_inventory_says_is_measured_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules").mkdir()
    Path("rules/a.yaml").write_text(RULES % 1 + "  - {record: half, expr: x / 2}\n")
    Path("devices.csv").write_text("id,site,type,metrics\nd1,s,pump,x half\n")
    Path("gateway.yaml").write_text("mqtt: {url: mqtt://localhost}\ninventory: devices.csv\n")
    status, out, err = run(capsys, "check", "rules", *["--json"] * as_json)
    assert status == 2
    assert "device 'd1' measures 'half'; give the record another name" in (out if as_json else err)
