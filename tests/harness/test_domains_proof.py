"""The proof of the shipped rules sees what it is to see."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_sim.ledger.reading import Ledger, read_ledger
from fleet_sim.ledger.writing import LedgerWriter
from tests.proofs.domains import proof as domains
from tests.proofs.proof import Findings

MINUTE = 60_000
DOOR = {"rule": "Open", "metric": "door", "state": "open", "for": "5m"}
RULES = {"groups": [{"rules": [{"alert": "Hot", "expr": "heat"}, {"alert": "Silent", "no_data": {}}]}]}


def ledger_of(directory: Path, doors: list[tuple[int, str]] = []) -> Ledger:  # noqa: B006 - never changed
    """A run of ten minutes with one fault on `d0`, that `Hot` must find; a door is read at the minutes given."""
    with LedgerWriter(directory) as ledger:
        ledger.header({"name": "t", "start_ms": 0, "started_us": 0, "speed": 1.0})
        columns = ledger.group("probe", [], ["door"])
        ledger.devices(0, 0, [{"id": "d0", "site": "s", "type": "probe", "tags": {}}])
        for seq, (at, word) in enumerate(doors):
            row = {"device": 0, "boot": 1, "seq": seq, "ts": at * MINUTE, "sent": 1, "flags": 0, "present": 1}
            for name, value in row.items():
                getattr(columns, name).append(value)
            columns.states[0].append(ledger.text(word))
        expect = {"rule": "Hot", "within": MINUTE, "level": "warning"}
        ledger.note(
            "fault", number=0, kind="event", metric="heat", devices=["d0"], expect=expect,
            **{"from": MINUTE, "until": 2 * MINUTE},
        )  # fmt: skip
        ledger.end("finished", {"at": 10 * MINUTE * 1000})
    return read_ledger(directory)


def step(
    rule: str, at: int, *, level: str = "warning", state: str = "firing", number: int = 1
) -> dict[str, Any]:
    return {
        "id": f"{rule}{number}", "rule": rule, "level": level, "state": state, "subject": "d0", "at": at,
        "event": state, "metric": "heat",
    }  # fmt: skip


def judged(ledger: Ledger, *rows: dict[str, Any], course: dict[str, Any] | None = None) -> Findings:
    findings = Findings()
    domains.judge(findings, ledger, rows, course or {}, RULES)
    return findings


def test_an_alert_at_its_level_and_in_time_is_found(tmp_path: Path) -> None:
    assert judged(ledger_of(tmp_path), step("Hot", MINUTE + 1)).ok


@pytest.mark.parametrize("late", [{"at": 3 * MINUTE}, {"at": MINUTE + 1, "level": "info"}])
def test_one_that_is_late_or_below_its_level_is_missed(tmp_path: Path, late: dict[str, Any]) -> None:
    assert judged(ledger_of(tmp_path), step("Hot", **late)).alerts_lost == 1


def test_one_that_nothing_explains_is_false(tmp_path: Path) -> None:
    found = judged(ledger_of(tmp_path), step("Hot", MINUTE + 1), step("Hot", 8 * MINUTE, number=2))
    assert found.forbidden["false alarm"] == 1


def test_a_rule_that_no_fault_must_raise_is_named(tmp_path: Path) -> None:
    findings = Findings()
    more = {
        "groups": [
            *RULES["groups"],
            {"rules": [{"alert": "Never", "expr": "heat"}, {"record": "r", "expr": "x"}]},
        ]
    }
    domains.judge(findings, ledger_of(tmp_path), [step("Hot", MINUTE + 1)], {}, more)
    assert findings.examples == ["rule not judged: no fault must raise Never"]


@pytest.mark.parametrize(
    ("doors", "right"),
    [
        ([(0, "open"), (4, "open"), (6, "open"), (7, "closed")], {1}),
        ([(0, "open"), (4, "open"), (6, "closed")], {0, 1}),
        ([(0, "open"), (4, "open"), (4, "closed"), (5, "open"), (9, "open")], {0}),
    ],
)
def test_doors_are_judged_by_what_was_read(
    tmp_path: Path, doors: list[tuple[int, str]], right: set[int]
) -> None:
    ledger = ledger_of(tmp_path, doors)
    for times in range(3):
        opened = [step("Open", 5 * MINUTE, number=number) for number in range(times)]
        found = judged(ledger, step("Hot", MINUTE + 1), *opened, course={"door": DOOR})
        assert found.ok is (times in right), (times, found.examples)


def test_each_domain_has_a_course_whose_scenario_can_be_read() -> None:
    root = domains.ROOT
    courses = {path.stem: yaml.safe_load(path.read_text()) for path in domains.HERE.glob("*.yaml")}
    assert courses.keys() == {path.stem for path in (root / "fleet_sim" / "profiles").glob("*.yaml")}
    for name, course in courses.items():
        profile = yaml.safe_load((root / "fleet_sim" / "profiles" / f"{name}.yaml").read_text())
        scenario = yaml.safe_load(domains.scenario_of(profile, course))
        assert scenario["faults"] == course["faults"]
        assert {group["count"] for group in scenario["fleet"].values()} == {course["devices"]}
