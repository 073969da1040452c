"""`rules ls`, `rules explain` and `rules diff`: of a running gateway, and without one."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edge_gateway.cli import main, rule_tools, rules
from edge_gateway.configuration.loading import load_config
from edge_gateway.errors import BadInput
from edge_gateway.journal import checkpoint
from edge_gateway.journal.spool import CHECKPOINTS, SOCKET
from edge_gateway.records.inputs import Moment, Reload
from edge_gateway.recovery.settings import fold_settings
from edge_gateway.recovery.state import State
from edge_gateway.rules.files.load import load_rules
from edge_gateway.rules.inspection.changes import as_row, compare
from edge_gateway.rules.inspection.explanation import explain
from edge_gateway.rules.inspection.in_force import describe_in_force
from edge_gateway.rules.language.ruleset import RuleSet
from fleet_wire import local_socket
from tests.gateway.rules.fleet import T0, Stage

RULES = """version: 1
groups:
- name: g
  match: {type: freezer}
  rules:
  - {alert: Hot, expr: t, above: 10, clear: 8}
  - {alert: Damp, expr: h, above: 90, for: 10s}
  - {record: double, expr: t * 2}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES)
    path = tmp_path / "gateway.yaml"
    path.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    return path


class Running:
    """Stands in for a running gateway: real rules over a small fleet."""

    def __init__(self, file: Path) -> None:
        self.stage = Stage(*load_rules(file.parent / "rules").rules)
        self.stage.fleet.born("f1")
        self.stage.read(1, "f1", t=20)
        self.requests: list[dict[str, Any]] = []

    def __call__(self, _: object, request: dict[str, Any], __: Path | None) -> Any:
        self.requests.append(request)
        return json.loads(json.dumps(self._answer(request)))

    def _answer(self, request: dict[str, Any]) -> Any:
        evaluator = self.stage.evaluator
        if request["do"] == "explain":
            found = [rule for rule in evaluator.rules.rules if rule.name == request["rule"]]
            return [explain(evaluator, rule, 0, ["t"]) for rule in found]
        if request["do"] == "try_rules":
            new = RuleSet.from_plain(request["rules"])
            return [
                {**as_row(change), "touched": 0, "alerts": []} for change in compare(evaluator.rules, new)
            ]
        return describe_in_force(evaluator)


@pytest.fixture
def running(file: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    gateway = Running(file)
    monkeypatch.setattr(rule_tools, "ask", gateway)
    monkeypatch.setattr(rules, "ask", gateway)
    return gateway


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["rules", *arguments])
    return ended.value.code


