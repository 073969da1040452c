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
from edge_gateway.rules.testing.bench import START, Bench
from edge_gateway.rules.testing.coverage import unreached
from edge_gateway.rules.testing.test_cases import (
    SUFFIX,
    EventSpec,
    ExpectSpec,
    RuleTest,
    find_files,
    problem_at,
    read_tests,
)
from fleet_config.problems import Problem, ProblemsFound
from fleet_wire.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_gateway.records.transition import Transition
    from edge_gateway.rules.language.ruleset import Rule, RuleSet


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """One test and what of it did not come true."""

    file: str
    line: int
    name: str
    failures: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True)
class RuleTestReport:
    """All tests, and what of the rules none of them reached."""

    results: tuple[RuleTestResult, ...]
    uncovered: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return all(result.ok for result in self.results)

    @property
    def failures(self) -> tuple[Problem, ...]:
        return tuple(failure for result in self.results for failure in result.failures)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.ok,
            "tests": [
                {"file": each.file, "line": each.line, "name": each.name, "ok": each.ok}
                | {"failures": [failure.as_dict() for failure in each.failures]}
                for each in self.results
            ],
            "uncovered": list(self.uncovered),
        }


def run_rule_tests(paths: Sequence[Path]) -> RuleTestReport:
    """Run the tests of directories, of rule files (`x.yaml` has its in `x.test.yaml`) or of test files.

    ProblemsFound when a test file or a rule file is wrong, with all that is wrong in any of them.
    """
    tests, problems = _cases(find_files(list(paths)))
    rules, more = _rules(tests)
    if problems or more:
        raise ProblemsFound([*problems, *more])
    results, reached = [], []
    for test in tests:
        result, told, bench = _run(test, rules[test.rule_files])
        results.append(result)
        reached.append((told, frozenset(metric for _, metric in bench.values)))
    return RuleTestReport(tuple(results), unreached(_covered(paths, rules), reached))


def _cases(files: list[Path]) -> tuple[list[RuleTest], list[Problem]]:
    tests: list[RuleTest] = []
    problems: list[Problem] = []
    for file in files:
        try:
            tests += read_tests(file)
        except ProblemsFound as found:
            problems += found.problems
    return tests, problems


def _rules(tests: list[RuleTest]) -> tuple[dict[tuple[Path, ...], RuleSet], list[Problem]]:
    rules: dict[tuple[Path, ...], RuleSet] = {}
    problems: list[Problem] = []
    for files in dict.fromkeys(test.rule_files for test in tests):
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


def _run(test: RuleTest, rules: RuleSet) -> tuple[RuleTestResult, list[Transition], Bench]:
    bench = Bench.of(rules, test.spec.devices)
    failures: list[Problem] = []
    for at in _moments(test):
        if not at % test.spec.interval:
            _send(test, bench, at, at // test.spec.interval)
        bench.pass_time(at)
        for event in test.spec.events:
            if event.at == at:
                _happen(test, bench, event)
        for expected, line in zip(test.spec.expect, test.lines, strict=True):
            report = _fault(test, bench, expected) if expected.at == at else None
            if report is not None:
                failures.append(problem_at(test, line, f"{test.spec.name}: {report}"))
    return RuleTestResult(test.file, test.line, test.spec.name, tuple(failures)), bench.told, bench


def _moments(test: RuleTest) -> list[int]:
    longest = max((len(each) for each in test.series.values()), default=0)
    moments = {number * test.spec.interval for number in range(longest)}
    moments.update(event.at for event in test.spec.events)
    moments.update(expected.at for expected in test.spec.expect)
    return sorted(moments)


def _send(test: RuleTest, bench: Bench, at: int, number: int) -> None:
    for device in test.spec.devices:
        values = _values(test, device, number)
        if values:
            bench.send(at, device, values)


def _values(test: RuleTest, device: str, number: int) -> dict[str, float | str]:
    found = {
        metric: series[number]
        for (owner, metric), series in test.series.items()
        if owner == device and 0 <= number < len(series)
    }
    return {metric: value for metric, value in found.items() if value is not None}


def _happen(test: RuleTest, bench: Bench, event: EventSpec) -> None:
    device = event.device or next(iter(test.spec.devices))
    match event.do:
        case "restart":
            bench.restart()
        case "reload":
            files = tuple(_beside(test, name) for name in event.rule_files) or test.rule_files
            bench.reload(load_rules(files))
        case "late":
            stamped = max(event.at - (event.by or 0), 0)
            values = event.values or _values(test, device, stamped // test.spec.interval)
            bench.send(event.at, device, values, stamped=stamped)
        case "duplicate":
            if device in bench.newest:
                bench.deliver(bench.newest[device], event.at)


def _beside(test: RuleTest, name: str) -> Path:
    return test.rule_files[0].parent / name


# --- expectations


def _fault(test: RuleTest, bench: Bench, expected: ExpectSpec) -> str | None:
    """What is not as expected; None where all is."""
    device = expected.device or next(iter(test.spec.devices))
    if expected.alert is not None:
        return _alert_fault(bench, expected, expected.alert, device)
    if expected.command is not None:
        return _command_fault(bench, expected, expected.command, device)
    value = bench.values.get((device, expected.metric or ""))
    if value is None or not math.isclose(value, expected.value or 0.0, rel_tol=1e-9, abs_tol=1e-12):
        return f"{expected.metric} of {device} is {value} at {_clock(expected)}, not {expected.value}"
    return None


def _alert_fault(bench: Bench, expected: ExpectSpec, alert: str, device: str) -> str | None:
    what = f"{alert} of {device} at {_clock(expected)}"
    standing = next(
        (each for each in bench.evaluator.active_alerts() if (each.rule, each.subject) == (alert, device)),
        None,
    )
    told = [each for each in bench.told if (each.rule, each.subject) == (alert, device)]
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


def _command_fault(bench: Bench, expected: ExpectSpec, command: str, device: str) -> str | None:
    given = sum(
        intent.name == command for each in bench.told if each.subject == device for intent in each.commands
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


def to_junit(report: RuleTestReport) -> str:
    """The report as JUnit XML, one suite a file; XML has no place for control characters, so they are escaped."""
    root = ET.Element("testsuites", name="rules")
    for file in dict.fromkeys(result.file for result in report.results):
        own = [result for result in report.results if result.file == file]
        failed = sum(not result.ok for result in own)
        suite = ET.SubElement(root, "testsuite", name=file, tests=str(len(own)), failures=str(failed))
        for result in own:
            test = ET.SubElement(suite, "testcase", classname=file, name=printable(result.name, None))
            for failure in result.failures:
                told = ET.SubElement(test, "failure", message=printable(failure.message, None))
                told.text = printable(failure, None)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
