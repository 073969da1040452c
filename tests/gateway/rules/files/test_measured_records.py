"""Records named like a metric that the inventory says a device sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_gateway.rules.files.cannot_work import KnownDevice
from edge_gateway.rules.files.load import load_placed
from edge_gateway.rules.files.measured_records import refuse_measured_records
from fleet_config.problems import ProblemsFound
from tests.gateway.rules.files.rule_files import HEAD

FREEZER = KnownDevice("berlin", "f1", "freezer", {})


def refused(tmp_path: Path, text: str, *metrics: str) -> list[str]:
    (tmp_path / "a.yaml").write_text(f"{HEAD}  - {text}\n")
    placed = load_placed(tmp_path).placed
    try:
        refuse_measured_records(placed, [(FREEZER, metric) for metric in metrics])
    except ProblemsFound as found:
        return [str(problem).partition("a.yaml:")[2] for problem in found.problems]
    return []


def test_a_record_that_a_device_measures_is_refused_at_its_name(tmp_path: Path) -> None:
    told = "5:14: record: device 'f1' measures 'half'; give the record another name"
    assert refused(tmp_path, "{record: half, expr: t / 2}", "t", "half") == [told]


@pytest.mark.parametrize(
    "text",
    [
        "{record: third, expr: t / 3}",
        "{record: half, expr: t / 2, match: {type: pump}}",
        "{alert: half, expr: t, above: 1}",
    ],
    ids=["another name", "other devices", "an alert"],
)
def test_a_record_of_other_names_or_devices_is_not(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text, "t", "half") == []