def test_the_rules_in_force_are_listed(
    file: Path, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ls", "-c", str(file)) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[:4] == ["Hot", "1", "1", "0"]
    assert "no reading has evaluated since the rules were loaded: Damp" in out
    assert running.requests == [{"do": "rules"}]


def test_one_rule_is_shown(file: Path, running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ls", "Hot", "--json", "-c", str(file)) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["alerts"][0]["device"]) == ("Hot", "f1")
    assert running.requests == [{"do": "rules"}]


@pytest.mark.usefixtures("running")
def test_a_rule_that_there_is_not_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ls", "Hott", "-c", str(file)) == 2
    assert capsys.readouterr().err == "no rule 'Hott' is in force; did you mean 'Hot'?\n"


def test_without_a_gateway_the_files_are_shown_and_that_is_said(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "spool").mkdir()
    assert run("ls", "-c", str(file)) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["rule", "limits"]
    assert "Hot     t: warning above 10, clear at 8" in out
    assert err.startswith("no gateway runs on the spool ")
    assert err.endswith(": these are the rules of the files\n")
    assert run("ls", "double", "--json", "-c", str(file)) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "record"


async def test_a_gateway_that_cannot_answer_is_not_taken_for_one_that_does_not_run(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(_: object) -> Any:
        raise local_socket.RequestFailed("the gateway is starting: ask again")

    (file.parent / "spool").mkdir()
    async with local_socket.serve(file.parent / "spool" / SOCKET, answer):
        assert await asyncio.to_thread(run, "ls", "-c", str(file)) == 3
    assert capsys.readouterr().err == "the gateway is starting: ask again\n"


def test_a_folder_of_rules_needs_no_configuration(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("mqtt: {urll: x}\n")
    monkeypatch.chdir(file.parent)
    assert run("ls", "-c", str(file)) == 2
    assert "urll" in capsys.readouterr().err
    file.unlink()
    assert run("ls") == 0
    assert "Hot" in capsys.readouterr().out


def test_a_folder_that_is_missing_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\nrules: {path: nowhere}\n")
    assert run("ls", "-c", str(file)) == 2
    assert "no such file or directory" in capsys.readouterr().err


def test_a_rule_is_explained(file: Path, running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "Hot", "--device", "f1", "-c", str(file)) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "Hot on f1 (site berlin, type freezer): firing since 2026-01-01 00:00:01Z\n- it fires at"
    )
    assert running.requests == [{"do": "explain", "rule": "Hot", "device": "f1"}]
    assert run("explain", "Hot", "-d", "f1", "--json", "-c", str(file)) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 20


def test_nothing_is_explained_without_a_gateway(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file.parent / "spool").mkdir()
    assert run("explain", "Hot", "-d", "f1", "-c", str(file)) == 3
    assert capsys.readouterr().err.startswith("no gateway runs on the spool ")


def test_changes_of_the_files_are_shown_before_they_are_loaded(
    file: Path, running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", "-c", str(file)) == 0
    assert capsys.readouterr().out == "3 rules unchanged\n"
    candidate = file.parent / "candidate"
    candidate.mkdir()
    (candidate / "a.yaml").write_text(
        RULES.replace("above: 10, clear: 8", "above: 12").replace("Damp", "Wet")
    )
    assert run("diff", str(candidate), "--json", "-c", str(file)) == 0
    found = {row["rule"]: row["change"] for row in json.loads(capsys.readouterr().out)}
    assert found == {"Hot": "changed", "Wet": "added", "double": "unchanged", "Damp": "removed"}
    assert [request["do"] for request in running.requests] == ["try_rules", "try_rules"]


@pytest.mark.usefixtures("running")
def test_rules_that_are_wrong_are_no_change(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file.parent / "rules" / "a.yaml").write_text(RULES.replace("expr: t,", "expr: t +,"))
    assert run("diff", "-c", str(file)) == 2
    assert "a.yaml:6:27" in capsys.readouterr().err
    assert run("diff", "nowhere", "-c", str(file)) == 2
    assert "nowhere" in capsys.readouterr().err


def test_without_a_gateway_its_last_checkpoint_is_compared(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "spool").mkdir()
    assert run("diff", "-c", str(file)) == 2
    assert "there is no checkpoint" in capsys.readouterr().err
    state = State.new("", fold_settings(load_config(file, environment={}).config))
    state.pipeline.fold(Reload(Moment(T0, 0), load_rules(file.parent / "rules").to_plain()))
    place = file.parent / "spool" / CHECKPOINTS
    place.mkdir()
    checkpoint.write_checkpoint(place, 1, state.snapshot())
    (file.parent / "rules" / "a.yaml").write_text(RULES.replace("above: 90", "above: 95"))
    assert run("diff", "-c", str(file)) == 0
    out, err = capsys.readouterr()
    assert "warning above 90, for 10s  →  warning above 95, for 10s" in out
    assert err.endswith(": compared with its last checkpoint\n")


def test_an_explanation_is_about_a_device_or_a_group() -> None:
    assert rule_tools.about("f1", None) == {"device": "f1"}
    assert rule_tools.about(None, "site=berlin, room=2") == {"group": {"site": "berlin", "room": "2"}}
    for device, group in ((None, None), ("f1", "site=berlin")):
        with pytest.raises(BadInput, match="--device, or --group"):
            rule_tools.about(device, group)
    with pytest.raises(BadInput, match="write key=value"):
        rule_tools.about(None, "berlin")
