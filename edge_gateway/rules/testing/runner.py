"""Run rule tests: the real evaluator over a small fleet, with promtool's way of stating input and expectations.

Readings are sent at every interval. Time passes to each interval, event and expectation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_gateway.rules.files.load import TEST_ENDINGS, load_rules, rule_files
from edge_gateway.rules.testing.bench import Bench
from edge_gateway.rules.testing.coverage import unreached
from edge_gateway.rules.testing.definitions import RuleTest, find_files, read_tests
from edge_gateway.rules.testing.expectations import failure
from edge_gateway.rules.testing.names import check_names
from fleet_config.problems import Problem, ProblemsFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_gateway.rules.language.ruleset import Rule, RuleSet
    from edge_gateway.rules.testing.definitions import EventSpec

RuleSets = dict[tuple["Path", ...], "RuleSet"]
"""The rule set of each combination of rule files."""


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """One test and the expectations that were not met."""

    file: str
    line: int
    name: str
    failures: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True)
class RuleTestReport:
    """The results of all tests; `uncovered`: what no test reached, one line each."""

    results: tuple[RuleTestResult, ...]
    uncovered: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return all(result.ok for result in self.results)

    @property
    def failures(self) -> tuple[Problem, ...]:
        return tuple(problem for result in self.results for problem in result.failures)

    def as_dict(self) -> dict[str, Any]:
        """The report for `--json`."""
        return {
            "ok": self.ok,
            "tests": [
                {"file": each.file, "line": each.line, "name": each.name, "ok": each.ok}
                | {"failures": [problem.as_dict() for problem in each.failures]}
                for each in self.results
            ],
            "uncovered": list(self.uncovered),
        }


def run_rule_tests(paths: Sequence[Path]) -> RuleTestReport:
    """Run the tests of directories, rule files (`x.yaml` has its tests in `x.test.yaml`) or test files.

    ProblemsFound with the errors of all test files and rule files.
    """
    problems: list[Problem] = []
    tests = _read_all(find_files(list(paths)), problems)
    rules = _load_all(tests, problems)
    if not problems:
        problems += [problem for test in tests for problem in check_names(test, _rules_of(test, rules))]
    if problems:
        raise ProblemsFound(problems)
    benches = [_run(test, rules) for test in tests]
    reached = [(bench.transitions, frozenset(metric for _, metric in bench.values)) for _, bench in benches]
    return RuleTestReport(tuple(result for result, _ in benches), unreached(_covered(paths, rules), reached))


def _read_all(files: list[Path], problems: list[Problem]) -> list[RuleTest]:
    tests: list[RuleTest] = []
    for file in files:
        try:
            tests += read_tests(file)
        except ProblemsFound as found:
            problems += found.problems
    return tests


def _load_all(tests: list[RuleTest], problems: list[Problem]) -> RuleSets:
    rules: RuleSets = {}
    for test in tests:
        for files in _files_of(test):
            try:
                rules[files] = rules.get(files) or load_rules(files)
            except ProblemsFound as found:
                problems += found.problems
    return rules


def _files_of(test: RuleTest) -> list[tuple[Path, ...]]:
    """The rule files that a test loads: at its start, and at each reload."""
    reloads = [test.files_after(event) for event in test.spec.events if event.do == "reload"]
    return list(dict.fromkeys([test.rule_files, *reloads]))


def _rules_of(test: RuleTest, rules: RuleSets) -> list[Rule]:
    return [rule for files in _files_of(test) for rule in rules[files].rules]


def _covered(paths: Sequence[Path], rules: RuleSets) -> list[Rule]:
    """The rules that should be tested: those that tests load, and those of the files among `paths`."""
    asked = [file for path in paths if not path.name.endswith(TEST_ENDINGS) for file in rule_files(path)]
    loaded = {file.resolve() for files in rules for file in files}
    extra = [file for file in asked if file.resolve() not in loaded]
    found = {rule.name: rule for ruleset in rules.values() for rule in ruleset.rules}
    found |= {rule.name: rule for rule in load_rules(extra).rules}
    return list(found.values())


# --- one test


def _run(test: RuleTest, rules: RuleSets) -> tuple[RuleTestResult, Bench]:
    bench = Bench.of(rules[test.rule_files].within(test.zones), test.spec.devices)
    failures: list[Problem] = []
    for at in _moments(test):
        if not at % test.spec.interval:
            _send(test, bench, at)
        bench.pass_time(at)
        for event in test.spec.events:
            if event.at == at:
                _perform(test, bench, event, rules)
        failures += _failures(test, bench, at)
    return RuleTestResult(test.file, test.line, test.spec.name, tuple(failures)), bench


def _moments(test: RuleTest) -> list[int]:
    """The times at which something happens, in ms from the start of the test."""
    longest = max((len(each) for each in test.series.values()), default=0)
    moments = {number * test.spec.interval for number in range(longest)}
    moments.update(event.at for event in test.spec.events)
    moments.update(expected.at for expected in test.spec.expect)
    return sorted(moments)


def _send(test: RuleTest, bench: Bench, at: int) -> None:
    for device in test.spec.devices:
        values = _values(test, device, at)
        if values:
            bench.send(at, device, values)


def _values(test: RuleTest, device: str, at: int) -> dict[str, float | str]:
    """The input of a device for the interval that contains `at`."""
    number = at // test.spec.interval
    found = {
        metric: series[number]
        for (owner, metric), series in test.series.items()
        if owner == device and number < len(series)
    }
    return {metric: value for metric, value in found.items() if value is not None}


def _perform(test: RuleTest, bench: Bench, event: EventSpec, rules: RuleSets) -> None:
    device = test.device_of(event)
    match event.do:
        case "restart":
            bench.restart()
        case "reload":
            bench.reload(rules[test.files_after(event)].within(test.zones))
        case "late":
            measured_at = max(event.at - (event.by or 0), 0)
            values = event.values or _values(test, device, measured_at)
            bench.send(event.at, device, values, measured_at=measured_at)
        case "will":
            bench.leave(device, event.at)
        case "birth":
            bench.reboot(device, event.at)
        case _:
            bench.repeat_newest(device, event.at)


def _failures(test: RuleTest, bench: Bench, at: int) -> list[Problem]:
    return [
        Problem(test.file, test.line_of("expect", number), 1, f"{test.spec.name}: {message}")
        for number, expected in enumerate(test.spec.expect)
        if expected.at == at
        and (message := failure(bench, expected, test.subject_of(expected, bench.evaluator.rules.rules)))
        is not None
    ]
