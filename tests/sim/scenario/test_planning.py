# ruff: noqa: E501 - tables of messages are read line by line
"""From a scenario to its devices and their faults."""

from __future__ import annotations

import pytest

from fleet_sim.faults.plan import NEVER
from fleet_sim.scenario.grammar import PhaseWindow
from fleet_sim.scenario.planning import plan_devices, plan_faults
from tests.sim.scenario.small import SMALL, read


def test_plans_are_dealt_round_robin() -> None:
    plans = plan_devices(read())
    assert [plan.id for plan in plans[:2]] == ["frz-00000", "frz-00001"]
    assert [plan.site for plan in plans[:4]] == ["berlin", "lyon", "porto", "berlin"]
    assert [dict(plan.tags) for plan in plans[:3]] == [
        {"line": "L0", "zone": "A"},
        {"line": "L1", "zone": "A"},
        {"line": "L0", "zone": "A"},
    ]
    assert {plan.type for plan in plans} == {"freezer"}
    assert all(plan.lat is not None and 52.4 <= plan.lat <= 52.6 and plan.lon == 13.5 for plan in plans)
    assert len({plan.lat for plan in plans}) == 10
    assert plans[0].metrics["temperature"].unit == "°C"
    assert plans[0].metrics["temperature"].warning == -14


def test_phases_of_devices_are_even_and_do_not_depend_on_the_fleet_size() -> None:
    small, large = plan_devices(read()), plan_devices(read(SMALL, "fleet.freezer.count=1000"))
    assert small == large[:10]
    phases = sorted(plan.phase_ms for plan in large)
    assert max(b - a for a, b in zip(phases, [*phases[1:], 10_000], strict=True)) <= 3 * 10_000 / 1000
    aligned = read(SMALL, "fleet.freezer.interval={every: 1s, start: aligned}")
    assert {plan.phase_ms for plan in plan_devices(aligned)} == {0}


def test_faults_have_devices_and_times() -> None:
    made = read(SMALL, "fleet.freezer.count=3000")
    stuck, duplicate, disconnect = plan_faults(made, plan_devices(made))
    assert (stuck.from_ms, stuck.until_ms, stuck.metric, stuck.where) == (
        120_000,
        420_000,
        "temperature",
        "sensor",
    )
    assert len(stuck.devices) == pytest.approx(600, abs=80)
    assert (duplicate.devices, duplicate.from_ms, duplicate.until_ms) == (
        ("frz-00001", "frz-00002"),
        0,
        780_000,
    )
    assert (disconnect.kind, disconnect.where, disconnect.from_ms, disconnect.until_ms) == (
        "disconnect",
        "link",
        660_000,
        780_000,
    )
    assert len(disconnect.devices) == 1000
    assert [fault.number for fault in (stuck, duplicate, disconnect)] == [0, 1, 2]


def test_a_part_of_the_fleet_has_the_same_devices_with_a_fault() -> None:
    made = read(SMALL, "fleet.freezer.count=300")
    plans = plan_devices(made)
    whole = plan_faults(made, plans)[0].devices
    parts = [plan_faults(made, plans[first::3])[0].devices for first in range(3)]
    assert sorted(device for part in parts for device in part) == sorted(whole)


def test_a_fault_without_an_end_lasts() -> None:
    made = read(
        "version: 1\nname: x\nfleet: {a: {count: 1, metrics: {m: {model: constant, value: 1}}}}\nfaults: [{kind: bias, metric: m, by: 1}]"
    )
    assert made.timeline() == (PhaseWindow("run", 0, None, None),)
    (fault,) = plan_faults(made, plan_devices(made))
    assert (fault.from_ms, fault.until_ms, fault.devices) == (0, NEVER, ("a-00000",))
