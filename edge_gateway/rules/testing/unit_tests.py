"""Tests of rules, in promtool's shape: what goes in, what happens on the way, and what must have come of it.

The real evaluator runs over a small fleet. Readings come at each interval; time passes to each moment that is
asked about, and to each event. `restart` goes through the bytes of a snapshot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from edge_gateway.rules.files.load import load_rules, rule_files
from edge_gateway.rules.testing.cases import (
    SUFFIX,
    Case,
    EventSpec,
    ExpectSpec,
    case_files,
    problem_at,
    read_cases,
)
from edge_gateway.rules.testing.coverage import unreached
from edge_gateway.rules.testing.rehearsal import START, Rehearsal
from fleet_config.problems import Problem, ProblemsFound
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_gateway.records.alerts import Transition
    from edge_gateway.rules.language.ruleset import Rule, RuleSet


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test and what of it did not come true."""

    file: str
    line: int
    name: str
    failures: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True)
class Report:
    """All tests, and what of the rules none of them reached."""

    outcomes: tuple[Outcome, ...]
    uncovered: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return all(outcome.ok for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[Problem, ...]:
        return tuple(failure for outcome in self.outcomes for failure in outcome.failures)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.ok,
            "tests": [
                {"file": each.file, "line": each.line, "name": each.name, "ok": each.ok}
                | {"failures": [failure.as_dict() for failure in each.failures]}
                for each in self.outcomes
            ],
            "uncovered": list(self.uncovered),
        }


def run_rule_tests(paths: Sequence[Path]) -> Report:
    """Run the tests of directories, of rule files (`x.yaml` has its in `x.test.yaml`) or of test files.

    ProblemsFound when a test file or a rule file is wrong, with all that is wrong in any of them.
    """
    cases, problems = _cases(case_files(list(paths)))
    rules, more = _rules(cases)
    if problems or more:
        raise ProblemsFound([*problems, *more])
    outcomes, reached = [], []
    for case in cases:
        outcome, told, rehearsal = _run(case, rules[case.rule_files])
        outcomes.append(outcome)
        reached.append((told, frozenset(metric for _, metric in rehearsal.values)))
    return Report(tuple(outcomes), unreached(_covered(paths, rules), reached))


def _cases(files: list[Path]) -> tuple[list[Case], list[Problem]]:
    cases: list[Case] = []
    problems: list[Problem] = []
    for file in files:
        try:
            cases += read_cases(file)
        except ProblemsFound as found:
            problems += found.problems
    return cases, problems


def _rules(cases: list[Case]) -> tuple[dict[tuple[Path, ...], RuleSet], list[Problem]]:
    rules: dict[tuple[Path, ...], RuleSet] = {}
    problems: list[Problem] = []
    for files in dict.fromkeys(case.rule_files for case in cases):
        try:
            rules[files] = load_rules(files)
        except ProblemsFound as found:
            problems += found.problems
    return rules, problems


def _covered(paths: Sequence[Path], rules: dict[tuple[Path, ...], RuleSet]) -> list[Rule]:
    """Every rule that the tests could have reached: those they load, and those of the files asked for."""
    asked = [file for path in paths if not path.name.endswith(SUFFIX) for file in rule_files(path)]
    loaded = {file.resolve() for files in rules for file in files}
    extra = [file for file in asked if file.resolve() not in loaded]
    found = {rule.name: rule for ruleset in rules.values() for rule in ruleset.rules}
    found |= {rule.name: rule for rule in load_rules(extra).rules}
    return list(found.values())


# --- one test


