"""What names in rules are compared with: the tests beside them, and the history of the gateway of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.cli.known_names import known_names
from edge_gateway.journal.spool import STORE
from edge_gateway.rules.files.cannot_work import KnownDevice
from fleet_config.problems import ProblemsFound
from tests.gateway.store.fleet import SETTINGS, T0, closed, named
from tests.gateway.store.stored import opened
from tests.hostile_files import RULE

TEST = """rule_files: [a.yaml]
tests:
- name: one
  interval: 10s
  devices: {d: {site: s, type: t, room: r}, e: {}}
  input: {d.x: "0 2"}
  events: [{at: 10s, do: late, by: 5s, device: d, values: {y: 1}}]
  expect: [{at: 10s, alert: A, device: d, state: firing}]
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(RULE % "")
    return tmp_path


def test_nothing_is_known_without_tests_and_a_gateway(rules: Path) -> None:
    known = known_names(rules, None)
    assert (known.devices, known.metrics, known.judges(str(rules / "a.yaml"))) == ([], frozenset(), False)


def test_a_test_says_what_its_rule_file_is_about(rules: Path) -> None:
    (rules / "a.test.yaml").write_text(TEST)
    known = known_names(rules, None)
    assert known.devices == [
        KnownDevice("s", "d", "t", {"room": "r"}),
        KnownDevice("site", "e", "unknown", {}),
    ]
    assert known.metrics == {"x", "y"}
    assert known.tags == {"room"}
    assert [known.judges(str(rules / name)) for name in ("a.yaml", "b.yaml")] == [True, False]
    assert known_names(rules / "a.yaml", None).metrics == {"x", "y"}


def test_an_invalid_test_says_nothing(rules: Path) -> None:
    (rules / "a.test.yaml").write_text("version: 2\n")
    assert not known_names(rules, None).judges(str(rules / "a.yaml"))


def test_the_history_says_what_the_fleet_is(rules: Path) -> None:
    config = rules / "gateway.yaml"
    config.write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    store = opened(rules / "spool", SETTINGS)
    readings = [(series, T0, 1.0) for series in range(2)]
    store.apply([(1, [named(range(2), windows=(closed(0, readings), closed(1, readings)))])])
    store.close()
    known = known_names(rules, None)
    assert [(device.site, device.name, device.type) for device in known.devices] == [
        ("berlin", f"dev-{number}", "freezer") for number in range(2)
    ]
    assert known.metrics == {"temperature"}
    assert known.tags == {"region"}
    assert known.judges(str(rules / "b.yaml"))
    assert known_names(rules, config).metrics == known.metrics


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_a_history_that_cannot_be_read_says_nothing(rules: Path, content: bytes) -> None:
    (rules / "gateway.yaml").write_text("mqtt: {url: mqtt://localhost}\nspool: {path: spool}\n")
    (rules / "spool").mkdir()
    (rules / "spool" / STORE).write_bytes(content)
    assert known_names(rules, None).metrics == frozenset()


def test_a_configuration_that_is_wrong_is_an_error_only_if_it_is_named(rules: Path) -> None:
    (rules / "gateway.yaml").write_text("version: 2\n")
    assert known_names(rules, None).metrics == frozenset()
    with pytest.raises(ProblemsFound):
        known_names(rules, rules / "gateway.yaml")
