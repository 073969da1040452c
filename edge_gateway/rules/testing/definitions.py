"""The schema of rule test files (`<name>.test.yaml` or `.test.yml`), and reading them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, FiniteFloat

from edge_gateway.records.alerts import group_subject
from edge_gateway.rules.files.inhibits import LevelName
from edge_gateway.rules.files.load import TEST_ENDINGS, is_test_file, rule_files
from edge_gateway.rules.files.model import RuleName
from edge_gateway.rules.files.places import Place, RuleSource
from edge_gateway.rules.files.zone_data import read_zones
from edge_gateway.rules.language.tokens import ExpressionError
from edge_gateway.rules.language.zones import UTC_EVERYWHERE, Zones
from edge_gateway.rules.testing.series_notation import Sample, samples
from fleet_config.durations import Duration
from fleet_config.problems import NOWHERE, Problem, ProblemsFound, suggest
from fleet_config.validation import Strict, validate
from fleet_config.yaml_source import load_yaml
from fleet_wire.telemetry import is_metric_name
from fleet_wire.topics import is_level

if TYPE_CHECKING:
    from edge_gateway.rules.language.ruleset import Rule

MAX_DEVICES = 1_000
OF_A_DEVICE = frozenset({"late", "duplicate", "will", "birth"})
"""Events that happen to a device, all others to the gateway."""


class EventSpec(Strict):
    at: Duration
    do: Literal["restart", "reload", "late", "duplicate", "will", "birth"]
    """Restart the gateway, reload its rules, send a reading `by` too late, repeat the last reading, let the broker say
    that the device is offline, or let the device begin its next boot.
    """
    device: str | None = None
    by: Duration | None = None
    values: dict[str, FiniteFloat | str] = Field(default_factory=dict)
    """Of a late reading; by default what `input` says for its time."""
    rule_files: tuple[str, ...] = ()
    """The rules after a reload; by default those of the test."""


class ExpectSpec(Strict):
    at: Duration
    device: str | None = None
    group: Annotated[dict[str, str], Field(min_length=1)] | None = None
    """Of an alert with `by` the group, as in {site: berlin}."""
    alert: RuleName | None = None
    state: Literal["inactive", "pending", "firing", "resolved"] | None = None
    level: LevelName | None = None
    command: str | None = None
    """A command's id, or a name: then all commands of that name count."""
    metric: str | None = None
    value: float | None = None
    """Of a recorded metric, compared to 9 digits."""
    count: Annotated[int, Field(ge=0)] | None = None
    """How often the alert fired, or the command was sent, up to then."""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class RuleTestSpec(Strict):
    name: str
    interval: Annotated[Duration, Field(gt=0)]
    zone: str | None = None
    """The time zone of all sites, such as Europe/Berlin; UTC by default. A test begins on 2026-01-01 at 00:00 UTC."""
    devices: Annotated[dict[str, dict[str, str]], Field(min_length=1, max_length=MAX_DEVICES)]
    """Site, type and tags of each device."""
    input: dict[str, str | float]
    """`device.metric` to a series with one sample per interval."""
    events: tuple[EventSpec, ...] = ()
    expect: Annotated[tuple[ExpectSpec, ...], Field(min_length=1)]


