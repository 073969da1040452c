"""Files of rule tests (`<name>.test.yaml`) as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edge_gateway.rules.files.load import rule_files
from edge_gateway.rules.files.model import LevelName, RuleName
from edge_gateway.rules.files.resolve import Place, RuleSource
from edge_gateway.rules.language.tokens import ExpressionError
from edge_gateway.rules.testing.series_notation import Sample, samples
from fleet_config.durations import Duration
from fleet_config.problems import Problem, ProblemsFound, suggest
from fleet_config.yaml_source import Document, Strict, load_yaml, validate
from fleet_wire.topics import is_level

SUFFIX = ".test.yaml"


class EventSpec(Strict):
    at: Duration
    do: Literal["restart", "reload", "late", "duplicate"]
    """restart and reload concern the gateway; late sends a reading `by` too late, duplicate the last one again."""
    device: str | None = None
    by: Duration | None = None
    values: dict[str, float | str] = Field(default_factory=dict)
    """Of a late reading; what the input says for its time when left out."""
    rule_files: tuple[str, ...] = ()
    """Other rules for a reload."""


class ExpectSpec(Strict):
    at: Duration
    device: str | None = None
    alert: RuleName | None = None
    state: Literal["inactive", "pending", "firing", "resolved"] | None = None
    level: LevelName | None = None
    command: str | None = None
    metric: str | None = None
    value: float | None = None
    """Of a recorded metric, to 9 digits."""
    count: Annotated[int, Field(ge=0)] | None = None
    """How often the alert has fired, or the command was given, up to then."""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class RuleTestSpec(Strict):
    name: str
    interval: Annotated[Duration, Field(gt=0)]
    devices: dict[str, dict[str, str]]
    """Of each device its site, type and tags."""
    input: dict[str, str | float]
    """`device.metric` to a series, one sample an interval."""
    events: tuple[EventSpec, ...] = ()
    expect: Annotated[tuple[ExpectSpec, ...], Field(min_length=1)]


class RuleTestFile(Strict):
    version: Literal[1] = 1
    rule_files: Annotated[tuple[str, ...], Field(min_length=1)]
    tests: Annotated[tuple[RuleTestSpec, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test: `series` by (device, metric); `lines` of its expectations; rule files resolved."""

    file: str
    line: int
    spec: RuleTestSpec
    rule_files: tuple[Path, ...]
    series: dict[tuple[str, str], list[Sample]]
    lines: tuple[int, ...]


def find_files(paths: list[Path]) -> list[Path]:
    """The test files of directories, the tests beside rule files, and test files themselves."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(
                dict.fromkeys(file for file in sorted(path.glob(f"*{SUFFIX}")) if file.name[0] != ".")
            )
        elif path.name.endswith(SUFFIX):
            found[path] = None
        else:
            found[path.with_name(path.name.removesuffix(".yaml") + SUFFIX)] = None
    return list(found)


def read_tests(path: Path) -> list[RuleTest]:
    """The tests of a file; ProblemsFound with all that is wrong in it."""
    document = load_yaml(path)
    spec = validate(RuleTestFile, document)
    source = RuleSource(document, [], "keep")
    rules = tuple(each for name in spec.rule_files for each in rule_files(path.parent / name))
    tests = [_case(test, source.at("tests", number), rules) for number, test in enumerate(spec.tests)]
    if source.problems:
        raise ProblemsFound(source.problems)
    return tests


def _case(test: RuleTestSpec, place: Place, rules: tuple[Path, ...]) -> RuleTest:
    document: Document = place.source.document
    series = {}
    for name, about in test.devices.items():
        for level in (name, about.get("site", "site")):
            if not is_level(level):
                place.at("devices", name).report(
                    f"'{level}' is no name; letters, digits, _ and - are allowed, at most 64"
                )
    for name, text in test.input.items():
        device, _, metric = name.partition(".")
        _known_device(device, test, place.at("input", name))
        try:
            series[device, metric] = samples(str(text))
        except ExpressionError as error:
            place.at("input", name).report_within(error)
    for number, event in enumerate(test.events):
        _check_event(event, test, place.at("events", number))
    for number, expected in enumerate(test.expect):
        _check_expected(expected, test, place.at("expect", number))
    lines = tuple(document.where((*place.path, "expect", number))[0] for number in range(len(test.expect)))
    return RuleTest(document.name, document.where(place.path)[0], test, rules, series, lines)


def _known_device(device: str | None, test: RuleTestSpec, place: Place) -> None:
    if device is not None and device not in test.devices:
        known = ", ".join(test.devices)
        place.report(
            f"there is no device '{device}' in this test; one of {known}{suggest(device, test.devices)}"
        )


def _check_event(event: EventSpec, test: RuleTestSpec, place: Place) -> None:
    _known_device(event.device, test, place.at("device"))
    if event.do in ("late", "duplicate") and event.device is None and len(test.devices) > 1:
        place.report(f"'{event.do}' needs a device")
    if event.do == "late" and not event.by:
        place.report("'late' needs 'by': how old the reading is, as in by: 30s")


def _check_expected(expected: ExpectSpec, test: RuleTestSpec, place: Place) -> None:
    _known_device(expected.device, test, place.at("device"))
    if sum(what is not None for what in (expected.alert, expected.command, expected.metric)) != 1:
        place.report("expect one of 'alert', 'command' and 'metric' here")
    elif expected.alert is not None and expected.state is None and expected.count is None:
        place.report("an alert needs a 'state' or a 'count'")
    elif expected.metric is not None and expected.value is None:
        place.report("a metric needs a 'value'")
    if expected.device is None and len(test.devices) > 1:
        place.report("with several devices an expectation names its 'device'")


def problem_at(test: RuleTest, line: int, message: str) -> Problem:
    """A failed expectation as a problem of the test file."""
    return Problem(test.file, line, 1, message)