def _run(case: Case, rules: RuleSet) -> tuple[Outcome, list[Transition], Rehearsal]:
    rehearsal = Rehearsal.of(rules, case.spec.devices)
    failures: list[Problem] = []
    for at in _moments(case):
        if not at % case.spec.interval:
            _send(case, rehearsal, at, at // case.spec.interval)
        rehearsal.pass_time(at)
        for event in case.spec.events:
            if event.at == at:
                _happen(case, rehearsal, event)
        for expected, line in zip(case.spec.expect, case.lines, strict=True):
            fault = _fault(case, rehearsal, expected) if expected.at == at else None
            if fault is not None:
                failures.append(problem_at(case, line, f"{case.spec.name}: {fault}"))
    return Outcome(case.file, case.line, case.spec.name, tuple(failures)), rehearsal.told, rehearsal


def _moments(case: Case) -> list[int]:
    longest = max((len(each) for each in case.series.values()), default=0)
    moments = {number * case.spec.interval for number in range(longest)}
    moments.update(event.at for event in case.spec.events)
    moments.update(expected.at for expected in case.spec.expect)
    return sorted(moments)


def _send(case: Case, rehearsal: Rehearsal, at: int, number: int) -> None:
    for device in case.spec.devices:
        values = _values(case, device, number)
        if values:
            rehearsal.send(at, device, values)


def _values(case: Case, device: str, number: int) -> dict[str, float | str]:
    found = {
        metric: series[number]
        for (owner, metric), series in case.series.items()
        if owner == device and 0 <= number < len(series)
    }
    return {metric: value for metric, value in found.items() if value is not None}


def _happen(case: Case, rehearsal: Rehearsal, event: EventSpec) -> None:
    device = event.device or next(iter(case.spec.devices))
    match event.do:
        case "restart":
            rehearsal.restart()
        case "reload":
            files = tuple(_beside(case, name) for name in event.rule_files) or case.rule_files
            rehearsal.reload(load_rules(files))
        case "late":
            stamped = max(event.at - (event.by or 0), 0)
            values = event.values or _values(case, device, stamped // case.spec.interval)
            rehearsal.send(event.at, device, values, stamped=stamped)
        case "duplicate":
            if device in rehearsal.newest:
                rehearsal.deliver(rehearsal.newest[device], event.at)


def _beside(case: Case, name: str) -> Path:
    return case.rule_files[0].parent / name


# --- expectations


def _fault(case: Case, rehearsal: Rehearsal, expected: ExpectSpec) -> str | None:
    """What is not as expected; None where all is."""
    device = expected.device or next(iter(case.spec.devices))
    if expected.alert is not None:
        return _alert_fault(rehearsal, expected, expected.alert, device)
    if expected.command is not None:
        return _command_fault(rehearsal, expected, expected.command, device)
    value = rehearsal.values.get((device, expected.metric or ""))
    if value is None or not math.isclose(value, expected.value or 0.0, rel_tol=1e-9, abs_tol=1e-12):
        return f"{expected.metric} of {device} is {value} at {_clock(expected)}, not {expected.value}"
    return None


def _alert_fault(rehearsal: Rehearsal, expected: ExpectSpec, alert: str, device: str) -> str | None:
    what = f"{alert} of {device} at {_clock(expected)}"
    standing = next(
        (
            each
            for each in rehearsal.evaluator.standing_alerts()
            if (each.rule, each.subject) == (alert, device)
        ),
        None,
    )
    told = [each for each in rehearsal.told if (each.rule, each.subject) == (alert, device)]
    fired = sum(
        each.cause in ("firing", "no_data") and each.state == "firing" and not each.previous_level
        for each in told
    )
    if expected.count is not None and fired != expected.count:
        return f"{what} has fired {fired} times, not {expected.count}"
    shown = standing or (told[-1] if told else None)
    state = shown.state if shown is not None else "inactive"
    if expected.state is not None and not _is_state(state, expected.state):
        return f"{what} is {state}{_history(told)}, not {expected.state}"
    if expected.level is not None and (shown is None or shown.level != expected.level):
        return (
            f"{what} has the level {shown.level if shown else 'none'}{_history(told)}, not {expected.level}"
        )
    return None if shown is None else _text_fault(what, shown, expected)


def _is_state(state: str, expected: str) -> bool:
    return state == expected or (expected == "inactive" and state == "resolved")


def _text_fault(what: str, shown: Transition, expected: ExpectSpec) -> str | None:
    for key, wanted, given in (
        ("label", expected.labels, shown.labels),
        ("annotation", expected.annotations, shown.annotations),
    ):
        for name, text in wanted.items():
            if given.get(name) != text:
                return f"{what}: the {key} {name} is {given.get(name)!r}, not {text!r}"
    return None


def _history(told: list[Transition]) -> str:
    steps = [f"{each.state} {each.level} at {(each.at - START) / 1000:g}s" for each in told[-3:]]
    return f" ({', '.join(steps)})" if steps else ""


def _command_fault(rehearsal: Rehearsal, expected: ExpectSpec, command: str, device: str) -> str | None:
    given = sum(
        intent.name == command
        for each in rehearsal.told
        if each.subject == device
        for intent in each.commands
    )
    if expected.count is None and given:
        return None
    if given == expected.count:
        return None
    wanted = "at least once" if expected.count is None else f"{expected.count} times"
    return f"{command} to {device} was given {given} times up to {_clock(expected)}, not {wanted}"


def _clock(expected: ExpectSpec) -> str:
    return f"{expected.at / 1000:g}s"


# --- JUnit


def to_junit(report: Report) -> str:
    """The report as JUnit XML, one suite a file; XML has no place for control characters, so they are escaped."""
    root = ET.Element("testsuites", name="rules")
    for file in dict.fromkeys(outcome.file for outcome in report.outcomes):
        own = [outcome for outcome in report.outcomes if outcome.file == file]
        failed = sum(not outcome.ok for outcome in own)
        suite = ET.SubElement(root, "testsuite", name=file, tests=str(len(own)), failures=str(failed))
        for outcome in own:
            test = ET.SubElement(suite, "testcase", classname=file, name=printable(outcome.name, None))
            for failure in outcome.failures:
                told = ET.SubElement(test, "failure", message=printable(failure.message, None))
                told.text = printable(failure, None)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