class RuleTestFile(Strict):
    version: Literal[1] = 1
    rule_files: Annotated[tuple[str, ...], Field(min_length=1)]
    tests: Annotated[tuple[RuleTestSpec, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test of a file. `series` is keyed by (device, metric); `place` is that of the test in its file."""

    spec: RuleTestSpec
    place: Place
    path: Path
    rule_files: tuple[Path, ...]
    series: dict[tuple[str, str], list[Sample]]
    zones: Zones

    @property
    def file(self) -> str:
        return self.place.source.document.name

    @property
    def line(self) -> int:
        return self.line_of()

    def line_of(self, *path: str | int) -> int:
        """The line of a value of the test, or of the test itself."""
        return self.place.source.document.where((*self.place.path, *path))[0]

    def device_of(self, spec: EventSpec | ExpectSpec) -> str:
        """The device that an event or an expectation is about; a test with only one need not name it."""
        return spec.device or next(iter(self.spec.devices))

    def subject_of(self, expected: ExpectSpec, rules: Iterable[Rule]) -> str:
        """What an expectation is about: a device, or the group of one of the rules as its alerts name it."""
        if expected.group is None:
            return self.device_of(expected)
        by = next((rule.by for rule in rules if rule.name == expected.alert), ())
        return group_subject({key: expected.group[key] for key in by if key in expected.group})

    def files_after(self, reload: EventSpec) -> tuple[Path, ...]:
        """The rule files in force after a reload."""
        return _resolved(self.path, reload.rule_files) or self.rule_files


def find_files(paths: list[Path]) -> list[Path]:
    """The test files in directories, those beside rule files, and the test files among `paths`.

    ProblemsFound for a path that is not there, by the name it was given.
    """
    found: dict[Path, None] = {}
    _check_found(paths)
    for path in paths:
        if path.is_dir():
            files = (file for file in sorted(path.iterdir()) if is_test_file(file.name))
            found.update(dict.fromkeys(files))
        elif path.name.endswith(TEST_ENDINGS):
            found[path] = None
        else:
            found[test_file_of(path)] = None
    return list(found)


def test_file_of(rules: Path) -> Path:
    """The file of the tests of a rule file, with either ending; the first one if there is none yet."""
    places = [rules.with_name(rules.stem + ending) for ending in TEST_ENDINGS]
    return next((place for place in places if place.exists()), places[0])


def _check_found(paths: list[Path]) -> None:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ProblemsFound(
            [Problem(str(path), *NOWHERE, "there is no such file or directory") for path in missing]
        )


def read_tests(path: Path) -> list[RuleTest]:
    """The tests of a file. ProblemsFound with all of its errors."""
    document = load_yaml(path)
    spec = validate(RuleTestFile, document)
    source = RuleSource(document, [], "keep")
    rules = _resolved(path, spec.rule_files)
    tests = [
        _rule_test(test, source.at("tests", number), path, rules) for number, test in enumerate(spec.tests)
    ]
    if source.problems:
        raise ProblemsFound(source.problems)
    return tests


def _resolved(path: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """Rule files and directories named relative to the test file, as files."""
    return tuple(file for name in names for file in rule_files(path.parent / name))


def _rule_test(spec: RuleTestSpec, place: Place, path: Path, rules: tuple[Path, ...]) -> RuleTest:
    for name, about in spec.devices.items():
        _check_device(name, about, place.at("devices", name))
    for number, event in enumerate(spec.events):
        _check_event(event, spec, place.at("events", number))
    for number, expected in enumerate(spec.expect):
        _check_expected(expected, spec, place.at("expect", number))
    return RuleTest(
        spec, place, path, rules, _series(spec, place.at("input")), _zones(spec, place.at("zone"))
    )


def _zones(spec: RuleTestSpec, place: Place) -> Zones:
    try:
        return read_zones(spec.zone, {})
    except ValueError as error:
        place.report(f"zone: {error}")
        return UTC_EVERYWHERE


def _series(spec: RuleTestSpec, place: Place) -> dict[tuple[str, str], list[Sample]]:
    series = {}
    for name, text in spec.input.items():
        device, _, metric = name.partition(".")
        _check_known_device(device, spec, place.at(name), key=True)
        _check_metric(metric, place.at(name))
        try:
            series[device, metric] = samples(str(text))
        except ExpressionError as error:
            place.at(name).report_within(error)
    return series


def _check_device(name: str, about: dict[str, str], place: Place) -> None:
    for level in (name, about.get("site", "site")):
        if not is_level(level):
            place.report(f"'{level}' is not a valid name; use up to 64 letters, digits, _ and -", key=True)


def _check_known_device(device: str | None, spec: RuleTestSpec, place: Place, *, key: bool = False) -> None:
    if device is not None and device not in spec.devices:
        place.report(unknown("device", device, spec.devices), key=key)


def _check_metric(metric: str, place: Place) -> None:
    if not is_metric_name(metric):
        place.report(
            f"'{metric}' is not a metric name; write device.metric, the metric in lower-case letters, "
            "digits and _, beginning with a letter",
            key=True,
        )


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The error for a name that nothing in the test has."""
    names = sorted(known)
    nearest = suggest(name, names)
    has = f"his test has {', '.join(names) or 'none'}"
    return f"unknown {kind} '{name}'{nearest} T{has}" if nearest else f"unknown {kind} '{name}'; t{has}"


def _check_event(event: EventSpec, spec: RuleTestSpec, place: Place) -> None:
    _check_known_device(event.device, spec, place.at("device"))
    for metric in event.values:
        _check_metric(metric, place.at("values", metric))
    if event.do in OF_A_DEVICE and event.device is None and len(spec.devices) > 1:
        place.report(f"'{event.do}' needs a 'device' if the test has several")
    if event.do == "late" and not event.by:
        place.report("'late' needs 'by', the age of the reading, as in by: 30s")


def _check_expected(expected: ExpectSpec, spec: RuleTestSpec, place: Place) -> None:
    _check_known_device(expected.device, spec, place.at("device"))
    if sum(what is not None for what in (expected.alert, expected.command, expected.metric)) != 1:
        place.report("an expectation needs exactly one of 'alert', 'command' and 'metric'")
    elif expected.alert is not None and expected.state is None and expected.count is None:
        place.report("an alert needs a 'state' or a 'count'")
    elif expected.metric is not None and expected.value is None:
        place.report("a metric needs a 'value'")
    if expected.group is not None:
        _check_group(expected, place)
    elif expected.device is None and len(spec.devices) > 1:
        place.report(
            "an expectation needs a 'device' if the test has several, or a 'group' of an alert with 'by'"
        )


def _check_group(expected: ExpectSpec, place: Place) -> None:
    if expected.device is not None:
        place.at("group").report(
            "group: the expectation has a 'device', too; it is about one of them", key=True
        )
    if expected.alert is None:
        place.at("group").report("group: only an 'alert' is of a group", key=True)
