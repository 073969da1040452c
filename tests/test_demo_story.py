"""The demo judges only what is stored: not while anything is under way."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from fleet_demo.playing import FALSE, TOO_SLOW, gave_up
from fleet_demo.story import _has_settled
from fleet_sim.devices.counters import Snapshot

SETTLED: dict[str, Any] = {
    "broker": {"caught_up": True, "waiting": 0, "unacknowledged": 0},
    "fleet": {"open_readings": 0, "open_windows": 0},
    "store": {"late_pending": 0, "applied": 135},
    "spool": {"record": 135, "committed": 135},
}


def test_nothing_is_under_way() -> None:
    assert _has_settled(SETTLED)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("broker", "caught_up", False),
        ("broker", "waiting", 1),
        ("broker", "unacknowledged", 1),
        ("fleet", "open_readings", 1),
        ("fleet", "open_windows", 1),
        ("store", "late_pending", 1),
        ("store", "applied", 134),
        ("spool", "record", 136),
        ("spool", "committed", 134),
    ],
)
def test_one_thing_is_under_way(part: str, name: str, value: object) -> None:
    report = copy.deepcopy(SETTLED)
    report[part][name] = value
    assert not _has_settled(report)


@pytest.mark.parametrize(
    ("overruns", "status", "said"), [(0, FALSE, "FALSE  too long"), (1_000, TOO_SLOW, "TOO SLOW  too long")]
)
def test_a_machine_that_cannot_keep_its_own_pace_judges_nobody(overruns: int, status: int, said: str) -> None:
    last = cast("Snapshot", SimpleNamespace(published=5_000, overruns=overruns))
    console = Console(record=True)
    assert gave_up(console, last, TimeoutError("too long")) == status
    assert console.export_text().startswith(said)
