"""Rule test files: what they may say, which files are read, and where an error is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.testing.definitions import find_files, read_tests
from fleet_config.problems import ProblemsFound
from tests.gateway.rules.testing.rule_tests import RULES

FILE = """rule_files: [r.yaml]
tests:
- name: n
  interval: 10s
  devices: %s
  input: %s
  events: [%s]
  expect: [%s]
"""
DEVICES, INPUT, EXPECTED = "{d: {site: s}}", "{d.x: 1}", "{at: 1s, alert: A, count: 0}"


def errors(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "r.yaml").write_text(RULES)
    (tmp_path / "r.test.yaml").write_text(text)
    try:
        read_tests(tmp_path / "r.test.yaml")
    except ProblemsFound as found:
        return [str(problem).partition("r.test.yaml:")[2] for problem in found.problems]
    return []


def test_a_complete_file(tmp_path: Path) -> None:
    assert errors(tmp_path, FILE % (DEVICES, INPUT, "{at: 1s, do: restart}", EXPECTED)) == []


@pytest.mark.parametrize(
    ("expectation", "error"),
    [
        ("{at: 1s, alert: A}", "8:12: an alert needs a 'state' or a 'count'"),
        (
            "{at: 1s, state: firing}",
            "8:12: an expectation needs exactly one of 'alert', 'command' and 'metric'",
        ),
        ("{at: 1s, alert: A, command: c}", "8:12: an expectation needs exactly one of"),
        ("{at: 1s, metric: x}", "8:12: a metric needs a 'value'"),
        ("{at: 1s, alert: A, state: fired}", "8:38: state: 'fired' is not allowed"),
        ("{at: 1s, alert: A, count: 1, device: e}", "8:49: unknown device 'e'; this test has d"),
        ("{at: 1, alert: A, count: 1}", "8:17: at: a duration needs a unit"),
        ("{at: 1s, alert: A, stat: firing}", "8:31: unknown key 'stat'"),
    ],
)
def test_errors_of_expectations(tmp_path: Path, expectation: str, error: str) -> None:
    (found,) = errors(tmp_path, FILE % (DEVICES, INPUT, "", expectation))
    assert found.startswith(error)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("{at: 1s, do: late}", "7:12: 'late' needs 'by', the age of the reading"),
        ("{at: 1s, do: late, by: 1s, values: {Bad: 1}}", "7:48: 'Bad' is not a metric name"),
        ("{at: 1s, do: late, by: 1s, values: {x: .inf}}", "7:"),
        ("{at: 1s, do: duplicate, device: e}", "7:44: unknown device 'e'; this test has d"),
        ("{at: 1s, do: stop}", "7:25: do: 'stop' is not allowed"),
    ],
)
def test_errors_of_events(tmp_path: Path, event: str, error: str) -> None:
    found = errors(tmp_path, FILE % (DEVICES, INPUT, event, EXPECTED))
    assert found
    assert found[0].startswith(error)


@pytest.mark.parametrize(
    ("devices", "series", "error"),
    [
        ("{}", "{}", "5:12: devices: must have at least 1 entry, not 0"),
        ("{'a b': {}}", "{}", "5:13: 'a b' is not a valid name"),
        ("{d: {site: s/t}}", "{}", "5:13: 's/t' is not a valid name"),
        (DEVICES, "{e.x: 1}", "6:11: unknown device 'e'; this test has d"),
        (DEVICES, "{d: 1}", "6:11: '' is not a metric name; write device.metric"),
        (DEVICES, "{d.X: 1}", "6:11: 'X' is not a metric name"),
        (DEVICES, '{d.x: "1 y"}', "6:19: d.x: 'y' is not a sample"),
    ],
)
def test_errors_of_devices_and_input(tmp_path: Path, devices: str, series: str, error: str) -> None:
    found = errors(tmp_path, FILE % (devices, series, "", EXPECTED))
    assert found
    assert found[0].startswith(error)


def test_a_zone_that_is_none_is_an_error(tmp_path: Path) -> None:
    text = FILE.replace("interval: 10s", "interval: 10s\n  zone: Europe/Berlim") % (
        DEVICES,
        INPUT,
        "",
        EXPECTED,
    )
    (found,) = errors(tmp_path, text)
    assert found.startswith(
        "5:9: zone: 'Europe/Berlim': the tz database of this machine has no zone of this name"
    )


@pytest.mark.parametrize("event", ["duplicate", "will", "birth"])
def test_several_devices_must_be_named(tmp_path: Path, event: str) -> None:
    found = errors(tmp_path, FILE % ("{d: {}, e: {}}", INPUT, f"{{at: 1s, do: {event}}}", EXPECTED))
    assert found == [
        f"7:12: '{event}' needs a 'device' if the test has several",
        "8:12: an expectation needs a 'device' if the test has several, or a 'group' of an alert with 'by'",
    ]


def test_which_files_are_test_files(tmp_path: Path) -> None:
    for name in ("b.test.yml", "a.test.yaml", ".c.test.yaml", "d.yaml", "b.yaml"):
        (tmp_path / name).write_text("")
    found = find_files(
        [
            tmp_path,
            tmp_path / "d.yaml",
            tmp_path / "a.test.yaml",
            tmp_path / "b.yaml",
            tmp_path / "b.test.yml",
        ]
    )
    assert [file.name for file in found] == ["a.test.yaml", "b.test.yml", "d.test.yaml"]
